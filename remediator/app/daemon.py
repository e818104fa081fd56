"""One daemon: its parts, built, started and stopped.

Parts are started in the order in which they are needed and stopped last in, first out: no new
claim and no new request, then what is in hand is journalled, then told.
"""

import asyncio
import itertools
import os
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from remediator.app import parts, reporting
from remediator.app.reporting import Reporter
from remediator.app.rulebook import Rulebook
from remediator.app.watching import Shelf
from remediator.clients.alertmanager import Alertmanagers
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.silences import AlertmanagerSilences
from remediator.clients.slack.client import SlackClient
from remediator.engine import courier, housekeeping, reconcile, silences
from remediator.engine.announce import Announcer
from remediator.engine.answers import ApprovalDesk
from remediator.engine.clock import SystemClock
from remediator.engine.context import PluginContext
from remediator.engine.control import PauseControl, RunControl
from remediator.engine.desk import PeopleDesk
from remediator.engine.hand import ACTOR
from remediator.engine.hint import Hint
from remediator.engine.housekeeping import Housekeeper
from remediator.engine.intake import IntakeDesk
from remediator.engine.library import Library
from remediator.engine.links import Links
from remediator.engine.listening import Listening
from remediator.engine.overrides import OverrideControl
from remediator.engine.people import Directory, Known
from remediator.engine.ports import ContextFor, Pace, Ports
from remediator.engine.reconcile import Reconciler
from remediator.engine.track import TrackRecord
from remediator.engine.trust import TrustDesk
from remediator.engine.worker import Worker
from remediator.journal import anchors
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import AuditEntry, Due, JournalUnavailable, Opening, Overloaded
from remediator.model.canonical import JSONObject
from remediator.model.clock import Clock
from remediator.observe import logs, masking
from remediator.plugin import registry as plugins
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier
from remediator.plugin.registry import Registry
from remediator.runbook.compile import compile_runbook
from remediator.settings import Settings, doubts
from remediator.web.server import Address, Server
from remediator.web.services import Services

