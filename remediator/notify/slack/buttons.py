"""The buttons of this app: their ids, what they carry, and who gets which. Pure.

A button carries an opaque approval id, or a run's or a storm's id; who may press it is decided at
the desk, never here.
"""

from collections.abc import Mapping

from remediator.model.approvals import Answer, ApprovalStatus
from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState
from remediator.model.views import RunView
from remediator.notify.slack import plans, text
from remediator.notify.slack.text import cut

APPROVE = "remediator_approve"
DENY = "remediator_deny"
PLAN = "remediator_plan"
SNOOZE = "remediator_snooze"
RUN = "remediator_run"
CANCEL = "remediator_cancel"
ACKNOWLEDGE = "remediator_acknowledge"
WAITING = "remediator_waiting"
PAGE = "remediator_page"
REFRESH = "remediator_refresh"

ANSWERS: Mapping[str, Answer] = {APPROVE: Answer.APPROVE, DENY: Answer.DENY}
"""What pressing Approve or Deny says."""

# A plan of more than this is not asked for in a dialogue that nobody reads.
_MAX_CONFIRM = 280


def open_question(view: RunView) -> str | None:
    """Return the id of the approval that people are asked for now, or None."""
    approval = view.approval
    asked = approval is not None and approval.status is ApprovalStatus.OPEN
    waits = view.run.state is RunState.AWAITING_APPROVAL
    return approval.id if approval is not None and asked and waits else None


def of_run(view: RunView, *, block_id: str = "approval") -> list[JSONObject]:
    """Return the row of buttons that a run has now, if it has any."""
    question = open_question(view)
    elements: list[JSONObject] = []
    if question is not None:
        elements = [
            approve(view, question),
            button(DENY, "Deny", question, style="danger"),
            button(PLAN, "Show plan", question),
            button(SNOOZE, "Snooze", question),
        ]
    elif not view.run.state.ended and any(step.plan is not None for step in view.steps):
        elements = [button(RUN, "Show plan", view.run.id)]
    if view.calls:
        elements.append(button(ACKNOWLEDGE, "I am on it", view.run.id))
    if not view.run.state.ended:
        elements.append(_cancel(view))
    return [row(elements, block_id)] if elements else []


def approve(view: RunView, question: str) -> JSONObject:
    """Return Approve; pressing it asks once more, which is a courtesy and no protection."""
    confirm = {
        "title": text.plain("Make this change?"),
        "text": text.mrkdwn(cut(plans.briefly(view), _MAX_CONFIRM) or "See the plan above."),
        "confirm": text.plain("Approve"),
        "deny": text.plain("Go back"),
    }
    return {**button(APPROVE, "Approve", question, style="primary"), "confirm": confirm}


def button(action: str, label: str, value: str, *, style: str = "") -> JSONObject:
    """Return one button."""
    made: JSONObject = {
        "type": "button",
        "action_id": action,
        "text": text.plain(label),
        "value": value,
    }
    return {**made, "style": style} if style else made


def row(elements: list[JSONObject], block_id: str) -> JSONObject:
    """Return buttons beside each other."""
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}


def _cancel(view: RunView) -> JSONObject:
    confirm = {
        "title": text.plain("Stop this run?"),
        "text": text.mrkdwn("It stops before its next change; what it has changed stays."),
        "confirm": text.plain("Stop it"),
        "deny": text.plain("Go back"),
    }
    return {**button(CANCEL, "Cancel", view.run.id), "confirm": confirm}
