"""Words and signs for what the model knows: one for each state, so that no two look alike."""

from collections.abc import Mapping

from remediator.model.approvals import ApprovalStatus
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, StepState
from remediator.model.verdicts import Ruling
from remediator.model.views import NoteKind, RunView
from remediator.notify.slack.text import code, cut

STATES: Mapping[RunState, tuple[str, str]] = {
    RunState.PENDING: ("⏱️", "Waiting"),
    RunState.PLANNING: ("🔎", "Planning"),
    RunState.AWAITING_APPROVAL: ("✋", "Approval needed"),
    RunState.APPLYING: ("🔧", "Applying"),
    RunState.VERIFYING: ("🩺", "Verifying"),
    RunState.UNDOING: ("↩️", "Taking it back"),
    RunState.INTERRUPTED: ("🚨", "Interrupted, a person must look"),
    RunState.SUCCEEDED: ("✅", "Succeeded"),
    RunState.ROLLED_BACK: ("↩️", "Rolled back"),
    RunState.FAILED: ("❌", "Failed"),
    RunState.SUPPRESSED: ("🚫", "Suppressed"),
    RunState.OBSERVED: ("👀", "Observed, nothing changed"),
    RunState.DENIED: ("⛔", "Denied"),
    RunState.EXPIRED: ("⌛", "Approval expired"),
    RunState.CANCELLED: ("⚪", "Cancelled"),
}
STEPS: Mapping[StepState, str] = {
    StepState.PLANNED: "🔹",
    StepState.STARTED: "🔧",
    StepState.DONE: "✅",
    StepState.SKIPPED: "⏭️",
    StepState.FAILED: "❌",
    StepState.UNDOING: "↩️",
    StepState.UNDONE: "↩️",
}
RULINGS: Mapping[Ruling, str] = {
    Ruling.ALLOW: "✅",
    Ruling.WAIT: "⏳",
    Ruling.HOLD: "✋",
    Ruling.REFUSE: "⛔",
}
NOTES: Mapping[NoteKind, str] = {
    NoteKind.STATE: "🔹",
    NoteKind.STEP: "🔧",
    NoteKind.APPROVAL: "✋",
    NoteKind.ESCALATION: "🚨",
    NoteKind.ACKNOWLEDGED: "👀",
    NoteKind.CLEARED: "🟢",
}
CLOSED: Mapping[ApprovalStatus, str] = {
    ApprovalStatus.APPROVED: "*Approved*",
    ApprovalStatus.DENIED: "*Denied*",
    ApprovalStatus.EXPIRED: "*Nobody decided in time*",
    ApprovalStatus.VOID: "*No longer asked*: the plan changed, the alert cleared or the run was "
    "cancelled",
}


def what_next(view: RunView) -> str:
    """Return what a person does now that a run has ended; empty where there is nothing to do."""
    run = view.run
    again = code(f"/remediator run {run.runbook}", 120)
    match run.state:
        case RunState.FAILED:
            return (
                "Nothing more is tried for this alert. Look at the thread for what was changed and "
                f"at the cause; {again} starts the runbook anew."
            )
        case RunState.ROLLED_BACK:
            return "The change did not help and was taken back: look for another cause."
        case RunState.DENIED:
            return f"Nothing was changed after that. {again} asks anew."
        case RunState.EXPIRED:
            return f"The alert is untreated. {again} asks anew."
        case RunState.SUPPRESSED:
            lifts = [cut(v.lifted_by, 120) for v in view.verdicts if v.lifted_by]
            return (
                f"The alert is untreated. What lifts it: {lifts[0]}"
                if lifts
                else ("The alert is untreated: look at it yourself.")
            )
        case RunState.OBSERVED:
            return "Its mode is observe: the alert is untreated."
        case _:
            return _cancelled(run)


def _cancelled(run: Run) -> str:
    if run.state is RunState.CANCELLED and run.reason is Reason.CANCELLED_BY_PERSON:
        return "The alert is untreated unless somebody looks at it."
    return ""
