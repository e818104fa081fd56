"""The engine over a real journal, in the process, without HTTP; time stands still between calls."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, cast

from remediator.engine.announce import Announcer
from remediator.engine.answers import ApprovalDesk
from remediator.engine.context import PluginContext
from remediator.engine.control import PauseControl, RunControl
from remediator.engine.desk import PeopleDesk
from remediator.engine.hint import Hint
from remediator.engine.intake import IntakeDesk
from remediator.engine.library import Library
from remediator.engine.overrides import OverrideControl
from remediator.engine.people import Directory, Known, Roster
from remediator.engine.ports import AlertSignal, Pace, Ports, Silencer
from remediator.engine.reconcile import Reconciler
from remediator.engine.silences import Remover
from remediator.engine.worker import Worker
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import AuditRecord, Due, Opening, Receipt
from remediator.model import escalation
from remediator.model.alerts import Alert, AlertStatus, Notification, fingerprint
from remediator.model.approvals import Answer
from remediator.model.escalation import Call
from remediator.model.limits import Mode
from remediator.model.policy import Policy
from remediator.model.runs import Run, Step
from remediator.model.views import RunView
from remediator.plugin.action import AnyOperation
from remediator.plugin.context import Context
from remediator.plugin.notifier import Answered, Notifier
from remediator.plugin.registry import Registry
from remediator.plugin.source import Source
from remediator.runbook.compile import compile_runbook
from remediator.runbook.runbook import Runbook
from remediator.testing.alerts import AlertBoard
from remediator.testing.clock import ManualClock
from remediator.testing.counted import Counted
from remediator.testing.loop import SettlingLoop
from remediator.testing.memory import MemoryJournal

# Rounds of the event loop without anything new in the journal after which nothing moves any more:
# a wake-up is passed on from task to task in a handful.
_QUIET_ROUNDS = 40
_POLICY = Policy(mode=Mode.AUTO)
_PACE = Pace(
    concurrency=64,
    poll=timedelta(seconds=2),
    hold=timedelta(seconds=15),
    give_up=timedelta(minutes=30),
)


@dataclass(frozen=True, slots=True)
class Setup:
    """What an `InProcessDaemon` is made of; the defaults let everything through.

    Args:
        operations: the actions and probes that the runbooks may use.
        notifiers: delivered to by the real announcer.
        sources: dialects by name, for bodies that come as bytes.
        clients: what actions get from `ctx.client`.
        groups: approver groups, name → identities.
        silencer: sets and removes the silences of runbooks that want some.
        signal: asked what fires, in place of the daemon's own `AlertBoard`.
        known: all that is known of people, instead of `groups`.
        rosters: lists of people that are kept elsewhere, by prefix.
    """

    operations: Sequence[AnyOperation] = ()
    notifiers: Sequence[Notifier] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    policy: Policy = _POLICY
    clients: Mapping[type, object] | None = None
    groups: Mapping[str, tuple[str, ...]] | None = None
    known: Known | None = None
    rosters: Mapping[str, Roster] = field(default_factory=dict)
    default_approvers: tuple[str, ...] = ("local",)
    escalate_to: tuple[str | Call, ...] = ()
    silencer: Silencer | None = None
    signal: AlertSignal | None = None
    pace: Pace = _PACE
    write_queue: int = 4096


class InProcessDaemon:
    """The engine over a journal in `folder` (None: in memory); `async with` starts and stops it.

    Time stands still between calls. After whatever a test does, `settle` lets everything happen
    that happens without time; `advance` lets time pass and everything that is due with it.
    """

    def __init__(
        self,
        folder: Path | None,
        runbooks: Sequence[str | Runbook],
        setup: Setup | None = None,
        *,
        clock: ManualClock | None = None,
        alerts: AlertBoard | None = None,
    ) -> None:
        self.setup = setup or Setup()
        self.policy = self.setup.policy
        """In force; a test may put another in its place, as a reload does."""
        self.clock = clock or ManualClock()
        self.alerts = alerts or AlertBoard()
        self._memory = MemoryJournal(self.clock) if folder is None else None
        self.journal_file = (folder or Path()) / "journal.db"
        self._sources = list(runbooks)
        self._starts = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []
        self._running = False

    # --- start and stop -------------------------------------------------------------------

    async def start(self) -> None:
        """Open the journal as a daemon does, take up what was in hand, and settle."""
        setup = self.setup
        hint, note_hint = Hint(), Hint()
        notifiers = {notifier.name: notifier for notifier in setup.notifiers}
        operations = {operation.name: operation for operation in setup.operations}
        self.registry = Registry(operations, {}, notifiers)

        def look(due: frozenset[Due]) -> None:
            if Due.RUNS in due:
                hint.poke()
            if Due.NOTES in due:
                note_hint.poke()

        opening = Opening(
            node=f"in-process-{next(self._starts)}",
            subscribers=tuple(n for n, one in notifiers.items() if not one.escalates),
            pagers=tuple(n for n, one in notifiers.items() if one.escalates),
            write_queue=setup.write_queue,
            on_due=look,
        )
        if self._memory is not None:
            opened = await self._memory.open(opening)
        else:
            url = f"sqlite:///{self.journal_file.absolute()}"
            opened = await open_journal(url, self.clock, opening)
        self._opened = opened
        self._counted = Counted(opened)
        self.journal: Journal = cast(Journal, self._counted)
        clients = dict(setup.clients or {})

        def context_for(run_id: str, names: Mapping[str, object]) -> Context:
            return PluginContext(run_id, self.clock, clients, self.journal, names)

        self.library = Library(self.journal, self._compiled)
        await self.load(*self._sources)
        self.intake = IntakeDesk(self.journal, self.library, setup.sources, lambda: None)
        signal = setup.signal or self.alerts
        self.reconciler = Reconciler(self.journal, self.intake, signal, self.clock)
        self.control = RunControl(self.journal, self.library, self.clock)
        self.pauses = PauseControl(self.journal, self.library, self.clock)
        known = setup.known or Known(groups=setup.groups or {})
        directory = Directory(known, self.clock, setup.rosters)
        self.desk = PeopleDesk(
            self.journal,
            self.clock,
            directory,
            ApprovalDesk(self.journal, self.clock, directory),
            self.control,
            self.pauses,
        )
        self.overrides = OverrideControl(
            self.journal, self.library, directory, lambda: self.policy, self.clock
        )
        self.ports = Ports(
            journal=self.journal,
            library=self.library,
            policy_now=lambda: self.policy,
            signal=signal,
            context_for=context_for,
            clock=self.clock,
            pace=setup.pace,
            end=self.reconciler.end,
            default_approvers=setup.default_approvers,
            escalate_to=escalation.calls(*setup.escalate_to),
            silencer=setup.silencer,
            reaches_nobody=frozenset(n for n, one in notifiers.items() if not one.reaches_people),
            on_call=directory.on_call,
        )
        await self.reconciler.close_what_ended()
        await self.reconciler.fetch_truncated()
        self._worker = Worker(self.ports, hint)
        self._announcer = Announcer(
            self.journal,
            notifiers,
            context_for,
            self.clock,
            note_hint,
            escalation.calls(*setup.escalate_to),
        )
        self._tasks = [
            asyncio.create_task(self._worker.run(), name="worker"),
            asyncio.create_task(self._announcer.run(), name="announcer"),
        ]
        if setup.silencer is not None:
            remover = Remover(self.journal, setup.silencer, self.clock)
            self._tasks.append(asyncio.create_task(remover.run(), name="silences"))
        self._running = True
        await self.settle()

    async def stop(self) -> None:
        """Stop as on SIGTERM: what is in hand is journalled first. Idempotent."""
        if self._running:
            await self._worker.stop()
            await self._announcer.stop()
            await self._end()

    async def crash(self) -> None:
        """Drop everything where it stands; only what the journal holds is left."""
        self._tasks += [t for t in asyncio.all_tasks() if t.get_name().startswith("run ")]
        await self._end()

    async def restart(self) -> None:
        """Crash, and start on what the journal holds."""
        await self.crash()
        await self.start()

    async def _end(self) -> None:
        self._running = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._opened.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def force(self, *runbooks: str | Runbook) -> None:
        """Let other runbooks be in force from the next start on."""
        self._sources = list(runbooks)

    async def load(self, *runbooks: str | Runbook) -> None:
        """Put other runbooks into force, as a reload does: compiled ones, or their text.

        Raises:
            remediator.runbook.findings.RunbookErrors: with every fault.
        """
        self.force(*runbooks)
        await self.library.replace(
            [
                self._compiled(one, f"runbook-{number}.yaml") if isinstance(one, str) else one
                for number, one in enumerate(runbooks, start=1)
            ]
        )

    def _compiled(self, source: str, file: str) -> Runbook:
        return compile_runbook(source, file, self.registry)

    # --- time -----------------------------------------------------------------------------

    async def settle(self) -> None:
        """Return when nothing moves any more until time passes or somebody acts."""
        loop = asyncio.get_running_loop()
        if isinstance(loop, SettlingLoop):
            await loop.idle()
            while not self._counted.idle.is_set():  # a journal in a file has threads of its own
                await self._counted.idle.wait()
                await loop.idle()
            return
        quiet = 0
        while quiet < _QUIET_ROUNDS:
            begun = self._counted.begun
            await asyncio.sleep(0)
            await self._counted.idle.wait()
            quiet = quiet + 1 if self._counted.begun == begun else 0

    async def advance(self, span: timedelta) -> None:
        """Let time pass; whatever is due on the way happens at its time."""
        until = self.clock.now() + span
        await self.settle()
        while (moment := await self._next_moment()) is not None and moment < until:
            self.clock.advance(moment - self.clock.now())
            await self.settle()
        self.clock.advance(until - self.clock.now())
        await self.settle()

    async def _next_moment(self) -> datetime | None:
        """When something is due. Sleepers without a run in hand only look whether there is."""
        due = [await self._opened.next_wake(), await self._opened.outbox_wake()]
        known = [moment for moment in due if moment is not None]
        if self._worker.in_hand or any(moment <= self.clock.now() for moment in known):
            return self.clock.next_wake
        return min(known, default=None)

    # --- what senders and people do -------------------------------------------------------

    async def fire(self, *, tell: bool = True, **labels: str) -> Receipt | None:
        """Let an alert with these labels fire; with `tell` the notification arrives too."""
        alert = Alert(
            AlertStatus.FIRING,
            labels,
            {},
            self.clock.now(),
            None,
            "http://prometheus.example/graph",
            fingerprint(labels),
        )
        self.alerts.fire(alert)
        return await self.notify(alert) if tell else None

    async def clear(self, *, tell: bool = True, **labels: str) -> Receipt | None:
        """Let it stop; with `tell` its *resolved* arrives too."""
        self.alerts.clear(labels)
        now = self.clock.now()
        resolved = Alert(AlertStatus.RESOLVED, labels, {}, now, now, "", fingerprint(labels))
        return await self.notify(resolved) if tell else None

    async def notify(self, *alerts: Alert, sender: str = "default") -> Receipt:
        """Let a notification arrive, whatever really fires, and settle."""
        return await self.take(_notification(alerts), sender=sender)

    async def take(self, notification: Notification, *, sender: str = "default") -> Receipt:
        """Let a notification of a group arrive, and settle."""
        now = self.clock.now()
        candidates = self.intake.matched(notification, now)
        receipt = await self.intake.take(
            sender, "in-process", b"{}", now, candidates, truncated=notification.truncated
        )
        await self.settle()
        return receipt

    async def decide(
        self, run_id: str, answer: Answer = Answer.APPROVE, *, actor: str = "local"
    ) -> Answered:
        """Answer the run's newest question, and settle.

        Raises:
            remediator.plugin.notifier.NotAuthorised: the actor may not.
            LookupError: the run asks nothing.
        """
        question = (await self.view(run_id)).approval
        if question is None:
            raise LookupError(f"run {run_id} asks nothing")
        answered = await self.desk.decide(
            question.id, actor=actor, answer=answer, reason="", via="in-process"
        )
        await self.settle()
        return answered

    # --- what is to be seen ---------------------------------------------------------------

    async def runs(self) -> Sequence[Run]:
        """Return every run, oldest first."""
        return tuple(reversed((await self._opened.runs(limit=500)).items))

    async def view(self, run_id: str) -> RunView:
        """Return everything about a run.

        Raises:
            LookupError: there is no such run.
        """
        found = await self._opened.view(run_id)
        if found is None:
            raise LookupError(f"there is no run {run_id}")
        return found

    async def steps(self, run_id: str) -> Sequence[Step]:
        """Return all attempts of all steps of a run."""
        return await self._opened.steps(run_id)

    async def audit(self, run_id: str | None = None) -> Sequence[AuditRecord]:
        """Return the chain, or a run's part of it, in order."""
        found: list[AuditRecord] = []
        while page := await self._opened.audit(
            after=found[-1].seq if found else 0, run_id=run_id, limit=1000
        ):
            found += page
        return found


def _notification(alerts: Sequence[Alert]) -> Notification:
    firing = any(alert.firing for alert in alerts)
    return Notification(
        receiver="in-process",
        status=AlertStatus.FIRING if firing else AlertStatus.RESOLVED,
        group_key="{}",
        group_labels={},
        common_labels={},
        common_annotations={},
        external_url="",
        alerts=tuple(alerts),
    )
