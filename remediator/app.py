"""The only wiring: builds the daemon out of settings, starts it, stops it.

Parts are started in the order in which they are needed and stopped last in, first out: no new
claim and no new request, then what is in hand is journalled, then told. Called by `cli` and
`testing`.
"""

import asyncio
import os
import socket
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from remediator.clients.alertmanager import Alertmanagers
from remediator.clients.http import HttpClient
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.pagerduty import PagerDutyClient
from remediator.clients.process import ProcessRunner
from remediator.clients.prometheus import PrometheusClient
from remediator.clients.slack import SlackClient
from remediator.engine.announce import Announcer
from remediator.engine.approvals import ApprovalDesk
from remediator.engine.clock import SystemClock
from remediator.engine.context import PluginContext
from remediator.engine.control import PauseControl, RunControl
from remediator.engine.hand import ACTOR
from remediator.engine.hint import Hint
from remediator.engine.housekeeping import Housekeeper
from remediator.engine.intake import IntakeDesk
from remediator.engine.library import Library
from remediator.engine.ports import Pace, Ports
from remediator.engine.reconcile import Reconciler
from remediator.engine.worker import Worker
from remediator.journal import anchors
from remediator.journal.opening import open_journal, sqlite_path
from remediator.journal.protocol import AuditEntry, Journal, Opening
from remediator.model.alerts import Notification
from remediator.model.canonical import JSONObject
from remediator.model.clock import Clock
from remediator.observe import logs, metrics
from remediator.plugin import registry as plugins
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier
from remediator.plugin.registry import Registry
from remediator.runbook import store
from remediator.runbook.compile import compile_runbook
from remediator.settings import Settings, SettingsError
from remediator.web.server import Address, Server
from remediator.web.services import Services

log = logs.get(__name__)


