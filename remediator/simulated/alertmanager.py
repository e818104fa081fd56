"""An Alertmanager in memory: what fires, and which silences are set, behind its real API.

Answers what `clients.alertmanager` and `clients.silences` ask (`/api/v2/alerts`, `/status`,
`/silences`, `/silence/ID`), so that these clients work on it as they are. Keeps no time of its own
and notifies nobody: which notification arrives when is a test's story to tell.

Source of the protocol: Alertmanager's OpenAPI document, v2.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec

from remediator.clients.errors import Unavailable
from remediator.clients.http import Answer
from remediator.model import matchers
from remediator.model.alerts import Alert, fingerprint
from remediator.model.clock import Clock, from_text, to_text
from remediator.model.matchers import Matcher, MatcherError, Operator
from remediator.simulated.http import Request

ALERTMANAGER_URL = "http://alertmanager.test"
"""Where it answers: what `senders.default.alertmanager` is in a test's settings."""

# It has been up for longer than any warm-up, so that its word about an alert is believed.
_UP_FOR = timedelta(days=30)
_OPERATORS = {
    (True, False): Operator.EQUAL,
    (False, False): Operator.NOT_EQUAL,
    (True, True): Operator.REGEX,
    (False, True): Operator.NOT_REGEX,
}


@dataclass(frozen=True, slots=True)
class Muted:
    """One silence, as it was set."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str

    def holds(self, at: datetime) -> bool:
        """Whether it mutes anything at that time."""
        return self.starts_at <= at < self.ends_at

    def __str__(self) -> str:
        return ", ".join(map(str, self.matchers))


class Alertmanager:
    """One Alertmanager (`remediator.simulated.http.Server`)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._firing: dict[str, Alert] = {}
        self._silences: dict[str, Muted] = {}
        self._given = 0
        self.reachable = True
        """Whether it answers at all."""

    def fire(self, alert: Alert) -> Alert:
        """Let an alert fire; one that fires already keeps its start. Returns it as it fires now."""
        before = self._firing.get(alert.fingerprint)
        if before is not None:
            alert = replace(alert, starts_at=min(before.starts_at, alert.starts_at))
        self._firing[alert.fingerprint] = alert
        return alert

    def clear(self, labels: Mapping[str, str]) -> Sequence[Alert]:
        """Let the alerts stop that have these labels; returns them."""
        found = [
            alert
            for alert in self._firing.values()
            if all(alert.labels.get(name, "") == value for name, value in labels.items())
        ]
        for alert in found:
            del self._firing[alert.fingerprint]
        return found

    def silences(self) -> Sequence[Muted]:
        """Return the silences that hold now, in the order in which they were set."""
        now = self._clock.now()
        return [one for one in self._silences.values() if one.holds(now)]

    # --- the API --------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        """Answer one request now.

        Raises:
            Unavailable: it is not reachable.
        """
        if not self.reachable:
            raise Unavailable(f"{request.url.origin()}: no connection: refused")
        match request.method, request.url.path:
            case "GET", "/api/v2/alerts":
                return self._ok(self._alerts(request))
            case "GET", "/api/v2/status":
                return self._ok({"uptime": to_text(self._clock.now() - _UP_FOR)})
            case "GET", "/api/v2/silences":
                return self._ok([self._silence(one) for one in self._silences.values()])
            case "POST", "/api/v2/silences":
                return self._set(request)
            case "DELETE", path if path.startswith("/api/v2/silence/"):
                return self._remove(path.rpartition("/")[2])
        return self._said(404, {"code": 404, "message": f"path {request.url.path} was not found"})

    def _alerts(self, request: Request) -> list[Any]:
        silenced_too = request.url.query.get("silenced", "true") == "true"
        holding = self.silences()
        found = []
        for alert in self._firing.values():
            muted = [
                one.id for one in holding if all(m.matches(alert.labels) for m in one.matchers)
            ]
            if muted and not silenced_too:
                continue
            found.append(
                {
                    "labels": dict(alert.labels),
                    "annotations": dict(alert.annotations),
                    "startsAt": to_text(alert.starts_at),
                    "fingerprint": alert.fingerprint or fingerprint(alert.labels),
                    "generatorURL": alert.generator_url,
                    "receivers": [{"name": "remediator"}],
                    "status": {
                        "state": "suppressed" if muted else "active",
                        "silencedBy": muted,
                        "inhibitedBy": [],
                    },
                }
            )
        return found

    def _set(self, request: Request) -> Answer:
        try:
            given = msgspec.json.decode(request.body)
            read = tuple(_matcher(one) for one in given["matchers"])
            starts, ends = from_text(given["startsAt"]), from_text(given["endsAt"])
            by, comment = given["createdBy"], given["comment"]
        except (msgspec.DecodeError, MatcherError, KeyError, TypeError, ValueError) as error:
            return self._said(400, {"code": 400, "message": f"no silence: {error}"})
        if not read or ends <= starts or ends <= self._clock.now():
            return self._said(400, "failed to create silence: end time can't be in the past")
        self._given += 1
        id_ = f"00000000-0000-4000-8000-{self._given:012d}"
        self._silences[id_] = Muted(id_, read, starts, ends, by, comment)
        return self._ok({"silenceID": id_})

    def _remove(self, id_: str) -> Answer:
        if id_ not in self._silences:
            return self._said(404, {"code": 404, "message": "silence not found"})
        one = self._silences[id_]
        self._silences[id_] = replace(one, ends_at=min(one.ends_at, self._clock.now()))
        return self._ok({})

    def _silence(self, one: Muted) -> Any:
        now = self._clock.now()
        state = "pending" if now < one.starts_at else "active" if one.holds(now) else "expired"
        return {
            "id": one.id,
            "matchers": [
                {
                    "name": m.name,
                    "value": m.value,
                    "isRegex": m.operator in (Operator.REGEX, Operator.NOT_REGEX),
                    "isEqual": m.operator in (Operator.EQUAL, Operator.REGEX),
                }
                for m in one.matchers
            ],
            "startsAt": to_text(one.starts_at),
            "endsAt": to_text(one.ends_at),
            "createdBy": one.created_by,
            "comment": one.comment,
            "status": {"state": state},
        }

    def _ok(self, value: Any) -> Answer:
        return self._said(200, value)

    def _said(self, status: int, value: Any) -> Answer:
        headers = {
            "content-type": "application/json",
            "date": format_datetime(self._clock.now(), usegmt=True),
        }
        return Answer(status, headers, json.dumps(value).encode(), truncated=False)


def _matcher(given: Any) -> Matcher:
    operator = _OPERATORS[(given.get("isEqual", True), given["isRegex"])]
    # Through our own parser, which compiles the pattern.
    (found,) = matchers.parse(str(Matcher(given["name"], operator, given["value"])))
    return found
