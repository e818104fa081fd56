"""The model as JSON for the API. The field names are a contract with people's scripts.

Times are RFC 3339 in UTC; what is not known is null, never left out. What others wrote (labels,
outputs, plans) is masked where it is a secret or looks like one: no viewer is trusted with it.
"""

from collections.abc import Sequence
from datetime import datetime

from remediator.journal.values import AuditRecord
from remediator.model.approvals import ApprovalRequest, Decision
from remediator.model.canonical import JSONObject
from remediator.model.clock import to_text
from remediator.model.history import Control
from remediator.model.incidents import Incident
from remediator.model.runs import Run, Step
from remediator.model.views import Acknowledgement, RunView, Waiting, Who
from remediator.observe import masking
from remediator.web.services import RunbookSummary


def incident(value: Incident) -> JSONObject:
    """One incident."""
    return {
        "id": value.id,
        "sender": value.sender,
        "fingerprint": value.fingerprint,
        "status": value.status.value,
        "labels": masking.document(value.labels),
        "annotations": masking.document(value.annotations),
        "generator_url": masking.text(value.generator_url),
        "starts_at": to_text(value.starts_at),
        "ends_at": _time(value.ends_at),
        "opened_at": to_text(value.opened_at),
        "updated_at": to_text(value.updated_at),
    }


def run(value: Run) -> JSONObject:
    """One run, as lists show it."""
    return {
        "id": value.id,
        "incident_id": value.incident_id,
        "runbook": value.runbook,
        "version": value.version,
        "trigger": value.trigger.value,
        "state": value.state.value,
        "reason": value.reason.value,
        "message": masking.text(value.message),
        "target": value.target,
        "started_by": value.started_by,
        "created_at": to_text(value.created_at),
        "started_at": _time(value.started_at),
        "ended_at": _time(value.ended_at),
        "wake_at": _time(value.wake_at),
        "deadline_at": _time(value.deadline_at),
        "cancel_requested_by": value.cancel_requested_by,
    }


def view(value: RunView) -> JSONObject:
    """One run with everything that a person needs to decide."""
    return {
        **run(value.run),
        "description": value.description,
        "owner": value.owner,
        "links": dict(value.links),
        "context": masking.document(value.run.context),
        "incident": incident(value.incident) if value.incident else None,
        "steps": [step(one) for one in value.steps],
        "verdicts": [verdict.to_json() for verdict in value.verdicts],
        "approval": approval(value.approval, value.decisions) if value.approval else None,
        "acknowledged": acknowledged(value.acknowledged) if value.acknowledged else None,
        "outputs": masking.document(value.outputs.values),
        "outputs_failed": {k: masking.text(why) for k, why in value.outputs.failed.items()},
    }


def acknowledged(value: Acknowledgement) -> JSONObject:
    """Who answered a run's newest escalation."""
    return {"by": value.by, "at": to_text(value.at), "reason": value.reason}


def step(value: Step) -> JSONObject:
    """The newest attempt of one step, with its plan."""
    return {
        "id": value.step_id,
        "sequence": value.sequence,
        "attempt": value.attempt,
        "action": value.action,
        "state": value.state.value,
        "message": masking.text(value.message),
        "params": masking.document(value.params),
        "plan": masking.document(value.plan.to_json()) if value.plan else None,
        "target": str(value.plan.target) if value.plan else None,
        "impact": str(value.plan.impact) if value.plan else None,
        "output": masking.document(value.output),
        "changed": value.changed,
        "started_at": _time(value.started_at),
        "ended_at": _time(value.ended_at),
    }


def waiting(value: Waiting) -> JSONObject:
    """One open question with its run, and whether whoever looks may answer it."""
    asked = value.view.approval
    return {
        "mine": value.mine,
        "run": run(value.view.run),
        "description": value.view.description,
        "plans": [masking.text(str(one.plan)) for one in value.view.steps if _is_asked(one, asked)],
        "approval": approval(asked, value.view.decisions) if asked else None,
    }


def me(who: Who, role: str, waits: Sequence[Waiting]) -> JSONObject:
    """Whoever asks, as the settings know them."""
    return {
        "identity": who.identity,
        "person": who.person,
        "role": str(role),
        "groups": list(who.groups),
        "waiting": [waiting(one) for one in waits],
    }


def _is_asked(one: Step, asked: ApprovalRequest | None) -> bool:
    return asked is not None and one.plan is not None and one.step_id in asked.digests


def approval(value: ApprovalRequest, decisions: tuple[Decision, ...]) -> JSONObject:
    """The newest question to people, with what they answered."""
    return {
        "id": value.id,
        "status": value.status.value,
        "digests": dict(value.digests),
        "approvers": list(value.approvers),
        "quorum": value.quorum,
        "asked_because": value.asked_because,
        "terms": value.terms.to_json(),
        "differs": [masking.text(line) for line in value.differs],
        "closed_why": value.closed_why,
        "created_at": to_text(value.created_at),
        "expires_at": to_text(value.expires_at),
        "decisions": [
            {
                "actor": one.actor,
                "person": one.who,
                "answer": one.answer.value,
                "reason": one.reason,
                "via": one.via,
                "at": to_text(one.at),
            }
            for one in decisions
        ],
    }


def control(value: Control) -> JSONObject:
    """One kill switch that is on."""
    return {
        "scope": value.scope,
        "by": value.by,
        "reason": value.reason,
        "since": to_text(value.since),
        "until": _time(value.until),
    }


def audit(value: AuditRecord) -> JSONObject:
    """One record of the audit chain."""
    return {
        "seq": value.seq,
        "kind": value.entry.kind,
        "actor": value.entry.actor,
        "at": to_text(value.entry.at),
        "run_id": value.entry.run_id,
        "incident_id": value.entry.incident_id,
        "details": value.entry.details,
        "previous": value.previous,
        "hash": value.hash,
    }


def runbook(value: RunbookSummary) -> JSONObject:
    """One runbook in force."""
    return {
        "name": value.name,
        "description": value.description,
        "file": value.file,
        "mode": str(value.mode),
        "version": value.version,
        "parameters": {
            name: masking.document(
                {**spec.model_dump(mode="json", exclude_unset=True), "type": spec.type.value}
            )
            for name, spec in value.parameters.items()
        },
    }


def _time(value: datetime | None) -> str | None:
    return to_text(value) if value else None
