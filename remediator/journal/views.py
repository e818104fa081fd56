"""Reads that put several tables together: a run as people see it, and the figures for metrics."""

from remediator.journal import acknowledging, approvals, incidents, outbox, runbooks, runs, steps
from remediator.journal.statements import Operation
from remediator.journal.values import Backlog
from remediator.model.views import RunView


def view(run_id: str) -> Operation[RunView | None]:
    """Return everything about one run."""
    run = yield from runs.find(run_id)
    if run is None:
        return None
    incident = (yield from incidents.get(run.incident_id)) if run.incident_id else None
    attempts = yield from steps.newest_of_run(run.id)
    verdicts, outputs = yield from runs.kept(run.id)
    approval = yield from approvals.newest_of_run(run.id)
    decisions = (yield from approvals.decisions_of(approval.id)) if approval else ()
    runbook = yield from runbooks.get(run.version)
    acknowledged = yield from acknowledging.of_run(run.id)
    called_at = yield from acknowledging.called(run.id)
    return RunView(
        run=run,
        incident=incident,
        steps=attempts,
        verdicts=verdicts,
        approval=approval,
        decisions=decisions,
        description=runbook.description if runbook else "",
        owner=runbook.owner if runbook else "",
        links=runbook.links if runbook else {},
        acknowledged=acknowledged,
        called_at=called_at,
        outputs=outputs,
    )


def backlog() -> Operation[Backlog]:
    """Return how much waits."""
    by_state = yield from runs.count_by_state()
    open_incidents = yield from incidents.count_open()
    notes = yield from outbox.waiting()
    return Backlog(runs=by_state, open_incidents=open_incidents, outbox=notes)
