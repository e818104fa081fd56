"""Builders of the journal's input, with defaults that each test overrides where it matters."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import asyncpg

from remediator.journal.protocol import Journal
from remediator.journal.values import (
    Candidate,
    Guard,
    Intake,
    Receipt,
    RunbookRecord,
    RunStart,
    RunUpdate,
    UpdateOutcome,
)
from remediator.model.alerts import Alert, AlertStatus
from remediator.model.alerts import fingerprint as fingerprint_of
from remediator.model.approvals import Answer, ApprovalRequest, ApprovalStatus, Decision
from remediator.model.clock import Timer
from remediator.model.history import History
from remediator.model.plans import Change, Impact, Plan, Target, WayBack
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step, StepState, Trigger
from remediator.model.verdicts import Ruling, Verdict

T0 = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RUNBOOK = RunbookRecord(
    version="v1",
    name="scale-out",
    file="runbooks/scale-out.yaml",
    source="name: scale-out",
    description="Scale out while it is slow.",
    owner="team-shop",
    links={"dashboard": "https://grafana.example/d/1"},
)


def after(**parts: float) -> datetime:
    """Return the time that is so long after T0."""
    return T0 + timedelta(**parts)


class HandClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = T0

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self.time

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return (self.time - T0).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """See `Clock.after`."""
        raise AssertionError("the journal sets no timers")


def alert(
    name: str = "api",
    *,
    firing: bool = True,
    starts_at: datetime = T0,
    ends_at: datetime | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Alert:
    """Return an alert; a resolved one ends at T0 + 10 minutes unless told otherwise."""
    labels = {"alertname": "HighLatency", "deployment": name}
    return Alert(
        status=AlertStatus.FIRING if firing else AlertStatus.RESOLVED,
        labels=labels,
        annotations=annotations or {"summary": f"{name} is slow"},
        starts_at=starts_at,
        ends_at=None if firing else ends_at or after(minutes=10),
        generator_url="http://prometheus.example/graph",
        fingerprint=fingerprint_of(labels),
    )


def start(
    runbook: str = "scale-out",
    *,
    trigger: Trigger = Trigger.FIRING,
    wake_at: datetime = T0,
) -> RunStart:
    """Return a run to be started."""
    return RunStart(
        runbook=runbook,
        version=RUNBOOK.version,
        trigger=trigger,
        wake_at=wake_at,
        context={"alert": {"labels": {"deployment": "api"}}},
    )


def notification(
    *candidates: Candidate | Alert, sender: str = "main", at: datetime = T0, body: bytes = b"{}"
) -> Intake:
    """Return a notification; a bare alert starts no runs."""
    return Intake(
        sender=sender,
        source="alertmanager",
        received_at=at,
        body=body,
        truncated=0,
        candidates=tuple(Candidate(c) if isinstance(c, Alert) else c for c in candidates),
    )


def starting(name: str = "api", **more: Any) -> Candidate:
    """Return a firing alert with a run."""
    return Candidate(alert(name, **more), on_firing=(start(),))


async def take(journal: Journal, *candidates: Candidate | Alert, at: datetime = T0) -> Receipt:
    """Register the runbook and take one notification."""
    await journal.register([RUNBOOK])
    return await journal.take(notification(*candidates, at=at))


async def resolve(journal: Journal, name: str = "api") -> Receipt:
    """Resolve the alert at T0 + 10 minutes."""
    return await take(journal, alert(name, firing=False), at=after(minutes=10))


async def claimed(journal: Journal, name: str = "api") -> Run:
    """Start a run for an alert and claim it."""
    await take(journal, starting(name))
    (run,) = await journal.claim(at=T0, limit=1)
    return run


async def move(journal: Journal, run: Run, *states: RunState, **more: Any) -> Run:
    """Lead a claimed run through these states; `more` belongs to the last."""
    for state in states[:-1]:
        outcome = await journal.write(update(run, state))
        assert outcome.run is not None, outcome
    outcome = await journal.write(update(run, states[-1], **more))
    assert outcome.run is not None, outcome
    return outcome.run


def update(run: Run, to: RunState, **more: Any) -> RunUpdate:
    """Return a transition of a claimed run."""
    given: dict[str, Any] = {"reason": Reason.WATCHING, "at": T0, "message": f"now {to}", **more}
    return RunUpdate(run_id=run.id, epoch=run.epoch, to=to, **given)


def plan(name: str = "api", *, pods: int = 2, empty: bool = False) -> Plan:
    """Return a plan to scale a Deployment out."""
    return Plan(
        action="kubernetes.scale",
        target=Target("kubernetes", "Deployment", "shop", name, uid="u-1"),
        changes=() if empty else (Change("spec.replicas", 4, 6),),
        impact=Impact(pods=pods, of_pods=4),
        summary="replicas 4 → 6",
        way_back=WayBack("replicas 6 → 4", {"replicas": 4}),
    )


def step(
    run: Run,
    state: StepState = StepState.STARTED,
    *,
    sequence: int = 0,
    attempt: int = 1,
    plan_: Plan | None = None,
    started_at: datetime | None = T0,
) -> Step:
    """Return an attempt of a step that changes something."""
    return Step(
        run_id=run.id,
        sequence=sequence,
        attempt=attempt,
        step_id=f"step-{sequence}",
        action="kubernetes.scale",
        state=state,
        plan=plan_ or plan(),
        params={"by": 2},
        message="scaling",
        output={"replicas": 6},
        changed=state is StepState.DONE,
        started_at=started_at,
    )


def question(run: Run, *, quorum: int = 1, id_: str = "q-1") -> ApprovalRequest:
    """Return a question that expires at T0 + 30 minutes."""
    return ApprovalRequest(
        id=id_,
        run_id=run.id,
        digests={"scale": plan().digest},
        approvers=("sre-oncall",),
        quorum=quorum,
        status=ApprovalStatus.OPEN,
        created_at=T0,
        expires_at=after(minutes=30),
        asked_because="the mode is approve",
    )


async def asked(journal: Journal, name: str = "api", *, quorum: int = 1, id_: str = "q-1") -> Run:
    """Lead a run to where it waits for a person."""
    run = await claimed(journal, name)
    return await move(
        journal,
        run,
        RunState.PLANNING,
        RunState.AWAITING_APPROVAL,
        ask=question(run, quorum=quorum, id_=id_),
        wake_at=after(minutes=30),
        release=True,
    )


def answer(
    actor: str = "slack:U1",
    what: Answer = Answer.APPROVE,
    *,
    at: datetime = T0,
    approval_id: str = "q-1",
) -> Decision:
    """Return one person's answer."""
    return Decision(approval_id, actor, what, "looks right", "slack", at)


