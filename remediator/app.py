"""The only wiring: builds the daemon out of settings, starts it, stops it.

Parts are started in the order in which they are needed and stopped last in, first out: no new
claim and no new request, then what is in hand is journalled, then told. Called by `cli` and
`testing`.
"""

import asyncio
import itertools
import os
import secrets
import socket
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from remediator.clients import apprise as apprise_client
from remediator.clients.alertmanager import Alertmanagers
from remediator.clients.apprise import AppriseClient
from remediator.clients.grafana import GrafanaClient
from remediator.clients.http import HttpClient
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.mail import MailClient
from remediator.clients.opsgenie import OpsgenieClient
from remediator.clients.pagerduty import PagerDutyClient
from remediator.clients.process import ProcessRunner
from remediator.clients.prometheus import PrometheusClient
from remediator.clients.silences import AlertmanagerSilences
from remediator.clients.slack.client import SlackClient
from remediator.clients.teams import TeamsClient
from remediator.clients.webhooks import WebhookClient
from remediator.engine import housekeeping, lane, reconcile, silences
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
from remediator.engine.people import Directory, Known, Roster
from remediator.engine.ports import Pace, Ports
from remediator.engine.reconcile import Reconciler
from remediator.engine.rosters import Schedules, SlackGroups
from remediator.engine.worker import Worker
from remediator.journal import anchors
from remediator.journal.opening import open_journal
from remediator.journal.protocol import (
    AuditEntry,
    Due,
    Journal,
    JournalUnavailable,
    Opening,
    Overloaded,
)
from remediator.model import escalation
from remediator.model.canonical import JSONObject
from remediator.model.clock import Clock
from remediator.model.oncall import OnCall
from remediator.observe import logs, masking, metrics
from remediator.plugin import registry as plugins
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier
from remediator.plugin.registry import Registry
from remediator.runbook import oncall_file, people, policy_file, store
from remediator.runbook.compile import compile_runbook
from remediator.runbook.policy_file import PolicySource
from remediator.settings import Settings, SettingsError, Wanted, doubts
from remediator.web.server import Address, Server
from remediator.web.services import Services

