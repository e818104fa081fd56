"""PagerDuty's Events API v2: open an alert, and resolve it by the same key.

Source of the protocol: PagerDuty's «Events API v2» (`POST /v2/enqueue`, 202 when taken). Sending
the same key twice is one alert, so a repeat after a lost answer is harmless. Tries nothing twice
by itself: the outbox does.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import aiohttp

from remediator.clients.errors import Refused, Unavailable, retry_after
from remediator.model.canonical import JSONObject
from remediator.model.clock import aware
from remediator.settings import PagerDutySettings

MAX_SUMMARY = 1024
MAX_DEDUP_KEY = 255
MAX_EVENT_BYTES = 512 * 1024

Severity = Literal["critical", "error", "warning", "info"]

_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 64 * 1024
_LONGEST_REASON = 300


class PagerDutyClient:
    """One integration of one PagerDuty service. Connects when first used."""

    def __init__(self, settings: PagerDutySettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

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
            }
        )

    async def resolve(self, dedup_key: str) -> None:
        """Resolve the alert of this key; one that is not open is no error.

        Raises:
            Unavailable, Refused: as `trigger`.
        """
        await self._enqueue({"event_action": "resolve", "dedup_key": dedup_key})

    async def on_call(self, schedule_id: str) -> frozenset[str]:
        """Return the ids of the users who are on call now by a schedule.

        Raises:
            Refused: no token.
        """
        raise Refused("PagerDuty's schedules can't be read: set pagerduty.api_token")

    async def _enqueue(self, event: Mapping[str, Any]) -> None:
        key = self._settings.routing_key
        if key is None:
            raise Refused("no PagerDuty service is known: set pagerduty.routing_key")
        body = json.dumps({"routing_key": key.get_secret_value(), **event}).encode()
        if len(body) > MAX_EVENT_BYTES:
            raise Refused(f"PagerDuty: the event has {len(body)} bytes, more than 512 KiB")
        try:
            async with self._opened().post(
                f"{self._settings.api_url.rstrip('/')}/v2/enqueue",
                data=body,
                headers={"Content-Type": "application/json"},
                allow_redirects=False,  # the routing key goes to the configured host alone
            ) as response:
                answer = await response.content.read(_MAX_ANSWER_BYTES)
                status, headers = response.status, response.headers
        except TimeoutError:
            raise Unavailable(f"PagerDuty: no answer within {_TIMEOUT_S:g}s") from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            raise Refused("PagerDuty: pagerduty.api_url is no http or https URL") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"PagerDuty: {type(error).__name__}") from None
        if status == 202:
            return
        if status == 429 or status >= 500 or status == 408:
            raise Unavailable(f"PagerDuty: HTTP {status}", retry_after(headers.get("Retry-After")))
        raise Refused(f"PagerDuty: HTTP {status}{_reason(answer)}")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session


def _reason(answer: bytes) -> str:
    """Return what PagerDuty says is wrong, from `message` and `errors`; may be empty."""
    try:
        body = json.loads(answer)
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    errors = body.get("errors")
    said = [str(body.get("message", "")), *(errors if isinstance(errors, list) else ())]
    text = "; ".join(str(one) for one in said if one)[:_LONGEST_REASON]
    return f": {text}" if text else ""
