"""One request to a service on the Internet, and what its answer means: the four outcomes.

Shared by the clients of services that people are told through (PagerDuty, Opsgenie, Teams, Grafana,
webhooks). Tries nothing twice: the outbox does. No message holds a credential, even where a service
sends it back.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from remediator.clients.errors import Forbidden, Missing, Refused, Unavailable, retry_after
from remediator.clients.http import Answer, Http

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
_LONGEST_REASON = 300
_MASK = "***"


async def call(
    http: Http,
    name: str,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    query: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    max_bytes: int = MAX_ANSWER_BYTES,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Make one request; returns an answer of 2xx.

    Args:
        name: what messages call the service.
        secrets: what no message may show.

    Raises:
        Unavailable: no answer, a throttle, a fault on the other side.
        Forbidden: it does not know us, or we may not.
        Missing: 404.
        Refused: it will never take this.
    """
    answer = await http.request(
        method,
        url,
        query=query,
        body=body,
        # Redirects are not followed: a credential goes to the configured host alone.
        headers={"Content-Type": "application/json", **(headers or {})},
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        called=name,
    )
    status = answer.status
    if 200 <= status < 300:
        return answer
    text = f"{name}: HTTP {status}{reason(answer.body, secrets)}"
    if status in (408, 425, 429) or status >= 500:
        raise Unavailable(text, _patience(answer))
    if status in (401, 403, 407):
        raise Forbidden(text)
    if status == 404:
        raise Missing(text)
    if 300 <= status < 400:
        raise Forbidden(f"{text}; it redirects, which is not followed: set its final address")
    raise Refused(text)


# Where services say how long to wait: everybody, Opsgenie, PagerDuty's REST API.
_WAITS = ("retry-after", "x-ratelimit-period-in-sec", "ratelimit-reset")


def _patience(answer: Answer) -> timedelta | None:
    found = (retry_after(answer.headers.get(name)) for name in _WAITS)
    return next((span for span in found if span is not None), None)


def reason(body: bytes, secrets: Sequence[str] = ()) -> str:
    """Return what a service says is wrong, with a colon before it; may be empty."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    said = list(_sentences(found))
    text = "; ".join(dict.fromkeys(one for one in said if one))
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK)
    text = "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_REASON]
    return f": {text}" if text else ""


def _sentences(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found]
    if isinstance(found, list):
        return [text for one in found[:10] for text in _sentences(one)]
    if not isinstance(found, Mapping):
        return []
    return [
        text
        for key in ("message", "error", "errors", "detail", "title", "description")
        for text in _sentences(found.get(key))
    ]


def json_of(answer: Answer, name: str) -> Any:
    """Return an answer's JSON.

    Raises:
        Refused: it is none.
    """
    if answer.truncated:
        raise Refused(f"{name}: its answer is larger than {len(answer.body)} bytes")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Refused(f"{name}: its answer is no JSON") from None


def encoded(value: Any, most: int, name: str) -> bytes:
    """Return JSON in at most so many bytes.

    Raises:
        Refused: it has more; the plugin that built it must cut it.
    """
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    if len(body) > most:
        raise Refused(f"{name}: the message has {len(body)} bytes, more than {most}")
    return body
