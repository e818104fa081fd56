"""Slack's rate limits: a token bucket for each method, and for posts one for each channel.

Source: Slack's «Rate limits» (tiers; about one post a second and channel, short bursts allowed) and
the tier named on each method's page. How large a burst may be is not documented, so a test says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.slack.clock import Clock

_A_MINUTE: Mapping[int, float] = {1: 1, 2: 20, 3: 50, 4: 100}

TIERS: Mapping[str, int] = {
    "apps.connections.open": 1,
    "chat.delete": 3,
    "chat.postEphemeral": 4,
    "chat.update": 3,
    "conversations.history": 3,
    "conversations.info": 3,
    "conversations.open": 3,
    "conversations.replies": 3,
    "usergroups.list": 2,
    "usergroups.users.list": 2,
    "users.info": 4,
    "views.open": 4,
    "views.publish": 4,
    "views.push": 4,
    "views.update": 4,
}
"""`auth.test` allows hundreds a minute, and is not limited here."""


@dataclass
class Bucket:
    """A token bucket: `burst` at once, then `per_s` each second."""

    burst: float
    per_s: float
    at: float
    level: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.burst

    def take(self, now: float) -> float:
        """Take one; returns how many seconds to wait where there is none."""
        self.level = min(self.burst, self.level + (now - self.at) * self.per_s)
        self.at = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.per_s


class Limits:
    """What one app may call. `turned_away` counts the calls that were answered 429."""

    def __init__(self, clock: Clock) -> None:
        self.burst: float | None = 20.0
        self.turned_away = 0
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._wished_s: dict[str | None, int] = {}

    def limit(self, burst: float | None) -> None:
        """Allow so many calls of each kind at once, and then as documented; None: no limit."""
        self.burst = burst
        self._buckets.clear()

    def throttle(self, retry_after_s: int | None, method: str | None = None) -> None:
        """Turn away every call (of this method) with this `Retry-After`, until called with None."""
        if retry_after_s is None:
            self._wished_s.pop(method, None)
        else:
            self._wished_s[method] = retry_after_s

    def wait_s(self, method: str, channel: str) -> int:
        """Return for how many seconds the caller must stay away; 0 where it is let in."""
        wait_s = self._wished_s.get(method, self._wished_s.get(None))
        if wait_s is None:
            wait_s = math.ceil(self._take(method, channel))
        self.turned_away += wait_s > 0
        return wait_s

    def _take(self, method: str, channel: str) -> float:
        tier = TIERS.get(method)
        if self.burst is None or (tier is None and method != "chat.postMessage"):
            return 0.0
        key, per_s = (method, _A_MINUTE[tier] / 60) if tier else (f"{method} {channel}", 1.0)
        now = self._clock.now()
        return self._buckets.setdefault(key, Bucket(self.burst, per_s, now)).take(now)