# A tenth of what a run may wait for its first change; each look is a claim and a few reads.
_LOOKS_APART_S = 0.005
# People read notes; nobody waits for one.
_NOTES_APART_S = 0.05
# Whoever applies a folder of resources makes one change of it, and whoever writes one again and
# again costs no more than a load of all of them a second.
_RESOURCES_APART_S = 1.0
# A cluster that is slow to answer must not keep notifications out.
_FIRST_LISTS = timedelta(seconds=5)

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
        self.dead = False
        """Set when other replicas declared this one dead, after a pause that was longer than its
        lease: what it had in hand is theirs. A new daemon in its place joins as a new node."""
        self.journal: Journal
        self._rulebook: Rulebook
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
        hint, note_hint = Hint(_LOOKS_APART_S), Hint(_NOTES_APART_S)
        # New at each start: in containers the host's name and process 1 come again.
        node = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        notifiers = parts.configured_notifiers(settings, self.registry)
        masking.patterns(settings.mask)
        for _, doubt in doubts(settings):
            log.warning(doubt)
        names = await asyncio.to_thread(parts.names_in, settings)
        for name, schedule in names.schedules.items():
            for gap in itertools.islice(schedule.gaps(after=clock.now()) if schedule else (), 3):
                log.warning("a schedule has a gap", schedule=name, gap=str(gap))

        self.journal = journal = await self._open_journal(node, notifiers, hint, note_hint)
        self._stack.push_async_callback(journal.close)
        clients = parts.make_clients(settings, clock)
        for client in clients.values():
            self._stack.push_async_callback(client.close)
        alertmanagers = clients[Alertmanagers]
        assert isinstance(alertmanagers, Alertmanagers)  # noqa: S101 - made a line above

        silencer = AlertmanagerSilences(settings.senders, clock)
        self._stack.push_async_callback(silencer.close)

        def context_for(run_id: str, names: Mapping[str, object]) -> Context:
            return PluginContext(run_id, clock, clients, journal, names)

        library = Library(
            journal, lambda source, file: compile_runbook(source, file, self.registry)
        )
        await self._record("daemon.started", {"pid": os.getpid(), "node": node})
        await journal.straighten(at=clock.now())
        self._rulebook = rulebook = Rulebook(
            settings, self.registry, library, names, clock, self._record
        )
        follow = await self._load_first(clients)
        directory = Directory(Known.of(settings), clock, parts.rosters(settings, clients))
        slack = clients[SlackClient]
        assert isinstance(slack, SlackClient)  # noqa: S101 - likewise
        slack.on_call = directory.on_call
        truncated = Hint()
        intake = IntakeDesk(journal, library, self.registry.sources, truncated.poke)
        reconciler = Reconciler(
            journal, intake, alertmanagers, clock, every=settings.reconcile_every, hint=truncated
        )
        ports = Ports(
            journal=journal,
            library=library,
            policy_now=lambda: rulebook.policy,
            signal=alertmanagers,
            context_for=context_for,
            clock=clock,
            pace=Pace(
                concurrency=settings.worker.concurrency,
                poll=settings.worker.poll,
                hold=settings.worker.hold,
                give_up=settings.worker.give_up,
            ),
            end=reconciler.end,
            default_approvers=settings.default_approvers,
            escalate_to=settings.escalate_to,
            silencer=silencer,
            reaches_nobody=frozenset(notifiers) - parts.people_reached(notifiers),
            on_call=directory.on_call,
            unconfined=frozenset(settings.resources.unconfined),
        )

        self._background("silences", silences.Remover(journal, silencer, clock).run())
        announcer = Announcer(
            journal,
            notifiers,
            context_for,
            clock,
            note_hint,
            settings.escalate_to,
            Links(settings.links, settings.external_url),
        )
        self._background("announcer", announcer.run())
        self._stack.push_async_callback(announcer.stop)
        housekeeper = self._housekeeper(library)
        self._background("housekeeper", housekeeper.run())
        self._stack.push_async_callback(self._stopped, housekeeper)
        self._background("runbook watcher", rulebook.watch())
        follow()
        worker = Worker(ports, hint)
        self._background("worker", worker.run())
        self._stack.push_async_callback(worker.stop)
        desk, server = self._edge(ports, intake, notifiers, directory, context_for)
        listening = Listening(notifiers, desk, context_for, clock)
        self.address = await server.start()
        self._stack.push_async_callback(self._drain, worker, server)
        listening.start()
        self._stack.push_async_callback(listening.stop)
        self._ready = True
        # After the start: an Alertmanager that is slow to answer must not keep notifications out.
        self._background("reconciler", reconciler.run())
        return self.address

    async def _load_first(self, clients: Mapping[type, object]) -> Callable[[], None]:
        """Put runbooks and the policy into force: those in files, and where that is wanted those
        that the cluster holds.

        Returns:
            What follows the cluster's changes from then on.

        Raises:
            RunbookErrors: a file has faults.
        """
        settings, rulebook = self.settings.resources, self._rulebook
        if not settings.enabled:
            await rulebook.load_first()
            return lambda: None
        cluster = clients[Kubernetes]
        assert isinstance(cluster, Kubernetes)  # noqa: S101 - made by `make_clients`
        changed, taken_up = Hint(_RESOURCES_APART_S), Hint(_RESOURCES_APART_S)
        shelf = Shelf(settings, cluster, self.clock, changed.poke)
        rulebook.put_beside(shelf)
        self._background("resources", shelf.run())
        await shelf.settled(_FIRST_LISTS)
        await rulebook.load_first()

        def follow() -> None:
            reporter = Reporter(
                cluster,
                self.journal,
                rulebook,
                shelf,
                self.clock,
                every=settings.status_every,
                hint=taken_up,
            )
            self._background("resource watcher", rulebook.watch_resources(changed, taken_up))
            self._background("resource reporter", reporter.run())

        return follow

    def _edge(
        self,
        ports: Ports,
        intake: IntakeDesk,
        notifiers: Mapping[str, Notifier],
        directory: Directory,
        context_for: ContextFor,
    ) -> tuple[PeopleDesk, Server]:
        """Make what people and senders meet."""
        settings, clock, journal, library = self.settings, self.clock, ports.journal, ports.library
        runs = RunControl(journal, library, clock)
        controls = PauseControl(journal, library, clock)
        answers = ApprovalDesk(journal, clock, directory)
        desk = PeopleDesk(journal, clock, directory, answers, runs, controls)
        trust = TrustDesk(
            ports,
            OverrideControl(journal, library, directory, lambda: ports.policy, clock),
            TrackRecord(journal, library, lambda: ports.policy, clock),
            self.registry.sources["alertmanager"].parse,
            lambda: self._rulebook.source,
        )
        server = Server(
            Services(
                intake=intake,
                journal=journal,
                desk=desk,
                people=desk,
                runs=runs,
                controls=controls,
                trust=trust,
                clock=clock,
                sources=self.registry.sources,
                notifiers=notifiers,
                context_for=lambda name: context_for("", {"notifier": name}),
                runbooks=lambda: tuple(library.by_name.values()),
                reload=self._rulebook.reload,
                ready=self._not_ready,
            ),
            settings,
        )
        return desk, server

    async def _open_journal(
        self, node: str, notifiers: Mapping[str, Notifier], hint: Hint, note_hint: Hint
    ) -> Journal:
        settings = self.settings

        def look(due: frozenset[Due]) -> None:
            if Due.RUNS in due:
                hint.poke()
            if Due.NOTES in due:
                note_hint.poke()

        return await open_journal(
            settings.journal,
            self.clock,
            Opening(
                node=node,
                subscribers=tuple(n for n, one in notifiers.items() if not one.escalates),
                pagers=tuple(n for n, one in notifiers.items() if one.escalates),
                write_queue=settings.http.write_queue,
                on_due=look,
                on_broken=self.broken.set,
                on_dead=self._die,
                duties=(
                    housekeeping.DUTY,
                    reconcile.DUTY,
                    silences.DUTY,
                    *((reporting.DUTY,) if settings.resources.enabled else ()),
                    *(courier.DUTY.format(name) for name in (*notifiers, courier.NOBODY)),
                ),
            ),
            postgres=settings.postgres,
        )

    def _housekeeper(self, library: Library) -> Housekeeper:
        settings = self.settings
        places = anchors.places(settings.journal, settings.audit)
        key = anchors.load_or_make_key(places.key)

        async def anchor(seq: int, digest: str) -> None:
            head = anchors.sign(key, seq=seq, digest=digest, at=self.clock.now())
            await asyncio.to_thread(anchors.append, places.heads, head)
            # Whole, so that whoever keeps the log can hold the chain against it.
            log.info("audit head signed", head=anchors.to_line(head))

        return Housekeeper(
            self.journal,
            self.clock,
            anchor=anchor,
            anchor_every=settings.audit.anchor_every,
            retention=settings.retention,
            audit_retention=settings.audit.retention,
            library=library,
            policy_now=lambda: self._rulebook.policy,
        )

    async def _stopped(self, housekeeper: Housekeeper) -> None:
        if self.dead:
            return  # others go on with the chain
        try:
            await self._record("daemon.stopped", {"pid": os.getpid()})
            await housekeeper.anchor()
        except (JournalUnavailable, Overloaded, OSError) as error:
            log.warning("the end is not on record", error=str(error))

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

    def _die(self) -> None:
        if self.dead:
            return
        log.error("this node was declared dead; it starts anew, and others carry on what it had")
        self.dead = True
        self.broken.set()

    async def _drain(self, worker: Worker, server: Server) -> None:
        """Begin nothing new, let requests and changes in hand finish, both at the same time.

        Each has a bound of its own (20 and 10 s), and the announcer has 5 s after them: with what
        is left to close, within the 30 s after which Kubernetes kills.
        """
        if self.dead:
            await worker.abandon()
        # In this order: before a listener that has to be waited for, no run may be claimed any
        # more.
        await asyncio.gather(worker.stop(), server.stop())

    def _not_ready(self) -> Sequence[str]:
        if self.broken.is_set():
            return ("a part of the daemon broke; the log says which",)
        if self._ready and not self.journal.writable:
            return ("the journal can't be written",)
        return () if self._ready else ("starting or stopping",)

    async def _record(self, kind: str, details: JSONObject) -> None:
        await self.journal.record([AuditEntry(kind, ACTOR, self.clock.now(), details)])


def _complain(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a part of the daemon broke", part=str(task), exc_info=task.exception())
