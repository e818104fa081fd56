"""HTTP servers in memory: what a test's `http:` says is answered, and nothing else is there.

Owns which answer a request gets, sequences of answers, and the record of what was asked. Stands at
the seam `clients.http.Http`, so that the real clients and probes work above it; whole servers (the
simulated Prometheus) are reached through it by their address. Opens no connection.

Called by `simulated.world`, and by tests.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Protocol

import yarl

from remediator.clients.errors import Unavailable
from remediator.clients.http import MAX_REDIRECTS, Answer, Http, addressed
from remediator.model.clock import Clock
from remediator.simulated.answers import AnswerSpec, ReplySpec, What

PROMETHEUS_URL = "http://prometheus.test"
"""Where the simulated Prometheus answers: what `prometheus.url` is in a test's settings."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# ------------------------------------------------------------------------- what was asked


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was made.

    Args:
        at: when.
        url: with its query.
        form: of a form that was posted.
        headers: names in lower case.
    """

    at: datetime
    method: str
    url: yarl.URL
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and how it went.

    Args:
        request: what was asked.
        status: the answer's status; 0 where none came.
        known: whether the world has an answer for it at all.
        by_server: whether a whole server answered, such as the simulated Prometheus.
    """

    request: Request
    status: int
    known: bool = True
    by_server: bool = False


class Server(Protocol):
    """A whole server that stands at an address: the simulated Prometheus."""

    def answer(self, request: Request) -> Answer:
        """Answer one request now."""
        ...


class Web(Http):
    """Every HTTP server that a test's world has."""

    def __init__(
        self,
        answers: Iterable[AnswerSpec],
        clock: Clock,
        servers: Mapping[str, Server] | None = None,
    ) -> None:
        """Make a world's servers.

        Args:
            answers: canned ones; the last of several for the same request counts.
            clock: what answers take passes on it.
            servers: whole servers, by the URL below which they answer. Canned answers come first:
                a test may let one request to a server fail.
        """
        self._clock = clock
        self._servers: dict[str, Server] = {}
        for url, server in (servers or {}).items():
            self.serve(url, server)
        self._answers: dict[What, list[ReplySpec]] = {}
        self._asked: list[Asked] = []
        self.change(answers)

    @property
    def asked(self) -> list[str]:
        """The requests so far, in order, as `GET URL`; without those to whole servers."""
        return [str(one.request) for one in self._asked if not one.by_server]

    @property
    def requests(self) -> Sequence[Asked]:
        """Every request so far, in order, and how it went."""
        return tuple(self._asked)

    def serve(self, url: str, server: Server) -> None:
        """Let a whole server answer below this URL from now on."""
        self._servers[str(addressed(url, ())).rstrip("/")] = server

    def change(self, answers: Iterable[AnswerSpec]) -> None:
        """Answer these requests so from now on; others stay as they are."""
        for one in answers:
            self._answers[one.what] = list(one.answers or (one,))

    async def close(self) -> None:
        """Nothing is open."""

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
        """See `clients.http.HttpClient.request`; certificates are not simulated.

        Raises:
            Unavailable: the world says so, or has no answer; the message says how to add one.
            Refused: this is no request that could be sent.
        """
        target = addressed(url, query)
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        for _ in range(MAX_REDIRECTS + 1):
            made = Request(self._clock.now(), method, target, form or {}, lowered, body or b"")
            answer = await self._answer(made, timeout_s, called)
            onward = answer.headers.get("location")
            if not (follow_redirects and answer.status in _REDIRECTS and onward):
                content = b"" if method == "HEAD" else answer.body
                return Answer(
                    answer.status, answer.headers, content[:max_bytes], len(content) > max_bytes
                )
            target = target.join(yarl.URL(onward))
        raise Unavailable(f"{called or target}: more than {MAX_REDIRECTS} redirects")

    async def _answer(self, made: Request, timeout_s: float, called: str) -> Answer:
        reply = self._next(made)
        if reply is None:
            if server := self._server(made.url):
                answer = server.answer(made)
                self._asked.append(Asked(made, answer.status, by_server=True))
                return answer
            self._asked.append(Asked(made, 0, known=False))
            raise Unavailable(f"{called or made}: no connection: {_unknown(made)}")
        patience_s = timedelta(seconds=timeout_s)
        late = reply.fails == "timeout" or reply.takes >= patience_s
        await self._passes(patience_s if late else reply.takes)
        if late or reply.fails:
            self._asked.append(Asked(made, 0))
            why = f"no answer within {timeout_s:g}s" if late else "no connection: refused"
            raise Unavailable(f"{called or made.url.with_query(None)}: {why}")
        self._asked.append(Asked(made, reply.status))
        return self._written(reply)

    def _next(self, made: Request) -> ReplySpec | None:
        """Take the next answer of the narrowest entry that fits."""
        fitting = [what for what in self._answers if what.fits(made.method, made.url)]
        if not fitting:
            return None
        best = max(fitting, key=lambda w: (not w.prefix, w.method == made.method, len(w.url)))
        replies = self._answers[best]
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def _server(self, url: yarl.URL) -> Server | None:
        for base, server in self._servers.items():
            if str(url.with_query(None)).startswith(f"{base}/"):
                return server
        return None

    async def _passes(self, span: timedelta) -> None:
        if span:
            await self._clock.sleep(span.total_seconds())

    def _written(self, reply: ReplySpec) -> Answer:
        as_json = "json_" in reply.model_fields_set
        text = json.dumps(reply.json_) if as_json else reply.body or ""
        added = {
            "content-type": "application/json" if as_json else "text/plain; charset=utf-8",
            "date": format_datetime(self._clock.now(), usegmt=True),
        }
        given = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status, {**added, **given}, text.encode(), truncated=False)


def _unknown(made: Request) -> str:
    if str(made.url).startswith(PROMETHEUS_URL):
        return (
            "the test's world has no Prometheus; add prometheus: {series: [{series: 'up', "
            "values: '1x60'}]} to its world"
        )
    return (
        "the test's world has no answer for it; add {request: "
        f"{made.method} {made.url}, status: 200}} to its http"
    )
