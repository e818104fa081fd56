"""How much Slack takes: a token bucket for each method and channel, and the patience it asks for.

Owned by `client`, which asks before each call. Never sleeps: what may not go now is for the outbox
to keep, in order and across a restart. Source: Slack's «Rate limits».
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, then so many a minute."""

    burst: float
    per_minute: float


# Slack promises these and takes somewhat more. A post counts for its channel, the others for the
# method in the whole workspace.
_POST = "chat.postMessage"
_RATES: Mapping[str, Rate] = {
    _POST: Rate(2, 60),
    "chat.update": Rate(25, 50),  # tier 3
    "conversations.history": Rate(10, 50),
    "conversations.replies": Rate(10, 50),
    "usergroups.users.list": Rate(10, 20),  # tier 2
    "views.open": Rate(50, 100),  # tier 4, likewise all of the views
    "views.update": Rate(50, 100),
    "views.push": Rate(50, 100),
    "views.publish": Rate(50, 100),
}
# Channels that were posted to; the ones that were not for the longest time have full buckets.
_MOST_BUCKETS = 1000

Key = tuple[str, str]


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float
    closed_until: float = 0.0


class Pace:
    """The buckets of one app in one workspace."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[Key, _Bucket] = OrderedDict()

    def wait_s(self, method: str, channel: str) -> float:
        """Take one, and return 0; or take none, and return in how many seconds there is one."""
        rate = _RATES.get(method)
        bucket = self._bucket(method, channel)
        now = self._monotonic()
        if bucket.closed_until > now:
            return bucket.closed_until - now
        if rate is None:
            return 0.0
        per_s = rate.per_minute / 60
        bucket.level = min(rate.burst, bucket.level + (now - bucket.at) * per_s)
        bucket.at = now
        # What floating point took away in the refill must not cost another look.
        if bucket.level >= 1 - 1e-6:
            bucket.level -= 1
            return 0.0
        return (1 - bucket.level) / per_s

    def close(self, method: str, channel: str, for_s: float) -> None:
        """Let nothing through for so long: Slack said `Retry-After`."""
        bucket = self._bucket(method, channel)
        bucket.closed_until = max(bucket.closed_until, self._monotonic() + for_s)

    def _bucket(self, method: str, channel: str) -> _Bucket:
        key = (method, channel if method == _POST else "")
        found = self._buckets.get(key)
        if found is None:
            rate = _RATES.get(method)
            found = _Bucket(rate.burst if rate else 0.0, self._monotonic())
            self._buckets[key] = found
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return found