class Daemon:
    """One running remediator. `start` once, `stop` once."""

    def __init__(
        self, settings: Settings, *, registry: Registry | None = None, clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.registry = registry or plugins.load()
        self.address: Address | None = None
        self.broken = asyncio.Event()
        """Set when a part broke for good: whoever runs the daemon should stop it, to be started
        anew; all state is in the journal."""
        self.journal: Journal
        self._library: Library
        self._watcher: store.Watcher
        self._ready = False
        self._stack = AsyncExitStack()

    async def start(self) -> Address:
        """Open the journal, load the runbooks, carry on what was in hand, then listen.

        Raises:
            CannotOpen, RunbookErrors, ListenError, SettingsError: each says what to change.
        """
        try:
            return await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        """Take no more requests, let applies in flight finish, close. Idempotent."""
        self._ready = False
        await self._stack.aclose()

    async def _start(self) -> Address:
        settings, clock = self.settings, self.clock
        hint, note_hint = Hint(), Hint()
        node = f"{socket.gethostname()}-{os.getpid()}"
        notifiers = configured_notifiers(settings, self.registry)

        def committed() -> None:
            hint.poke()
            note_hint.poke()

        self.journal = journal = await open_journal(
            settings.journal,
            clock,
            Opening(
                node=node,
                subscribers=tuple(n for n, one in notifiers.items() if not one.escalates),
                pagers=tuple(n for n, one in notifiers.items() if one.escalates),
                write_queue=settings.http.write_queue,
                on_commit=committed,
            ),
        )
        self._stack.push_async_callback(journal.close)
        clients = make_clients(settings)
        for client in clients.values():
            self._stack.push_async_callback(client.close)
        alertmanagers = clients[Alertmanagers]
        assert isinstance(alertmanagers, Alertmanagers)  # noqa: S101 - made a line above

        def context_for(run_id: str, names: Mapping[str, object]) -> Context:
            return PluginContext(run_id, clock, clients, journal, names)

        self._library = library = Library(
            journal, lambda source, file: compile_runbook(source, file, self.registry)
        )
        await self._record("daemon.started", {"pid": os.getpid(), "node": node})
        self._watcher = store.Watcher(settings.runbooks)
        await self._load_first()
        background: set[asyncio.Future[int]] = set()

        def fetch_truncated(sender: str, notification: Notification) -> None:
            task = asyncio.ensure_future(reconciler.fetch_truncated(sender, notification))
            background.add(task)
            task.add_done_callback(background.discard)
            task.add_done_callback(_complain)

        intake = IntakeDesk(journal, library, self.registry.sources, fetch_truncated)
        reconciler = Reconciler(journal, intake, alertmanagers, clock)
        ports = Ports(
            journal=journal,
            library=library,
            policy=settings.policy,
            signal=alertmanagers,
            context_for=context_for,
            clock=clock,
            pace=Pace(
                concurrency=settings.worker.concurrency,
                poll=settings.worker.poll,
                hold=settings.worker.hold,
                give_up=settings.worker.give_up,
            ),
            default_approvers=settings.default_approvers,
            escalate_to=settings.escalate_to,
        )

        announcer = Announcer(
            journal, notifiers, context_for, clock, note_hint, settings.escalate_to
        )
        self._background("announcer", announcer.run())
        self._stack.push_async_callback(announcer.stop)
        housekeeper = self._housekeeper(journal)
        self._background("housekeeper", housekeeper.run())
        self._stack.push_async_callback(self._stopped, housekeeper)
        self._background("runbook watcher", self._watch())
        worker = Worker(ports, hint)
        self._background("worker", worker.run())
        self._stack.push_async_callback(worker.stop)
        server = Server(
            Services(
                intake=intake,
                journal=journal,
                desk=ApprovalDesk(journal, clock, settings.groups),
                runs=RunControl(journal, library, clock),
                controls=PauseControl(journal, clock),
                clock=clock,
                sources=self.registry.sources,
                notifiers=notifiers,
                context_for=lambda name: context_for("", {"notifier": name}),
                runbooks=lambda: tuple(library.by_name.values()),
                reload=self.reload,
                ready=self._not_ready,
            ),
            settings,
        )
        self.address = await server.start()
        self._stack.push_async_callback(_drain, worker, server)
        self._ready = True
        # After the start: an Alertmanager that is slow to answer must not keep notifications out.
        self._background("reconciler", reconciler.close_what_ended())
        return self.address

    async def reload(self) -> Sequence[str]:
        """Read the runbooks again; a bad set leaves the last good one serving.

        Returns:
            The findings that kept the old set, empty on success.
        """
        try:
            loaded = await asyncio.to_thread(
                store.load_folder, self.settings.runbooks, self.registry
            )
        except store.RunbookErrors as error:
            metrics.RELOAD_SUCCESS.set(0)
            findings = [str(finding) for finding in error.findings]
            log.error("runbooks not reloaded; the last good set is serving", findings=findings)
            await self._record("runbooks.refused", {"findings": findings[:20]})
            return findings
        await self._serve(loaded)
        return ()

    async def _load_first(self) -> None:
        loaded = await asyncio.to_thread(store.load_folder, self.settings.runbooks, self.registry)
        await self._serve(loaded)

    async def _serve(self, loaded: store.RunbookSet) -> None:
        await self._library.replace(loaded.runbooks)
        metrics.RUNBOOKS_LOADED.set(len(loaded.runbooks))
        metrics.RELOAD_SUCCESS.set(1)
        metrics.RELOAD_TIMESTAMP.set(self.clock.now().timestamp())
        log.info("runbooks loaded", count=len(loaded.runbooks))
        versions = {one.name: one.version for one in loaded.runbooks}
        await self._record("runbooks.loaded", {"versions": versions})

    async def _watch(self) -> None:
        every_s = self.settings.reload_every.total_seconds()
        while True:
            await self.clock.sleep(every_s)
            if await asyncio.to_thread(self._watcher.changed):
                await self.reload()

    def _housekeeper(self, journal: Journal) -> Housekeeper:
        settings = self.settings
        path = sqlite_path(settings.journal)
        key = anchors.load_or_make_key(settings.audit.signing_key_file or anchors.beside(path))
        heads = settings.audit.anchor_file or path.with_name(path.name + ".heads.jsonl")

        async def anchor(seq: int, digest: str) -> None:
            head = anchors.sign(key, seq=seq, digest=digest, at=self.clock.now())
            await asyncio.to_thread(anchors.append, heads, head)
            log.info("audit head signed", seq=seq, hash=digest)

        return Housekeeper(
            journal,
            self.clock,
            anchor=anchor,
            anchor_every=settings.audit.anchor_every,
            retention=settings.retention,
        )

    async def _stopped(self, housekeeper: Housekeeper) -> None:
        await self._record("daemon.stopped", {"pid": os.getpid()})
        await housekeeper.anchor()

    def _background(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._part_ended)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._stack.push_async_callback(end)

    def _part_ended(self, task: "asyncio.Task[object]") -> None:
        if not task.cancelled() and task.exception() is not None:
            _complain(task)
            self.broken.set()

    def _not_ready(self) -> Sequence[str]:
        if self.broken.is_set():
            return ("a part of the daemon broke; the log says which",)
        return () if self._ready else ("starting or stopping",)

    async def _record(self, kind: str, details: JSONObject) -> None:
        await self.journal.record([AuditEntry(kind, ACTOR, self.clock.now(), details)])


async def _drain(worker: Worker, server: Server) -> None:
    """Begin nothing new, let requests and changes in hand finish, both at the same time.

    Each has a bound of its own (20 and 10 s), and the announcer has 5 s after them: with what is
    left to close, within the 30 s after which Kubernetes kills.
    """
    # In this order: before a listener that has to be waited for, no run may be claimed any more.
    await asyncio.gather(worker.stop(), server.stop())


def make_clients(settings: Settings) -> "dict[type, Closable]":
    """Make every client; each connects when it is first used."""
    clients: list[Closable] = [
        Kubernetes(settings.kubernetes),
        PrometheusClient(settings.prometheus),
        Alertmanagers(settings.senders),
        HttpClient(),
        ProcessRunner(settings.exec),
        SlackClient(settings.slack),
        PagerDutyClient(settings.pagerduty),
    ]
    return {type(client): client for client in clients}


class Closable(Protocol):
    """Anything that holds connections."""

    async def close(self) -> None:
        """Let them go. Idempotent."""


def configured_notifiers(settings: Settings, registry: Registry) -> Mapping[str, Notifier]:
    """Return the notifiers that the settings give what they need; third-party ones always."""
    without = set()
    if settings.slack.bot_token is None or not settings.slack.channel:
        without.add("slack")
    if settings.pagerduty.routing_key is None:
        without.add("pagerduty")
    for name in (*settings.escalate_to,):
        if name in without or name not in registry.notifiers:
            raise SettingsError(
                f"escalate_to: {name!r} is not configured; the notifiers are "
                f"{', '.join(sorted(set(registry.notifiers) - without)) or 'none'}"
            )
    return {name: one for name, one in registry.notifiers.items() if name not in without}


def _complain(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a part of the daemon broke", part=str(task), exc_info=task.exception())
