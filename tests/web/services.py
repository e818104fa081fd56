"""Small in-memory services behind a real listener: they keep what they are told, and answer as the
engine and the journal promise to."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from remediator.engine.answers import Snoozed
from remediator.engine.guardrails import BreakerState
from remediator.engine.guardrails import Standing as BreakerStanding
from remediator.engine.overrides import Overriding
from remediator.engine.simulate import Answer as Simulation
from remediator.engine.simulate import Passed
from remediator.engine.track import Breaker, Line, Proposal, Report
from remediator.engine.verdicts import Explanation, Judged
from remediator.journal.values import (
    AuditEntry,
    AuditRecord,
    Backlog,
    CancelOutcome,
    Page,
    Receipt,
    ResumeHow,
)
from remediator.model.approvals import (
    Answer,
    ApprovalRequest,
    ApprovalStatus,
    Decision,
    DecisionOutcome,
    SnoozeOutcome,
)
from remediator.model.canonical import JSONObject
from remediator.model.clock import Timer
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.evidence import Evidence
from remediator.model.history import Control, Reset
from remediator.model.incidents import Fate, Incident, IncidentStatus
from remediator.model.limits import Mode
from remediator.model.overrides import GrantOutcome, Override, OverrideState
from remediator.model.plans import Change, Impact, Plan, Target, WayBack
from remediator.model.policy import Policy
from remediator.model.promotion import Bar, Track
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step, StepState, Trigger
from remediator.model.verdicts import Ruling, Verdict
from remediator.model.views import Note, RunView, Waiting, Who
from remediator.plugin.context import Client, Context, Log
from remediator.plugin.notifier import (
    Answered,
    Callback,
    Desk,
    NotAuthorised,
    Notifier,
    Reply,
    Standing,
)
from remediator.plugin.source import Rejected
from remediator.runbook import policy_file
from remediator.runbook.arguments import ParameterSpec, ParameterType
from remediator.runbook.policy_file import PolicySource
from remediator.sources.alertmanager import Alertmanager
from remediator.web.services import RunbookSummary, Services

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the HTTP edge does not wait")

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        raise AssertionError("the HTTP edge does not wait")


class Intake:
    """Parses for real; commits to a list."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, int]] = []
        self.fail: list[Exception] = []
        """Raised by the next posts, one each."""
        self.arrived = asyncio.Event()
        self.go = asyncio.Event()
        """Nothing is committed before it is set, as with a slow disk."""
        self.go.set()

    async def receive(
        self, sender: str, source: str, body: bytes, received_at: datetime
    ) -> Receipt:
        assert received_at == NOW
        self.arrived.set()
        await self.go.wait()
        if self.fail:
            raise self.fail.pop(0)
        alerts = Alertmanager().parse(body).alerts
        self.taken.append((sender, source, len(alerts)))
        return Receipt(
            notification_id=f"n{len(self.taken)}",
            fates=tuple(Fate.OPENED if a.firing else Fate.CLOSED for a in alerts),
            incident_ids=tuple(f"i{index}" for index in range(len(alerts))),
            started=("run-1",),
            cancelled=(),
        )


class Records:
    """A journal's reads over lists, newest first; the cursor is the last id."""

    def __init__(self) -> None:
        self.all_incidents = [incident(f"inc-{n}") for n in range(5, 0, -1)]
        self.all_runs = {f"run-{n}": run(f"run-{n}") for n in range(5, 0, -1)}
        self.pauses: dict[str, Control] = {}
        self.broken = False
        self.question: ApprovalRequest | None = question("ask-1")

    @property
    def writable(self) -> bool:
        return not self.broken

    async def incident(self, incident_id: str) -> Incident | None:
        return next((i for i in self.all_incidents if i.id == incident_id), None)

    async def incidents(
        self, *, status: IncidentStatus | None = None, cursor: str | None = None, limit: int = 100
    ) -> Page[Incident]:
        found = [i for i in self.all_incidents if status in (None, i.status)]
        older = [i for i in found if cursor is None or i.id < cursor]
        return Page(tuple(older[:limit]), older[limit - 1].id if len(older) > limit else None)

    async def run(self, run_id: str) -> Run | None:
        found = [r for r in self.all_runs.values() if r.id.endswith(run_id)]
        return found[0] if len(found) == 1 else None

    async def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        runbook: str | None = None,
        incident_id: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Run]:
        found = [
            r
            for r in self.all_runs.values()
            if (not states or r.state in states)
            and runbook in (None, r.runbook)
            and incident_id in (None, r.incident_id)
            and (cursor is None or r.id < cursor)
        ]
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def view(self, run_id: str) -> RunView | None:
        if run_id not in self.all_runs:
            return None
        return RunView(
            run=self.all_runs[run_id],
            incident=self.all_incidents[0],
            steps=(step(run_id), dataclasses.replace(step(run_id), sequence=1, plan=None)),
            verdicts=(Verdict("cooldown", Ruling.WAIT, "changed 4m ago", "wait until 12:30"),),
            approval=self.question,
            decisions=(Decision("ask-1", "api:ann", Answer.APPROVE, "ok", "api", NOW),),
            description="scales out",
            owner="team-shop",
            links={"docs": "https://wiki.example/latency"},
        )

    async def controls(self, at: datetime) -> Sequence[Control]:
        return list(self.pauses.values())

    async def audit(
        self, *, after: int = 0, run_id: str | None = None, limit: int = 1000
    ) -> Sequence[AuditRecord]:
        records = [
            AuditRecord(n, AuditEntry("run.state", "remediator", NOW, {"n": n}, "run-1"), "p", "h")
            for n in range(1, 6)
        ]
        return [r for r in records if r.seq > after and run_id in (None, "run-1")][:limit]

    async def backlog(self) -> Backlog:
        if self.broken:
            raise OSError("disk gone")
        return Backlog({RunState.PENDING: 3}, 5, {"slack": 2})


