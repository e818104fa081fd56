"""Stand-ins that only read: what `simulate`, `replay` and `record` give plugins instead of clients.

They stand where a client has its connection, so that the real client and the real action run above
and nothing that changes something leaves the process, whatever the credentials would allow. What is
withheld is put down in a `Ledger`, for people. `clients.kubernetes.readonly` is the one for the API
server. An action that opens connections of its own is beyond this; see docs/replay.md.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Unpack

from remediator.clients import inside
from remediator.clients.errors import Refused
from remediator.clients.http import Answer, Http, Rest, shown
from remediator.clients.process import Finished, check_allowed
from remediator.observe import masking
from remediator.settings import ExecSettings

# More than a plan asks for; a loop must not fill the memory.
_MOST_KEPT = 200
_LONGEST = 200
# A proxy or framework that honours one of these turns a GET into something else.
_OVERRIDES = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})
_READS = frozenset({"GET", "HEAD"})
ASSUMED_EXIT = 1
"""What a command is taken to answer: of a check it means that the change is not in place."""


class NotHere(Refused):
    """It would change something, or might, and here everything is only read."""


@dataclass(slots=True)
class Ledger:
    """What was asked of the stand-ins.

    Args:
        withheld: what would have changed something, or might have, in words; not done.
        assumed: commands that were not started, with the answer that was assumed.
        of_today: how many answers came from the world as it is now, whatever time was meant.
    """

    withheld: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    of_today: int = 0

    def withhold(self, what: str, why: str) -> NotHere:
        """Put down what is not done; returns the error to raise."""
        if len(self.withheld) < _MOST_KEPT:
            self.withheld.append(what)
        return NotHere(f"{what}: {why}; here everything is only read")

    def assume(self, what: str) -> None:
        """Put down what was taken for an answer."""
        if len(self.assumed) < _MOST_KEPT and what not in self.assumed:
            self.assumed.append(what)


class ReadOnlyHttp:
    """Lets GET and HEAD through, and queries to Prometheus that are too long for a GET."""

    def __init__(self, http: Http, ledger: Ledger, queries: Sequence[str] = ()) -> None:
        """Stand before `http`.

        Args:
            queries: URLs at which a POST with a form `query` only asks.
        """
        self._http = http
        self._ledger = ledger
        self._queries = frozenset(queries)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

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
        """See `HttpClient.request`.

        Raises:
            NotHere: it is no request that only reads.
        """
        verb = method.upper()
        asks = verb == "POST" and url in self._queries and body is None and "query" in (form or {})
        named = f"{verb} {called or shown(url)}"
        if verb not in _READS and not asks:
            raise self._ledger.withhold(named, "it may change something")
        if verb in _READS and (form is not None or body is not None):
            raise self._ledger.withhold(f"{named} with a body", "a read has none")
        overriding = [name for name in headers or () if name.lower() in _OVERRIDES]
        if overriding:
            raise self._ledger.withhold(
                f"{named} with {overriding[0]}", "it asks for another method in a header"
            )
        if url not in self._queries:
            self._ledger.of_today += 1
        # Plain values from here on: a plugin's own mapping would run its code inside.
        asked, sent = [(str(k), str(v)) for k, v in query], _plain(form)
        said = _plain(headers)
        with inside.let():
            return await self._http.request(
                str(verb),
                str(url),
                query=asked,
                form=sent,
                headers=said,
                timeout_s=float(timeout_s),
                max_bytes=int(max_bytes),
                follow_redirects=bool(follow_redirects),
                verify=bool(verify),
                called=str(called),
            )


def _plain(given: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if given is None else {str(name): str(value) for name, value in given.items()}


class AtThatTime:
    """Asks Prometheus for the time that is meant and not for now; all else goes through as it is.

    How long back Prometheus knows is its own affair: older queries give nothing.
    """

    def __init__(self, http: Http, queries: Sequence[str], now: Callable[[], datetime]) -> None:
        """Stand before `http`; `queries` are the URLs of instant queries."""
        self._http = http
        self._queries = frozenset(queries)
        self._now = now

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Mapping[str, str] | None = None,
        **rest: Unpack[Rest],
    ) -> Answer:
        """See `HttpClient.request`."""
        if url in self._queries:
            at = f"{self._now().timestamp():.3f}"
            if form is not None:
                form = {**form, "time": at}
            else:
                query = (*query, ("time", at))
        return await self._http.request(method, url, query=query, form=form, **rest)


class NoProcesses:
    """Stands in the place of `ProcessRunner`: starts nothing, not even what only looks.

    Nobody knows what a command changes. Each is taken to answer `ASSUMED_EXIT` without a word.
    """

    def __init__(self, settings: ExecSettings, ledger: Ledger) -> None:
        self._allowed = frozenset(settings.allow)
        self._ledger = ledger
        self.host = settings.host or socket.gethostname()
        """What targets call this machine."""

    async def close(self) -> None:
        """Nothing runs."""

    def check(self, program: str) -> None:
        """See `ProcessRunner.check`.

        Raises:
            Refused: it is not in the settings.
        """
        check_allowed(program, self._allowed)

    async def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str,
        timeout_s: float,
    ) -> Finished:
        """Return what the command is taken to answer.

        Raises:
            Refused: it is not in the settings.
        """
        self.check(command[0])
        self._ledger.of_today += 1
        shown_as = masking.text(" ".join(command))[:_LONGEST]
        self._ledger.assume(f"{shown_as}: not started, taken to end with {ASSUMED_EXIT}")
        return Finished(ASSUMED_EXIT, False, "", "", False, 0.0)
