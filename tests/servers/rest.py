"""Small HTTP requests to a server on loopback, past any proxy that the environment names."""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Response:
    """What came back, whatever its status."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def request(
    method: str,
    url: str,
    body: object = None,
    *,
    token: str | None = None,
    content_type: str = "application/json",
    ca: Path | None = None,
    timeout_s: float = 10.0,
) -> Response:
    """Sends `body` as JSON (bytes as they are); over https it trusts `ca`, or anybody without."""
    parts = urlsplit(url)
    assert parts.hostname is not None, f"{url} names no host"
    connection = (
        http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=_trust(ca)
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    )
    headers = {"Content-Type": content_type} if body is not None else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    sent = json.dumps(body).encode() if not isinstance(body, bytes | None) else body
    target = parts.path + (f"?{parts.query}" if parts.query else "") or "/"
    try:
        connection.request(method, target, sent, headers)
        answer = connection.getresponse()
        return Response(answer.status, answer.read())
    except http.client.HTTPException as problem:
        raise OSError(f"{method} {url}: {problem!r}") from problem
    finally:
        connection.close()


def answers(url: str, *, ca: Path | None = None) -> bool:
    """Whether a GET is answered with 200; OSError while nobody listens."""
    return request("GET", url, ca=ca, timeout_s=2.0).status == 200


def _trust(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
