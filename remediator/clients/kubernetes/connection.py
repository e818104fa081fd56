"""Finds the cluster, authenticates, and sends requests over connections that are kept open.

Called by `client` alone. Knows nothing of resources; speaks bytes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import aiohttp

from remediator.clients.errors import Refused, Unavailable
from remediator.clients.kubernetes import sdk
from remediator.settings import KubernetesSettings

USER_AGENT = "remediator"
# Connections side by side. A daemon that acts on ten runs at once needs no more than 20, and the
# API server's fairness gives one client no more than a few seats anyway; each watch holds one more
# for as long as it lasts, and there are at most 40 (`settings.systems`).
_CONNECTIONS = 60
# The largest answer that is read. A page of a list stays far below: objects are at most 1.5 MiB
# in etcd and rarely beyond some tens of KiB.
_LARGEST_ANSWER = 64 * 1024 * 1024

# An event holds one object, which etcd keeps below 1.5 MiB, and JSON escapes can double that.
_LARGEST_LINE = 4 * 1024 * 1024
# A watch that asks for bookmarks hears something every minute. One that has heard nothing for twice
# that has lost its server without being told (a cut cable), and is begun again where it was.
_SILENT_S = 120.0

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes
    retry_after: str | None


class Link(Protocol):
    """What carries requests to an API server: a `Connection`, or what stands in its place
    (`remediator.simulated`)."""

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        *,
        accept: str,
        content_type: str | None,
        body: object,
    ) -> Answer:
        """See `Connection.send`."""
        ...

    async def retire(self) -> None:
        """Close when nothing is in flight any more."""


@dataclass(frozen=True, slots=True)
class Lines:
    """An answer that is still coming, line by line; a refusal has all in `answer` and no lines."""

    answer: Answer
    lines: AsyncIterator[bytes]


@runtime_checkable
class Streaming(Link, Protocol):
    """A link that can also carry answers that do not end by themselves: what a watch needs."""

    def stream(
        self, path: str, query: Sequence[tuple[str, str]], *, accept: str, lasts_s: float
    ) -> AbstractAsyncContextManager[Lines]:
        """See `Connection.stream`."""
        ...


class Connection:
    """One set of credentials and the session that carries them.

    Credentials that expire inside it (a rotated service account token) are read again by the SDK;
    what it can't renew ends in a 401, and the client then connects anew.
    """

    def __init__(self, configuration: Any, transport: Any, source: str, timeout_s: float) -> None:
        self._configuration = configuration
        self._transport = transport
        self._timeout_s = timeout_s
        self._in_use = 0
        self._retired = False
        self.source = source
        """Where the configuration came from, for people."""

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._configuration.host)

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        *,
        accept: str,
        content_type: str | None,
        body: object,
    ) -> Answer:
        """Send one request.

        Raises:
            Unavailable: there was no answer, or not in time.
            Refused: the server is not the one whom the configuration trusts.
        """
        timeout = self._timeout_s
        async with (
            self._asked(method, path, query, accept, content_type, body, timeout) as response,
            response,
        ):
            return Answer(
                response.status, await _read(response), response.headers.get("Retry-After")
            )

    @asynccontextmanager
    async def stream(
        self, path: str, query: Sequence[tuple[str, str]], *, accept: str, lasts_s: float
    ) -> AsyncIterator[Lines]:
        """Send a GET whose answer comes line by line, for `lasts_s` at most.

        Nothing is read ahead of who asks for the next line but what the socket's buffer holds; the
        connection is closed when the block is left, however that happens.

        Raises:
            Unavailable: there was no answer, or it broke off; also out of the lines.
            Refused: the server is not the one whom the configuration trusts.
        """
        timeout = aiohttp.ClientTimeout(
            total=lasts_s + self._timeout_s, sock_connect=self._timeout_s, sock_read=_SILENT_S
        )
        async with self._asked("GET", path, query, accept, None, None, timeout) as response:
            try:
                refused = response.status != 200
                body = await _read(response) if refused else b""
                yield Lines(
                    Answer(response.status, body, response.headers.get("Retry-After")),
                    _lines(response),
                )
            finally:
                response.close()  # not `release`: what is still to come would be read to its end

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        accept: str,
        content_type: str | None,
        body: object,
        timeout: object,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and keep the session open while its answer is read."""
        headers = {"Accept": accept, "User-Agent": USER_AGENT}
        if content_type is not None:
            headers["Content-Type"] = content_type
        self._in_use += 1
        try:
            token = await self._configuration.get_api_key_with_prefix("BearerToken")
            if token:
                headers["Authorization"] = token.strip()
            yield await self._transport.request(
                method,
                self.server + path,
                query_params=list(query),
                headers=headers,
                body=body,
                _preload_content=False,  # or the SDK logs bodies, which hold people's secrets
                _request_timeout=timeout,
            )
        except aiohttp.ClientConnectorCertificateError as error:
            raise Refused(
                f"the API server {self.server} shows a certificate that {self.source} does not "
                f"trust: {error.certificate_error}"
            ) from error
        except TimeoutError:
            raise Unavailable(
                f"the API server {self.server} did not answer within {self._timeout_s:g} s "
                "(kubernetes.timeout_s)"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"the API server {self.server} cannot be reached: {error}") from error
        finally:
            self._in_use -= 1
            if self._retired and not self._in_use:
                await self._transport.close()

    async def retire(self) -> None:
        """Close when the last request under way has ended."""
        self._retired = True
        if not self._in_use:
            await self._transport.close()