class RunsDesk:
    def __init__(self, records: Records) -> None:
        self._records = records
        self.did: list[tuple[object, ...]] = []
        self.cancelled = CancelOutcome.CANCELLED
        self.acknowledged = AcknowledgeOutcome.ACKNOWLEDGED

    async def start(
        self,
        name: str,
        labels: Mapping[str, str],
        *,
        by: str,
        parameters: Mapping[str, object] | None = None,
    ) -> str:
        if "deployment" not in labels:
            raise Rejected("labels.deployment", f"{name} reads this label")
        self.did.append(("start", name, dict(labels), dict(parameters or {}), by))
        return "run-1"

    async def cancel(self, run_id: str, *, by: str, reason: str) -> CancelOutcome:
        self.did.append(("cancel", run_id, by, reason))
        return self.cancelled

    async def acknowledge(self, run_id: str, *, by: str, reason: str) -> AcknowledgeOutcome:
        self.did.append(("acknowledge", run_id, by, reason))
        return self.acknowledged

    async def resume(self, run_id: str, *, by: str, how: ResumeHow) -> bool:
        self.did.append(("resume", run_id, by, how))
        return self._records.all_runs[run_id].state is RunState.INTERRUPTED


class ControlDesk:
    def check(self, scope: str) -> None:
        if scope == "runbook:nobody":
            raise Rejected("scope", "no runbook is called 'nobody'")