HOLDS = Verdict("cooldown", Ruling.HOLD, "changed 4m ago, cooldown is 15m", "wait")


def nobody_else_changed(history: History) -> tuple[Verdict, ...]:
    """A guardrail: refuse when anything was changed in the window."""
    ruling = Ruling.REFUSE if history.changes else Ruling.ALLOW
    return (Verdict("rate", ruling, f"{len(history.changes)} changes, the limit is 1"),)


class Gate(Protocol):
    """Holds the journal's writer inside of an operation, so that others gather behind it."""

    async def shut(self, journal: Journal, run: Run) -> "asyncio.Task[UpdateOutcome]":
        """Send the writer into the gate and wait until it is there; returns the task."""
        ...

    def open(self) -> None:
        """Let the writer go on."""


class GuardGate:
    """A guard that waits: holds a writer that has a thread of its own."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()

    async def shut(self, journal: Journal, run: Run) -> "asyncio.Task[UpdateOutcome]":
        """See `Gate.shut`."""
        guarded = update(run, RunState.PLANNING, guard=Guard(self._wait))
        task = asyncio.create_task(journal.write(guarded))
        assert await asyncio.to_thread(self._entered.wait, 10)
        return task

    def open(self) -> None:
        """See `Gate.open`."""
        self._open.set()

    def _wait(self, _: History) -> tuple[Verdict, ...]:
        self._entered.set()
        assert self._open.wait(10)
        return ()


class RowGate:
    """The lock on a run's row, held by a session of our own: holds a writer on PostgreSQL."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._open = asyncio.Event()
        self._holding: asyncio.Task[None] | None = None

    async def shut(self, journal: Journal, run: Run) -> "asyncio.Task[UpdateOutcome]":
        """See `Gate.shut`."""
        held = asyncio.Event()
        self._holding = asyncio.create_task(self._hold(run.id, held))
        await held.wait()
        task = asyncio.create_task(journal.write(update(run, RunState.PLANNING)))
        connection = await asyncpg.connect(self._dsn)
        try:
            async with asyncio.timeout(10):
                blocked = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted"
                while not await connection.fetchval(blocked):  # noqa: ASYNC110 - no event for it
                    await asyncio.sleep(0)
        finally:
            await connection.close()
        return task

    def open(self) -> None:
        """See `Gate.open`."""
        self._open.set()

    async def _hold(self, run_id: str, held: asyncio.Event) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            async with connection.transaction():
                await connection.execute("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", run_id)
                held.set()
                await self._open.wait()
        finally:
            await connection.close()


def with_epoch(run: Run, epoch: int) -> Run:
    """Return the run as a stale owner remembers it."""
    return replace(run, epoch=epoch)