async def connect(settings: KubernetesSettings) -> Connection:
    """Find the cluster as `KubernetesSettings.kubeconfig` describes, and log in.

    Raises:
        Refused: no cluster is configured, or its configuration can't be used.
    """
    kit = await asyncio.to_thread(sdk.load)
    configuration = kit.Configuration()
    # kubectl takes certificates without the extensions that Python 3.13 began to demand, and many
    # clusters' own CAs lack them. The chain and the host name are verified all the same.
    configuration.disable_strict_ssl_verification = True
    files = _kubeconfig(settings)
    source = f"the kubeconfig {files}" if files else "the in-cluster service account"
    try:
        if files:
            await kit.load_kube_config(
                config_file=files,
                context=settings.context,
                client_configuration=configuration,
                persist_config=False,
            )
        else:
            kit.load_incluster_config(client_configuration=configuration)
        transport = kit.RESTClientObject(configuration, maxsize=_CONNECTIONS)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        # The SDK answers a faulty file with anything from AssertionError to TypeError, and what
        # an exec plugin of a cloud raises is known to nobody. Whatever it is: no connection.
        raise Refused(f"{source} cannot be used: {_reason(error)}") from error
    return Connection(configuration, transport, source, settings.timeout_s)


def _kubeconfig(settings: KubernetesSettings) -> str | None:
    """Return the kubeconfig files, separated as in $KUBECONFIG, or None for the service account."""
    if settings.kubeconfig is not None:
        path = settings.kubeconfig.expanduser()
        if not path.is_file():
            raise Refused(f"kubernetes.kubeconfig names {path}, which is no file")
        return str(path)
    named = os.environ.get("KUBECONFIG", "")
    if named:
        if not any(Path(part).expanduser().is_file() for part in named.split(os.pathsep) if part):
            raise Refused(f"KUBECONFIG names {named}, which is no file")
        return named
    home = Path("~/.kube/config").expanduser()
    if home.is_file():
        return str(home)
    if not (os.environ.get("KUBERNETES_SERVICE_HOST") and _SERVICE_ACCOUNT.is_file()):
        raise Refused(
            "no Kubernetes cluster is configured: set kubernetes.kubeconfig (or KUBECONFIG), or "
            "run in a pod with a service account"
        )
    return None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise Unavailable(f"an answer was larger than {_LARGEST_ANSWER} bytes")
    return bytes(body)


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the answer's lines as they come; ends where it ends."""
    begun = bytearray()
    async for chunk in response.content.iter_any():
        begun += chunk
        *whole, rest = begun.split(b"\n")
        for line in whole:
            if line.strip():
                yield bytes(line)
        begun = bytearray(rest)
        if len(begun) > _LARGEST_LINE:
            raise Unavailable(f"a line of an answer was larger than {_LARGEST_LINE} bytes")


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text or type(error).__name__