class TrustDesk:
    """Explains, overrides and reports about the runs of `Records`."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.wanted: list[tuple[str, str, str, str, str]] = []
        self.outcome = GrantOutcome.STARTED

    def policy(self) -> PolicySource:
        return policy_file.of_settings(Policy())

    async def explain(self, run: Run) -> Explanation:
        plan = step(run.id).plan
        assert plan is not None
        verdicts = (
            Verdict("scope", Ruling.ALLOW),
            Verdict("cooldown", Ruling.REFUSE, "changed 4m ago; 5m", "waiting until 12:01"),
        )
        return Explanation(run, (Judged("scale", 0, plan, verdicts),), [override(run.id)])

    async def explain_alert(self, body: bytes) -> Sequence[Simulation]:
        (alert, *_) = Alertmanager().parse(body).alerts
        return [Simulation(alert, (), (Passed("latency", "it wants another alert"),))]

    async def override(
        self, run_id: str, guardrail: str, *, actor: str, reason: str, via: str
    ) -> Overriding:
        if guardrail == "scope":
            raise Rejected("guardrail", "scope is never overridden")
        self.wanted.append((run_id, guardrail, actor, reason, via))
        run = await self._records.run(run_id)
        if run is None:
            return Overriding(GrantOutcome.UNKNOWN, None, f"there is no run {run_id}")
        granted = self.outcome in (GrantOutcome.GRANTED, GrantOutcome.STARTED)
        return Overriding(self.outcome, override(run.id) if granted else None, "as you wish")

    async def breakers(self) -> Sequence[Breaker]:
        closed = Breaker("bad-release", BreakerStanding(BreakerState.CLOSED, 0), None)
        reset = Reset("latency", "api:ann", "the image is fixed", NOW - timedelta(days=2))
        opened = BreakerStanding(BreakerState.OPEN, 3, NOW, NOW + timedelta(hours=1))
        return [closed, Breaker("latency", opened, reset)]

    async def reset_breaker(self, runbook: str, *, actor: str, reason: str) -> Breaker | None:
        if runbook not in ("latency", "bad-release"):
            raise Rejected("runbook", f"no runbook is called {runbook!r}")
        self.wanted.append((runbook, "reset", actor, reason, "api"))
        return next(
            (
                one
                for one in await self.breakers()
                if one.runbook == runbook and one.standing.state is not BreakerState.CLOSED
            ),
            None,
        )

    async def report(self, span: timedelta, runbook: str | None = None) -> Report:
        lines = [
            Line(
                *("gone", None, {RunState.SUPPRESSED: 2}, 0, 1, {"cooldown": 2}, None),
                *(0, 1, 0, 0, 0),
            ),
            Line(
                *("latency", None, {RunState.SUCCEEDED: 3}, 3, 3, {}, timedelta(minutes=4)),
                *(3, 3, 3, 0, 0),
                track=Track(Evidence(observed=1), Evidence(approved=3, helped=3)),
                earned=Mode.APPROVE,
                proposal=Proposal(Mode.AUTO, (Bar("3 of 10 approved runs within 30d", False),)),
            ),
        ]
        wanted = tuple(line for line in lines if runbook in (None, line.runbook))
        return Report(NOW - span, NOW, wanted, Mode.APPROVE)


def override(run_id: str) -> Override:
    return Override(
        *("o-1", run_id, run_id, "cooldown", "api:ann", "customers wait", "api"),
        OverrideState.OPEN,
        NOW,
        NOW + timedelta(minutes=15),
    )


class AnswerDesk:
    def __init__(self, records: Records) -> None:
        self._records = records
        self.did: list[tuple[object, ...]] = []
        self.snoozed = SnoozeOutcome.SNOOZED
        self.answers: list[tuple[str, str, Answer, str, str]] = []
        self.outcome = DecisionOutcome.APPROVED
        self.strangers: set[str] = set()

    async def decide(
        self, approval_id: str, *, actor: str, answer: Answer, reason: str, via: str
    ) -> Answered:
        if actor in self.strangers:
            raise NotAuthorised(f"{actor} is not among sre-oncall")
        self.answers.append((approval_id, actor, answer, reason, via))
        return Answered(self.outcome, f"{answer.value} by {actor}")

    async def snooze(
        self, approval_id: str, *, actor: str, for_: timedelta, reason: str, via: str
    ) -> str:
        self._let_in(actor)
        self.did.append(("snooze", approval_id, actor, for_, reason, via))
        return f"Snoozed by {actor}."

    async def put_off(
        self, approval_id: str, *, actor: str, for_: timedelta, reason: str, via: str
    ) -> Snoozed:
        self._let_in(actor)
        self.did.append(("snooze", approval_id, actor, for_, reason, via))
        return Snoozed(self.snoozed, f"{self.snoozed.value} by {actor}")

    async def questions(self, actor: str, *, mine: bool, limit: int) -> Sequence[Waiting]:
        view = await self._records.view("run-1")
        may = actor not in self.strangers
        return [Waiting(view, may)][:limit] if view and view.approval and (may or not mine) else []

    async def who(self, actor: str) -> Who:
        return Who(actor, actor.removeprefix("api:"), ("sre-oncall",))

    async def question(self, approval_id: str, *, actor: str) -> RunView | None:
        self._let_in(actor)
        return await self._records.view("run-1") if approval_id == "ask-1" else None

    async def acknowledge(self, run_id: str, *, actor: str, reason: str, via: str) -> str:
        self._let_in(actor)
        self.did.append(("acknowledge", run_id, actor, reason, via))
        return f"Acknowledged by {actor}."

    async def cancel(self, run_id: str, *, actor: str, reason: str, via: str) -> str:
        self._let_in(actor)
        self.did.append(("cancel", run_id, actor, reason, via))
        return f"Cancelled by {actor}."

    async def start(
        self,
        runbook: str,
        labels: Mapping[str, str],
        *,
        actor: str,
        via: str,
        parameters: Mapping[str, object] | None = None,
    ) -> tuple[str, str]:
        self._let_in(actor)
        self.did.append(("start", runbook, dict(labels), actor, via))
        return "run-1", f"{runbook} was started."

    async def pause(
        self, scope: str, *, actor: str, reason: str, for_: timedelta | None, via: str
    ) -> str:
        self._let_in(actor)
        self._records.pauses[scope] = Control(
            scope, actor, reason, NOW, NOW + for_ if for_ else None
        )
        return f"{scope} is paused."

    async def unpause(self, scope: str, *, actor: str, via: str) -> str:
        self._let_in(actor)
        return "lifted" if self._records.pauses.pop(scope, None) else "nothing was paused"

    async def waiting_for(self, actor: str) -> Sequence[RunView]:
        view = await self._records.view("run-1")
        return [view] if view and actor not in self.strangers else []

    async def standing(self, *, actor: str) -> Standing:
        self._let_in(actor)
        return Standing(list(self._records.all_runs.values()), 1, 5, [*self._records.pauses])

    async def run(self, run_id: str, *, actor: str) -> RunView | None:
        self._let_in(actor)
        found = await self._records.run(run_id)
        return await self._records.view(found.id) if found else None

    def _let_in(self, actor: str) -> None:
        if actor in self.strangers:
            raise NotAuthorised(f"{actor} is not among sre-oncall")


class Echo(Notifier):
    """Shows what a callback gets."""

    name = "echo"
    callback_paths: ClassVar[Sequence[str]] = ("/echo/callback",)

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        return ref

    async def callback(self, request: Callback, desk: Desk, ctx: Context) -> Reply:
        signature = request.headers.get("x-signature", "none")
        return Reply(202, signature.encode() + b"|" + request.body, "text/x-echo", {"X-A": "1"})


@dataclass(frozen=True)
class PluginContext:
    run_id: str
    log: Log

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return NOW.timestamp()

    def client(self, kind: type[Client]) -> Client:
        raise AssertionError(kind)

    async def prove_alive(self) -> None:
        """Nobody changes anything here."""

    async def facts(self, kind: str, subject: str) -> Sequence[str]:
        return ()


@dataclass(frozen=True)
class Summary:
    name: str
    description: str = "scales out"
    file: str = "runbooks/latency.yaml"
    mode: str = "approve"
    version: str = "v1"
    parameters: Mapping[str, ParameterSpec] = field(
        default_factory=lambda: {"max": ParameterSpec(type=ParameterType.INTEGER, default=20)}
    )


class QuietLog:
    def info(self, event: str, **values: object) -> object:
        return None

    def warning(self, event: str, **values: object) -> object:
        return None


@dataclass
class Backend:
    """Everything behind the edge, in one hand for the tests."""

    intake: Intake = field(default_factory=Intake)
    records: Records = field(default_factory=Records)
    findings: list[str] = field(default_factory=list)
    not_ready: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runs = RunsDesk(self.records)
        self.trust = TrustDesk(self.records)
        self.desk = AnswerDesk(self.records)

    def services(self) -> Services:
        return Services(
            intake=self.intake,
            journal=self.records,
            desk=self.desk,
            people=self.desk,
            runs=self.runs,
            controls=ControlDesk(),
            trust=self.trust,
            clock=FixedClock(),
            sources=("alertmanager",),
            notifiers={"echo": Echo()},
            context_for=lambda name: PluginContext(f"callback-{name}", QuietLog()),
            runbooks=self._runbooks,
            reload=self._reload,
            ready=lambda: self.not_ready,
        )

    def _runbooks(self) -> Sequence[RunbookSummary]:
        return [Summary("latency"), Summary("bad-release")]

    async def _reload(self) -> Sequence[str]:
        return self.findings


def incident(incident_id: str, **changes: object) -> Incident:
    made = Incident(
        id=incident_id,
        sender="default",
        fingerprint="00000000000000ab",
        status=IncidentStatus.OPEN,
        labels={"alertname": "HighLatency", "team": "zürich"},
        annotations={"summary": "slow"},
        generator_url="http://prometheus/graph",
        starts_at=NOW,
        ends_at=None,
        opened_at=NOW,
        updated_at=NOW,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # fields of the test's choice


def run(run_id: str, **changes: object) -> Run:
    made = Run(
        id=run_id,
        incident_id="inc-1",
        runbook="latency",
        version="v1",
        trigger=Trigger.FIRING,
        state=RunState.AWAITING_APPROVAL,
        reason=Reason.MODE_APPROVE,
        message="waits for sre-oncall",
        target="deployment shop/api",
        context={"alert": {"labels": {"alertname": "HighLatency"}}},
        epoch=3,
        owner=None,
        wake_at=NOW,
        created_at=NOW,
        started_at=NOW,
        ended_at=None,
        started_by="remediator",
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # fields of the test's choice


def step(run_id: str) -> Step:
    plan = Plan(
        action="kubernetes.scale",
        target=Target("kubernetes", "Deployment", "shop", "api", "uid-1"),
        changes=(Change("spec.replicas", 4, 6),),
        impact=Impact(pods=2, of_pods=6, replicas=6),
        summary="replicas 4 → 6",
        way_back=WayBack("replicas 6 → 4"),
    )
    return Step(run_id, 0, 1, "scale", "kubernetes.scale", StepState.PLANNED, plan, {"by": "2"}, "")


def question(approval_id: str) -> ApprovalRequest:
    return ApprovalRequest(
        id=approval_id,
        run_id="run-1",
        digests={"scale": "d" * 64},
        approvers=("sre-oncall",),
        quorum=1,
        status=ApprovalStatus.OPEN,
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=30),
        asked_because="mode: approve",
    )
