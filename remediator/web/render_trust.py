"""Explanations, simulations and reports as JSON for the API and the command line. Pure.

Times are RFC 3339 in UTC, lengths of time seconds; what is not known is null, never left out.
"""

from collections.abc import Sequence

from remediator.engine.simulate import Answer, Simulated
from remediator.engine.track import Breaker, Line, Report
from remediator.engine.verdicts import Explanation
from remediator.model.canonical import JSONObject
from remediator.model.clock import to_text
from remediator.model.verdicts import Ruling
from remediator.observe import masking
from remediator.runbook.policy_file import PolicySource
from remediator.web import render


def policy(value: PolicySource) -> JSONObject:
    """The policy in force."""
    return {
        "file": value.file or None,
        "digest": value.digest,
        "policy": value.policy.model_dump(mode="json", by_alias=True),
    }


def explanation(value: Explanation) -> JSONObject:
    """What the guardrails say now of a run's plans."""
    return {
        "run_id": value.run.id,
        "runbook": value.run.runbook,
        "state": value.run.state.value,
        "steps": [
            {
                "id": one.step_id,
                "sequence": one.sequence,
                "plan": str(one.plan),
                "digest": one.plan.digest,
                "verdicts": [verdict.to_json() for verdict in one.verdicts],
            }
            for one in value.steps
        ],
        "overrides": [one.to_json() for one in value.overrides],
        "liftable": list(value.liftable),
        "people": list(value.people),
        "nothing": value.nothing,
    }


def answers(value: Sequence[Answer]) -> JSONObject:
    """What would be done about alerts."""
    return {"alerts": [_answer(one) for one in value]}


def _answer(value: Answer) -> JSONObject:
    alert = value.alert
    return {
        "status": alert.status.value,
        "labels": masking.document(alert.labels),
        "fingerprint": alert.fingerprint,
        "starts_at": to_text(alert.starts_at),
        "runs": [_simulated(run) for run in value.runs],
        "passed": [{"runbook": one.runbook, "why": masking.text(one.why)} for one in value.passed],
    }


def _simulated(value: Simulated) -> JSONObject:
    return {
        "runbook": value.runbook.name,
        "file": value.runbook.file,
        "version": value.runbook.version,
        "trigger": value.trigger.value,
        "mode": value.runbook.mode.value,
        "state": value.end.value,
        "reason": value.reason.value,
        "message": masking.text(value.message),
        "refused": any(
            v.ruling is Ruling.REFUSE for of_step in value.verdicts.values() for v in of_step
        ),
        "steps": [
            {
                **render.step(row),
                "verdicts": [v.to_json() for v in value.verdicts.get(row.sequence, ())],
            }
            for row in value.rows
        ],
        "approval": {
            "approvers": list(value.asked.approvers),
            "quorum": value.asked.quorum,
            "timeout_s": value.asked.timeout.total_seconds(),
            **value.asked.terms.to_json(),
        }
        if value.asked
        else None,
        "silences": [masking.text(line) for line in value.silences],
        "withheld": [masking.text(line) for line in value.withheld],
        "assumed": [masking.text(line) for line in value.assumed],
    }


def breaker(value: Breaker) -> JSONObject:
    """One runbook's failure breaker."""
    now, reset = value.standing, value.reset
    return {
        "runbook": value.runbook,
        "state": now.state.value,
        "failures": now.failures,
        "opened_at": to_text(now.opened_at) if now.opened_at else None,
        "half_open_at": to_text(now.half_open_at) if now.half_open_at else None,
        "reset": {"by": reset.by, "reason": reset.reason, "at": to_text(reset.at)}
        if reset
        else None,
    }


def report(value: Report) -> JSONObject:
    """How runbooks did."""
    return {
        "since": to_text(value.since),
        "until": to_text(value.until),
        "partial": value.partial,
        "policy_mode": value.policy_mode.value,
        "items": [_line(line) for line in value.lines],
    }


def _line(value: Line) -> JSONObject:
    current = value.current
    return {
        "runbook": value.runbook,
        "in_force": current is not None,
        "mode": current.mode.value if current else None,
        "file": current.file if current else None,
        "substance": current.substance if current else None,
        "runs": value.total,
        "states": {state.value: count for state, count in value.runs.items()},
        "helped": value.helped,
        "rolled_back": sum(c for state, c in value.runs.items() if state.value == "rolled_back"),
        "failed": sum(c for state, c in value.runs.items() if state.value == "failed"),
        "observed": sum(c for state, c in value.runs.items() if state.value == "observed"),
        "needed_a_person": value.needed_a_person,
        "asked": value.asked,
        "approved": value.approved,
        "denied": value.denied,
        "called": value.called,
        "decisions": value.decisions,
        "refused": dict(value.refused),
        "mean_time_s": value.mean_time.total_seconds() if value.mean_time else None,
        "trust": _trust(value),
        "breaker": value.breaker.standing.state.value if value.breaker else None,
    }


def _trust(value: Line) -> JSONObject | None:
    if value.track is None or value.earned is None:
        return None
    proposal = value.proposal
    return {
        "earned": value.earned.value,
        "to_approve": value.track.to_approve.to_json(),
        "to_auto": value.track.to_auto.to_json(),
        "proposal": {
            "to": proposal.to.value,
            "met": proposal.met,
            "bars": [bar.to_json() for bar in proposal.bars],
        }
        if proposal
        else None,
    }
