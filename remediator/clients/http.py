"""HTTP requests with a limit on everything: time, bytes, redirects. The only HTTP client of ours.

Used by `actions.http` as it is, and by the clients of Prometheus and Alertmanager. Says what came
back; what it means is the caller's. Never lets a credential into a message: of a URL only scheme,
host, port and path are shown.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Required, TypedDict
from urllib.parse import urlencode

import aiohttp
import yarl

from remediator.clients.errors import Refused, Unavailable

MAX_REDIRECTS = 5
# Of one client; a probe that has to wait for a connection still keeps to its time.
_MAX_CONNECTIONS = 64
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Args:
        status: the HTTP status.
        headers: names in lower case.
        body: at most as many bytes as were asked for.
        truncated: whether there was more of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool

    @property
    def text(self) -> str:
        """The body as text, undecodable bytes replaced."""
        return self.body.decode(errors="replace")


class Rest(TypedDict, total=False):
    """The arguments of a request that whoever stands before an `Http` passes on unread."""

    body: bytes | None
    headers: Mapping[str, str] | None
    timeout_s: Required[float]
    max_bytes: Required[int]
    follow_redirects: bool
    verify: bool
    called: str


class Http(Protocol):
    """What makes requests: `HttpClient`, or what stands in its place (`remediator.simulated`)."""

    async def close(self) -> None:
        """Let the connections go. Idempotent."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        max_bytes: int,
        follow_redirects: bool = False,
        verify: bool = True,
        called: str = "",
    ) -> Answer:
        """See `HttpClient.request`."""
        ...


class HttpClient:
    """One pool of connections, made when it is first used."""

    def __init__(self, *, keep_alive: bool = False, proxied: bool = False) -> None:
        """Make a client.

        Args:
            keep_alive: reuse connections. A check of somebody else's server opens a new one each
                time: whether it takes connections is half of what is asked.
            proxied: go through the proxy that the environment names (HTTPS_PROXY, NO_PROXY), as
                services on the Internet may need.
        """
        self._keep_alive = keep_alive
        self._proxied = proxied
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        max_bytes: int,
        follow_redirects: bool = False,
        verify: bool = True,
        called: str = "",
    ) -> Answer:
        """Make one request, and read its answer up to `max_bytes`.

        Args:
            called: what messages call the server, where its URL is a secret or says nothing.

        Raises:
            Unavailable: no answer came: the name, the connection, TLS, the time, the protocol.
            Refused: this is no request that could be sent.
        """
        name = called or shown(url)
        try:
            target = addressed(url, query)
        except Refused as error:
            raise Refused(
                f"{called}: its address is no http or https URL" if called else str(error)
            ) from None
        try:
            async with self._opened().request(
                method,
                target,
                data=form if body is None else body,
                headers={"Accept-Encoding": "identity", **(headers or {})},
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=follow_redirects,
                max_redirects=MAX_REDIRECTS,
                ssl=verify,
            ) as response:
                body = await _read(response, max_bytes)
                return Answer(
                    response.status,
                    {name.lower(): value for name, value in response.headers.items()},
                    body[:max_bytes],
                    len(body) > max_bytes,
                )
        except aiohttp.RedirectClientError:
            raise Unavailable(f"{name}: it redirects to what is no usable address") from None
        except aiohttp.InvalidURL:
            raise Refused(f"{name} is no request that can be sent") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{name}: {_reason(error, timeout_s)}") from None
        except ValueError as error:  # last: a certificate that is not accepted is one, too
            reason = "" if called else f": {error}"
            raise Refused(f"{name} is no request that can be sent{reason}") from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=_MAX_CONNECTIONS, force_close=not self._keep_alive
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                # A few bytes could unpack to gigabytes; we ask for identity and take what comes.
                auto_decompress=False,
                trust_env=self._proxied,
            )
        return self._session


def shown(url: str) -> str:
    """Return a URL for people: without user, password, query and fragment."""
    try:
        parsed = yarl.URL(url)
        return str(parsed.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "the URL"


def addressed(url: str, query: Sequence[tuple[str, str]]) -> yarl.URL:
    """Return what is asked for: the URL with its query, if any is given, in place of its own.

    Raises:
        Refused: it is no http or https URL with a host.
    """
    try:
        parsed = yarl.URL(url)
    except ValueError:
        raise Refused("the URL can't be parsed") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Refused(f"{shown(url)} is no http or https URL with a host")
    if not query:
        return parsed
    # Encoded here: Go servers refuse a bare semicolon, which yarl leaves as it is.
    return yarl.URL(f"{parsed.with_query(None)}?{urlencode(query)}", encoded=True)


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read one byte more than asked for, so that the caller sees whether there is more."""
    body = bytearray()
    while len(body) <= max_bytes:
        chunk = await response.content.read(min(_CHUNK_BYTES, max_bytes + 1 - len(body)))
        if not chunk:
            return bytes(body)
        body += chunk
    response.close()  # not released: the rest would have to be read first
    return bytes(body)


def _reason(error: Exception, timeout_s: float) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {timeout_s:g}s"
        case aiohttp.ClientConnectorDNSError():
            return "its name can't be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not accepted: {_certificate(error.certificate_error)}"
        case aiohttp.ClientSSLError():
            return "no TLS connection can be made"
        case aiohttp.ClientConnectorError():
            return f"no connection: {error.os_error.strerror or 'failed'}"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without an answer"
        case aiohttp.TooManyRedirects():
            return f"more than {MAX_REDIRECTS} redirects"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case OSError() if error.strerror:
            return f"the connection broke: {error.strerror}"
        case _:
            return f"its answer is not HTTP ({type(error).__name__})"


def _certificate(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    return type(error).__name__
