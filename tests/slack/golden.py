"""The runs whose blocks are kept in `golden/`, to be read in review as people will see them.

`python -m tests.slack.golden` writes them anew; look at the difference before it is committed.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from remediator.model.approvals import Answer, ApprovalStatus
from remediator.model.runs import RunState, StepState
from remediator.model.verdicts import Ruling, Verdict
from remediator.model.views import NoteKind, RunView
from remediator.notify.slack import blocks
from tests.notify.views import approval, approved, decision, note, plan, step, view

FOLDER = Path(__file__).parent / "golden"

RUNS: Mapping[str, RunView] = {
    "approval_needed": view(),
    "half_approved": view(
        approval=approval(quorum=2, approvers=("sre-oncall",)), decisions=(decision(),)
    ),
    "applying": approved(steps=(step(state=StepState.STARTED, message="scaling"),)),
    "succeeded": approved(
        RunState.SUCCEEDED,
        steps=(
            step(plan=None, step_id="latency", action="prometheus.query", state=StepState.DONE),
            step(1, state=StepState.DONE, message="6 of 6 replicas are ready", attempt=2),
        ),
        run={"message": "the alert cleared"},
    ),
    "denied": view(
        RunState.DENIED,
        approval=approval(status=ApprovalStatus.DENIED),
        decisions=(decision("api:bert", Answer.DENY),),
        run={"message": "denied by api:bert"},
    ),
    "suppressed": view(
        RunState.SUPPRESSED,
        verdicts=(
            Verdict("cooldown", Ruling.REFUSE, "changed 4m ago, cooldown is 15m", "wait"),
            Verdict("impact", Ruling.HOLD, "6 of 6 pods is 100%, the limit is 50%"),
        ),
        run={"message": "cooldown: changed 4m ago, cooldown is 15m"},
    ),
    "by_hand_without_way_back": view(
        incident=None,
        steps=(
            step(plan=plan(way_back=None, no_way_back="a deleted pod does not come back")),
            step(1, plan=plan(lasts=timedelta(hours=1))),
            step(2, plan=plan(changes=())),
        ),
        run={"started_by": "slack:U0ANNA"},
    ),
}


def rendered(name: str) -> str:
    """Return a run's message as text for the file."""
    message = blocks.run(RUNS[name])
    return _text({"text": message.text, "blocks": list(message.blocks)})


def rendered_escalation() -> str:
    """Return the message of a run whose first note calls a person."""
    failed = view(RunState.FAILED, run={"message": "not healthy"}, verdicts=())
    message = blocks.run(failed, note(NoteKind.ESCALATION, "api-latency failed: not healthy"))
    return _text({"text": message.text, "blocks": list(message.blocks)})


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for run in RUNS:
        (FOLDER / f"{run}.json").write_text(rendered(run), encoding="utf-8")
    (FOLDER / "escalated.json").write_text(rendered_escalation(), encoding="utf-8")
