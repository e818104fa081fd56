"""PagerDuty: alerts and change events through the Events API v2; who is on call through REST.

Source of the protocol: PagerDuty's «Events API v2» (`POST /v2/enqueue`, `/v2/change/enqueue`, 202
when taken) and «List all of the on-calls» (`GET /oncalls`). Sending the same key twice is one
alert, so a repeat after a lost answer is harmless.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from remediator.clients import services
from remediator.clients.errors import Forbidden, Refused
from remediator.clients.http import HttpClient
from remediator.model.canonical import JSONObject
from remediator.model.clock import aware
from remediator.settings import PagerDutySettings

MAX_SUMMARY = 1024
MAX_DEDUP_KEY = 255
MAX_EVENT_BYTES = 512 * 1024

Severity = Literal["critical", "error", "warning", "info"]

_NAME = "PagerDuty"
_PAGE = 100
# A schedule has a few people on call; more pages than this are an answer gone wrong.
_MOST_PAGES = 10


class PagerDutyClient:
    """One integration of one PagerDuty service, and the account's schedules."""

    def __init__(self, settings: PagerDutySettings) -> None:
        self._settings = settings
        self._http = HttpClient(keep_alive=True, proxied=True)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    async def trigger(
        self,
        dedup_key: str,
        *,
        summary: str,
        source: str,
        severity: Severity,
        at: datetime,
        details: JSONObject,
        links: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Open an alert, or add to the open one of this key.

        Args:
            dedup_key: at most 255 characters.
            summary: what the pager says; at most 1024 characters.
            source: what is affected.
            severity: how bad it is.
            at: when it happened.
            details: shown with the alert.
            links: text and URL.

        Raises:
            Unavailable: no answer, a throttle, a fault at PagerDuty.
            Refused: PagerDuty will never take it like this.
        """
        await self._enqueue(
            "/v2/enqueue",
            {
                "event_action": "trigger",
                "dedup_key": dedup_key,
                "client": "remediator",
                "payload": {
                    "summary": summary,
                    "source": source,
                    "severity": severity,
                    "timestamp": aware(at).isoformat(),
                    "custom_details": details,
                },
                "links": [{"text": text, "href": href} for text, href in links],
            },
        )

    async def acknowledge(self, dedup_key: str) -> None:
        """Say that somebody looks at the alert of this key.

        Raises:
            Unavailable, Refused: as `trigger`.
        """
        await self._enqueue("/v2/enqueue", {"event_action": "acknowledge", "dedup_key": dedup_key})

    async def resolve(self, dedup_key: str) -> None:
        """Resolve the alert of this key; one that is not open is no error.

        Raises:
            Unavailable, Refused: as `trigger`.
        """
        await self._enqueue("/v2/enqueue", {"event_action": "resolve", "dedup_key": dedup_key})

    async def change(
        self,
        *,
        summary: str,
        source: str,
        at: datetime,
        details: JSONObject,
        links: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Add a change to the service's list of recent changes; calls nobody.

        Raises:
            Unavailable, Refused: as `trigger`.
        """
        await self._enqueue(
            "/v2/change/enqueue",
            {
                "payload": {
                    "summary": summary,
                    "source": source,
                    "timestamp": aware(at).isoformat(),
                    "custom_details": details,
                },
                "links": [{"text": text, "href": href} for text, href in links],
            },
        )

    async def on_call(self, schedule_id: str) -> frozenset[str]:
        """Return the ids of the users who are on call now by a schedule.

        Raises:
            Unavailable: no answer, a throttle, a fault at PagerDuty.
            Refused: no token, no permission, no such schedule.
        """
        token = self._settings.api_token
        if token is None:
            raise Forbidden("PagerDuty's schedules can't be read: set pagerduty.api_token")
        users: set[str] = set()
        for page in range(_MOST_PAGES):
            answer = await services.call(
                self._http,
                _NAME,
                "GET",
                f"{self._settings.rest_url.rstrip('/')}/oncalls",
                query=(
                    ("schedule_ids[]", schedule_id),
                    ("limit", str(_PAGE)),
                    ("offset", str(page * _PAGE)),
                ),
                headers={
                    "Authorization": f"Token token={token.get_secret_value()}",
                    "Accept": "application/vnd.pagerduty+json;version=2",
                },
                secrets=(token.get_secret_value(),),
                max_bytes=1024 * 1024,
            )
            found = services.json_of(answer, _NAME)
            try:
                users |= {str(one["user"]["id"]) for one in _of(found, schedule_id)}
                more = bool(found["more"])
            except (KeyError, TypeError):
                raise Refused("PagerDuty: its on-calls can't be read") from None
            if not more:
                return frozenset(users)
        raise Refused(f"PagerDuty: over {_MOST_PAGES * _PAGE} people on call by one schedule")

    async def _enqueue(self, path: str, event: Mapping[str, Any]) -> None:
        key = self._settings.routing_key
        if key is None:
            raise Forbidden("no PagerDuty service is known: set pagerduty.routing_key")
        secret = key.get_secret_value()
        await services.call(
            self._http,
            _NAME,
            "POST",
            f"{self._settings.api_url.rstrip('/')}{path}",
            body=services.encoded({"routing_key": secret, **event}, MAX_EVENT_BYTES, _NAME),
            secrets=(secret,),
        )


def _of(found: Any, schedule_id: str) -> list[Any]:
    """Return the entries that are of this schedule, whatever else the answer holds."""
    return [
        one
        for one in found["oncalls"]
        if one["schedule"] is not None and one["schedule"]["id"] == schedule_id
    ]
