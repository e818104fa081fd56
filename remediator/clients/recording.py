"""Recorders between a read-only stand-in and the real connections: what was asked, and the answers.

For `remediator record`. They hold what servers said as it came; what of it is kept, and what is
masked, is `rehearsal.recording`'s to say.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

from remediator.clients import http
from remediator.clients.http import Http, Rest
from remediator.clients.kubernetes import connection
from remediator.clients.kubernetes.client import Connect
from remediator.clients.kubernetes.connection import Link
from remediator.clients.kubernetes.resources import Object
from remediator.clients.process import Finished
from remediator.clients.readonly import Ledger, NoProcesses
from remediator.settings import ExecSettings, KubernetesSettings

# What one plan reads is some tens; a loop must not fill the memory.
_MOST = 5_000
HOST = "localhost"
"""What a recorded machine is called: as in a test, and nobody else's business."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request and its answer; None where none came."""

    method: str
    url: str
    query: tuple[tuple[str, str], ...]
    form: Mapping[str, str]
    answer: http.Answer | None


@dataclass(slots=True)
class Tape:
    """All that was seen.

    Args:
        objects: Kubernetes objects as they were read last, by API version, kind, namespace, name.
        exchanges: HTTP requests, Prometheus's too.
        commands: those that were not started.
        programs: those that the plans would start.
    """

    objects: dict[tuple[str, str, str, str], Object] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    programs: dict[str, None] = field(default_factory=dict)

    def see(self, found: Object) -> None:
        """Keep an object, or all of a list."""
        kind = str(found.get("kind", ""))
        version = str(found.get("apiVersion", ""))
        if kind == "PartialObjectMetadataList":
            return  # names alone, asked for to suggest one
        if kind.endswith("List") and isinstance(found.get("items"), list):
            for one in found["items"]:
                self._keep({"apiVersion": version, "kind": kind.removesuffix("List"), **one})
        elif kind not in ("Status", "Scale"):
            self._keep(found)

    def _keep(self, one: Object) -> None:
        meta = one.get("metadata") or {}
        key = (
            str(one.get("apiVersion")),
            str(one.get("kind")),
            str(meta.get("namespace", "")),
            str(meta.get("name", "")),
        )
        if key in self.objects or len(self.objects) < _MOST:
            self.objects[key] = one


def connecting(tape: Tape, connect: Connect = connection.connect) -> Connect:
    """Return what connects like `connect`, and gives a link that is recorded."""

    async def connected(settings: KubernetesSettings) -> Link:
        return _Link(await connect(settings), tape)

    return connected


class _Link:
    def __init__(self, link: Link, tape: Tape) -> None:
        self._link = link
        self._tape = tape

    async def retire(self) -> None:
        await self._link.retire()

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        *,
        accept: str,
        content_type: str | None,
        body: object,
    ) -> connection.Answer:
        answer = await self._link.send(
            method, path, query, accept=accept, content_type=content_type, body=body
        )
        if 200 <= answer.status < 300:
            try:
                found: Any = json.loads(answer.body)
            except ValueError:
                found = None
            if isinstance(found, dict):
                self._tape.see(found)
        return answer


class RecordedHttp:
    """Keeps each request and its answer."""

    def __init__(self, below: Http, tape: Tape) -> None:
        self._below = below
        self._tape = tape

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._below.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Mapping[str, str] | None = None,
        **rest: Unpack[Rest],
    ) -> http.Answer:
        """See `HttpClient.request`."""
        answer: http.Answer | None = None
        try:
            answer = await self._below.request(method, url, query=query, form=form, **rest)
        finally:
            if len(self._tape.exchanges) < _MOST:
                self._tape.exchanges.append(
                    Exchange(method, url, tuple(query), dict(form or {}), answer)
                )
        return answer


class RecordedProcesses(NoProcesses):
    """Starts nothing, and keeps what would have been started."""

    def __init__(self, settings: ExecSettings, ledger: Ledger, tape: Tape) -> None:
        super().__init__(settings, ledger)
        self.host = HOST
        self._tape = tape

    def check(self, program: str) -> None:
        """See `NoProcesses.check`."""
        super().check(program)
        if len(self._tape.programs) < _MOST:
            self._tape.programs[program] = None

    async def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str,
        timeout_s: float,
    ) -> Finished:
        """See `NoProcesses.run`."""
        if tuple(command) not in self._tape.commands and len(self._tape.commands) < _MOST:
            self._tape.commands.append(tuple(command))
        return await super().run(command, environment=environment, cwd=cwd, timeout_s=timeout_s)