# A tenth of what a run may wait for its first change; each look is a claim and a few reads.
_LOOKS_APART_S = 0.005
# People read notes; nobody waits for one.
_NOTES_APART_S = 0.05

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
        self._library: Library
        self._policy = policy_file.of_settings(settings.policy)
        self._names: people.Names
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
        hint, note_hint = Hint(_LOOKS_APART_S), Hint(_NOTES_APART_S)
        # New at each start: in containers the host's name and process 1 come again.
        node = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        notifiers = configured_notifiers(settings, self.registry)
        masking.patterns(settings.mask)
        for _, doubt in doubts(settings):
            log.warning(doubt)
        self._names = await asyncio.to_thread(names_in, settings)
        for name, schedule in self._names.schedules.items():
            for gap in itertools.islice(schedule.gaps(after=clock.now()) if schedule else (), 3):
                log.warning("a schedule has a gap", schedule=name, gap=str(gap))

        self.journal = journal = await self._open_journal(node, notifiers, hint, note_hint)
        self._stack.push_async_callback(journal.close)
        clients = make_clients(settings, clock)
        for client in clients.values():
            self._stack.push_async_callback(client.close)
        alertmanagers = clients[Alertmanagers]
        assert isinstance(alertmanagers, Alertmanagers)  # noqa: S101 - made a line above

        silencer = AlertmanagerSilences(settings.senders, clock)
        self._stack.push_async_callback(silencer.close)

        def context_for(run_id: str, names: Mapping[str, object]) -> Context:
            return PluginContext(run_id, clock, clients, journal, names)

        self._library = library = Library(
            journal, lambda source, file: compile_runbook(source, file, self.registry)
        )
        await self._record("daemon.started", {"pid": os.getpid(), "node": node})
        await journal.straighten(at=clock.now())
        self._watcher = store.Watcher(
            settings.runbooks, also=[settings.policy_file] if settings.policy_file else []
        )
        await self._load_first()
        truncated = Hint()
        intake = IntakeDesk(journal, library, self.registry.sources, truncated.poke)
        reconciler = Reconciler(
            journal, intake, alertmanagers, clock, every=settings.reconcile_every, hint=truncated
        )
        ports = Ports(
            journal=journal,
            library=library,
            policy_now=lambda: self._policy.policy,
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
        housekeeper = self._housekeeper(journal)
        self._background("housekeeper", housekeeper.run())
        self._stack.push_async_callback(self._stopped, housekeeper)
        self._background("runbook watcher", self._watch())
        worker = Worker(ports, hint)
        self._background("worker", worker.run())
        self._stack.push_async_callback(worker.stop)
        directory = Directory(Known.of(settings), clock, rosters(settings, clients))
        runs = RunControl(journal, library, clock)
        controls = PauseControl(journal, library, clock)
        desk = PeopleDesk(
            journal, clock, directory, ApprovalDesk(journal, clock, directory), runs, controls
        )
        listening = Listening(notifiers, desk, context_for)
        server = Server(
            Services(
                intake=intake,
                journal=journal,
                desk=desk,
                runs=runs,
                controls=controls,
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
        self._stack.push_async_callback(self._drain, worker, server)
        listening.start()
        self._stack.push_async_callback(listening.stop)
        self._ready = True
        # After the start: an Alertmanager that is slow to answer must not keep notifications out.
        self._background("reconciler", reconciler.run())
        return self.address

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
                    *(lane.DUTY.format(name) for name in (*notifiers, lane.NOBODY)),
                ),
            ),
            postgres=settings.postgres,
        )

    async def reload(self) -> Sequence[str]:
        """Read the runbooks and the policy again; a fault in either leaves the last good ones of
        both in force.

        Returns:
            The findings that kept the old set, empty on success.
        """
        try:
            loaded, policy = await asyncio.to_thread(self._loaded)
        except store.RunbookErrors as error:
            findings = [str(finding) for finding in error.findings]
            return await self._refuse(findings)
        if self._library.by_name and not loaded.runbooks:
            # An empty mount or a wrong path is likelier than the wish to treat nothing any more.
            return await self._refuse(["no runbook is left; start anew to serve none"])
        await self._serve(loaded, policy)
        return ()

    async def _refuse(self, findings: Sequence[str]) -> Sequence[str]:
        metrics.RELOAD_SUCCESS.set(0)
        log.error(
            "runbooks and policy not reloaded; the last good ones are in force",
            findings=list(findings),
        )
        await self._record("runbooks.refused", {"findings": list(findings[:20])})
        return findings

    async def _load_first(self) -> None:
        await self._serve(*await asyncio.to_thread(self._loaded), first=True)

    def _loaded(self) -> tuple[store.RunbookSet, PolicySource]:
        """Load the runbooks and the policy, and hold the runbooks against the settings.

        Raises:
            RunbookErrors: with every fault.
        """
        settings = self.settings
        found: list[store.Finding] = []
        policy, loaded = self._policy, store.RunbookSet(())
        try:
            policy = policy_in(settings)
        except store.RunbookErrors as error:
            found += error.findings
        try:
            loaded = store.load_folder(settings.runbooks, self.registry)
            found += people.check(
                loaded.runbooks,
                names=self._names,
                default_approvers=settings.default_approvers,
                notifiers=people_reached(configured_notifiers(settings, self.registry)),
            )
        except store.RunbookErrors as error:
            found += error.findings
        if found:
            raise store.RunbookErrors(found)
        return loaded, policy

    async def _serve(
        self, loaded: store.RunbookSet, policy: PolicySource, *, first: bool = False
    ) -> None:
        if first or policy.digest != self._policy.digest:
            # On record before anything is judged by it.
            await self._record(
                "policy.loaded", {"file": policy.file or "settings", "digest": policy.digest}
            )
            log.info("policy loaded", file=policy.file or "settings", digest=policy.digest)
        await self._library.replace(loaded.runbooks)
        self._policy = policy
        metrics.RUNBOOKS_LOADED.set(len(loaded.runbooks))
        metrics.RELOAD_SUCCESS.set(1)
        metrics.RELOAD_TIMESTAMP.set(self.clock.now().timestamp())
        log.info("runbooks loaded", count=len(loaded.runbooks))
        versions = {one.name: one.version for one in loaded.runbooks}
        await self._record("runbooks.loaded", {"versions": versions})

    async def _watch(self) -> None:
        every_s = self.settings.reload_every.total_seconds()
        changed = False
        while True:
            await self.clock.sleep(every_s)
            if not changed and not await asyncio.to_thread(self._watcher.changed):
                continue
            try:
                await self.reload()
                changed = False
            except (JournalUnavailable, Overloaded) as error:
                changed = True  # the new set must be in the journal before a run may refer to it
                log.warning("runbooks not reloaded yet; tried again", error=str(error))

    def _housekeeper(self, journal: Journal) -> Housekeeper:
        settings = self.settings
        places = anchors.places(settings.journal, settings.audit)
        key = anchors.load_or_make_key(places.key)

        async def anchor(seq: int, digest: str) -> None:
            head = anchors.sign(key, seq=seq, digest=digest, at=self.clock.now())
            await asyncio.to_thread(anchors.append, places.heads, head)
            # Whole, so that whoever keeps the log can hold the chain against it.
            log.info("audit head signed", head=anchors.to_line(head))

        return Housekeeper(
            journal,
            self.clock,
            anchor=anchor,
            anchor_every=settings.audit.anchor_every,
            retention=settings.retention,
            audit_retention=settings.audit.retention,
            library=self._library,
            policy_now=lambda: self._policy.policy,
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


def policy_in(settings: Settings) -> PolicySource:
    """Return the policy that the settings hold or name.

    Raises:
        RunbookErrors: the policy file has faults.
    """
    if settings.policy_file is None:
        return policy_file.of_settings(settings.policy)
    return policy_file.load(settings.policy_file)


def make_clients(settings: Settings, clock: Clock | None = None) -> "dict[type, Closable]":
    """Make every client; each connects when it is first used."""
    ticking = clock or SystemClock()
    clients: list[Closable] = [
        Kubernetes(settings.kubernetes),
        PrometheusClient(settings.prometheus),
        Alertmanagers(settings.senders),
        HttpClient(),
        ProcessRunner(settings.exec),
        SlackClient(settings.slack, settings.groups, monotonic=ticking.monotonic),
        PagerDutyClient(settings.pagerduty),
        OpsgenieClient(settings.opsgenie),
        TeamsClient(settings.teams),
        WebhookClient(settings.webhooks),
        MailClient(settings.email),
        GrafanaClient(settings.grafana),
        AppriseClient(settings.apprise),
    ]
    return {type(client): client for client in clients}


def names_in(settings: Settings) -> people.Names:
    """Return the names of people that the settings know.

    Raises:
        SettingsError: one of them can't be what it should be; the text has all such faults.
    """
    faults: list[str] = []
    schedules: dict[str, OnCall | None] = {}
    for name, schedule in settings.schedules.items():
        schedules[name] = None
        if schedule.file is not None:
            try:
                schedules[name] = oncall_file.load(schedule.file)
            except store.RunbookErrors as error:
                faults += [f"schedules.{name}: {one}" for one in error.findings]
        elif settings.pagerduty.api_token is None:
            faults.append(f"schedules.{name}: asks PagerDuty; set pagerduty.api_token")
    names = people.Names(
        settings.groups, settings.people, schedules, settings.slack.bot_token is not None
    )
    faults += people.faults(settings, names)
    if faults:
        raise SettingsError("\n".join(faults))
    return names


def rosters(settings: Settings, clients: Mapping[type, object]) -> Mapping[str, Roster]:
    """Return the lists of people that are kept elsewhere, by the prefix of their names."""
    slack, pagerduty = clients[SlackClient], clients[PagerDutyClient]
    assert isinstance(slack, SlackClient)  # noqa: S101 - made by `make_clients`
    assert isinstance(pagerduty, PagerDutyClient)  # noqa: S101 - likewise
    return {
        "slack-group": SlackGroups(slack),
        "schedule": Schedules(settings.schedules, pagerduty),
    }


class Closable(Protocol):
    """Anything that holds connections."""

    async def close(self) -> None:
        """Let them go. Idempotent."""


def configured_notifiers(settings: Settings, registry: Registry) -> Mapping[str, Notifier]:
    """Return the notifiers that the settings give what they need; third-party ones always."""
    configured = dict(_destinations(settings, registry))
    without = {name for name, one in registry.notifiers.items() if one.destinations}
    if settings.slack.bot_token is None or not settings.slack.channel:
        without.add("slack")
    if not (settings.pagerduty.configured and settings.pagerduty.change_events):
        without.add("pagerduty-changes")
    without |= {
        name
        for name, section in (
            ("pagerduty", settings.pagerduty),
            ("opsgenie", settings.opsgenie),
            ("teams", settings.teams),
            ("email", settings.email),
            ("grafana", settings.grafana),
        )
        if not section.configured
    }
    configured |= {name: one for name, one in registry.notifiers.items() if name not in without}
    callable_ = people_reached(configured)
    for name in escalation.names(settings.escalate_to):
        if name not in callable_:
            raise SettingsError(
                f"escalate_to: {name!r} is not configured, or reaches nobody; these do: "
                f"{', '.join(sorted(callable_)) or 'none'}"
            )
    return configured


def people_reached(notifiers: Mapping[str, Notifier]) -> frozenset[str]:
    """Return the names of those through which a person can be called."""
    return frozenset(name for name, one in notifiers.items() if one.reaches_people)


def _destinations(settings: Settings, registry: Registry) -> Iterator[tuple[str, Notifier]]:
    webhook = registry.notifiers.get("webhook")
    for name, endpoint in settings.webhooks.items() if webhook else ():
        pager = endpoint.notes is Wanted.ESCALATIONS
        assert webhook is not None  # noqa: S101 - asked above
        yield f"webhook:{name}", webhook.at(name, escalates=pager)
    apprise = registry.notifiers.get("apprise")
    if settings.apprise and not apprise_client.installed():
        raise SettingsError(f"apprise: {apprise_client.INSTALL}")
    for name in settings.apprise if apprise else ():
        assert apprise is not None  # noqa: S101 - asked above
        yield f"apprise:{name}", apprise.at(name, escalates=False)


def _complain(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a part of the daemon broke", part=str(task), exc_info=task.exception())
