"""Runs as notifiers get them, with defaults that each test overrides where it matters."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.model.approvals import (
    Answer,
    ApprovalRequest,
    ApprovalStatus,
    Decision,
)
from remediator.model.incidents import Incident, IncidentStatus
from remediator.model.plans import Change, Impact, Plan, Target, WayBack
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step, StepState, Trigger
from remediator.model.verdicts import Ruling, Verdict
from remediator.model.views import Note, NoteKind, RunView

T0 = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
APPROVAL_ID = "0paque-approval-id"
RUN_ID = "01kat8w2m4zq5rxhv7c3ne9dfg"
MESSAGE = "deployment shop/api: replicas 4 → 6"


def plan(**changes: Any) -> Plan:
    """Return a plan to scale a Deployment out."""
    made = Plan(
        action="kubernetes.scale",
        target=Target("kubernetes", "Deployment", "shop", "api", uid="u-1"),
        changes=(Change("spec.replicas", 4, 6),),
        impact=Impact(pods=2, of_pods=4, replicas=6, note="2 pods start"),
        summary="replicas 4 → 6",
        way_back=WayBack("replicas 6 → 4", {"replicas": 4}),
    )
    return replace(made, **changes)


def step(number: int = 0, **changes: Any) -> Step:
    """Return a planned step."""
    made = Step(
        run_id=RUN_ID,
        sequence=number,
        attempt=1,
        step_id="scale" if number == 0 else f"step-{number}",
        action="kubernetes.scale",
        state=StepState.PLANNED,
        plan=plan(),
        params={},
        message="",
    )
    return replace(made, **changes)


def approval(**changes: Any) -> ApprovalRequest:
    """Return an open question."""
    made = ApprovalRequest(
        id=APPROVAL_ID,
        run_id=RUN_ID,
        digests={"scale": plan().digest},
        approvers=("sre-oncall", "slack:U0ANNA"),
        quorum=1,
        status=ApprovalStatus.OPEN,
        created_at=T0,
        expires_at=T0 + timedelta(minutes=30),
        asked_because="the runbook's mode is approve",
    )
    return replace(made, **changes)


def decision(actor: str = "slack:U0ANNA", answer: Answer = Answer.APPROVE) -> Decision:
    """Return a person's answer."""
    return Decision(APPROVAL_ID, actor, answer, "", "slack", T0 + timedelta(minutes=1))


def view(
    state: RunState = RunState.AWAITING_APPROVAL,
    *,
    labels: Mapping[str, str] | None = None,
    run: Mapping[str, Any] | None = None,
    **changes: Any,
) -> RunView:
    """Return a run that asks for approval, or is in another state."""
    given = {
        "alertname": "HighLatency",
        "severity": "critical",
        "namespace": "shop",
        "deployment": "api",
        "team": "shop",
    }
    made_run = Run(
        id=RUN_ID,
        incident_id="inc-1",
        runbook="api-latency-scale-out",
        version="v1",
        trigger=Trigger.FIRING,
        state=state,
        reason=Reason.MODE_APPROVE,
        message=MESSAGE,
        target="deployment shop/api",
        context={},
        epoch=1,
        owner=None,
        wake_at=T0,
        created_at=T0,
        started_at=T0,
        ended_at=T0 + timedelta(minutes=4, seconds=12) if state.ended else None,
        started_by="remediator",
    )
    incident = Incident(
        id="inc-1",
        sender="default",
        fingerprint="00000000000000ab",
        status=IncidentStatus.OPEN,
        labels=labels if labels is not None else given,
        annotations={},
        generator_url="http://prometheus.example/graph?g0.expr=up&g0.tab=1",
        starts_at=T0,
        ends_at=None,
        opened_at=T0,
        updated_at=T0,
    )
    made = RunView(
        run=replace(made_run, **(run or {})),
        incident=incident,
        steps=(step(),),
        verdicts=(
            Verdict("mode", Ruling.HOLD, "the runbook's mode is approve", "an approver says yes"),
        ),
        approval=approval() if state is RunState.AWAITING_APPROVAL else None,
        decisions=(),
        description="Scale out while p99 latency stays high.",
        owner="team-shop",
        links={"dashboard": "https://grafana.example/d/1"},
    )
    return replace(made, **changes)


def approved(state: RunState = RunState.APPLYING, **changes: Any) -> RunView:
    """Return the run after Anna said yes."""
    return view(
        state,
        **{
            "approval": approval(status=ApprovalStatus.APPROVED),
            "decisions": (decision(),),
            "verdicts": (),
            **changes,
        },
    )


def note(kind: NoteKind = NoteKind.STATE, text: str = MESSAGE, **changes: Any) -> Note:
    """Return a note of now; of a state, it is the note of the state in which the run is."""
    return replace(Note(kind, RUN_ID, text, T0), **changes)
