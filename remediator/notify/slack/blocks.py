"""A run as Block Kit: what people see in the channel, and press. Pure; called by `notifier`.

Everything that another wrote goes through `text`. Nothing here depends on the time, so that the
same view always renders to the same blocks, and an edit that would change nothing can be spared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remediator.model.approvals import Answer, ApprovalStatus
from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState, Step, StepState
from remediator.model.verdicts import Ruling
from remediator.model.views import Note, NoteKind, RunView
from remediator.notify.slack import text
from remediator.notify.slack.text import code, cut, link, moment, person, section, size

ACTIONS: Mapping[str, Answer] = {
    "remediator_approve": Answer.APPROVE,
    "remediator_deny": Answer.DENY,
}
"""The buttons' `action_id`s, and what pressing them says."""

# Slack refuses a message whose blocks hold too much text together, at a limit that it does not
# document: 9,600 characters were taken and 11,300 were not (slackapi/bolt-js, issue 2867). The
# limits below leave at least 1,700 of it to the plan, which matters most; usually far more.
MAX_TEXT = 9000
# Of Slack's 50 blocks; the other parts need eleven at most.
_MAX_STEPS = 30
_MAX_HEADER = 150
_MAX_STEP = 2400
# The fixed parts of a step need up to 900; with less room than this its plan says nothing.
_MIN_STEP = 1300
_MAX_LABELS = 10
_MAX_VERDICTS = 5
_MAX_DECISIONS = 3
_MAX_APPROVERS = 10
_MAX_LINKS = 5
_MAX_LINK_TEXT = 800  # of all links; a generator URL holds a whole query

# What people look for first; the rest follows by name.
_LABELS_FIRST = ("alertname", "severity", "namespace", "deployment", "service", "pod")

_STATES: Mapping[RunState, tuple[str, str]] = {
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
_STEPS: Mapping[StepState, str] = {
    StepState.PLANNED: "▫️",
    StepState.STARTED: "🔧",
    StepState.DONE: "✅",
    StepState.SKIPPED: "⏭️",
    StepState.FAILED: "❌",
    StepState.UNDOING: "↩️",
    StepState.UNDONE: "↩️",
}
_RULINGS: Mapping[Ruling, str] = {
    Ruling.ALLOW: "✅",
    Ruling.WAIT: "⏳",
    Ruling.HOLD: "✋",
    Ruling.REFUSE: "⛔",
}
_NOTES: Mapping[NoteKind, str] = {
    NoteKind.STATE: "▪️",
    NoteKind.STEP: "🔧",
    NoteKind.APPROVAL: "✋",
    NoteKind.ESCALATION: "🚨",
    NoteKind.ACKNOWLEDGED: "👀",
    NoteKind.CLEARED: "▪️",
}
_CLOSED: Mapping[ApprovalStatus, str] = {
    ApprovalStatus.APPROVED: "*Approved*",
    ApprovalStatus.DENIED: "*Denied*",
    ApprovalStatus.EXPIRED: "*Nobody decided in time*",
    ApprovalStatus.VOID: "*No longer asked*: the plan changed, the alert cleared or the run was "
    "cancelled",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: `text` is what a phone shows of it before it is opened."""

    text: str
    blocks: tuple[JSONObject, ...]


def open_question(view: RunView) -> str | None:
    """Return the id of the approval that people are asked for now, or None."""
    approval = view.approval
    asked = approval is not None and approval.status is ApprovalStatus.OPEN
    waits = view.run.state is RunState.AWAITING_APPROVAL
    return approval.id if approval is not None and asked and waits else None


def run(view: RunView, urgent: Note | None = None) -> Message:
    """Render a run.

    Args:
        view: the run as it is now.
        urgent: the escalation that the message is posted for, if it is.
    """
    emoji, word = _STATES[view.run.state]
    head: list[JSONObject] = [
        {
            "type": "header",
            "text": text.plain(cut(f"{emoji} {word}: {view.run.runbook}", _MAX_HEADER)),
        }
    ]
    if urgent is not None:
        head.append(section(f"{_NOTES[urgent.kind]} *{cut(urgent.text, 500)}*"))
    head += [section(_summary(view)), *_labels(view)]
    tail = [*_verdicts(view), *_approval(view)]
    buttons = _buttons(view)
    ending = [*_result(view), _about(view)]
    room = MAX_TEXT - _text_size([*head, *tail, *buttons, *ending])
    steps, whole = _steps(view, room - len(_INCOMPLETE) - 200)
    if not whole:
        steps.append(section(_INCOMPLETE.format(code(f"remediator runs show {view.run.id}", 80))))
    return Message(text=_fallback(view, urgent), blocks=(*head, *steps, *tail, *buttons, *ending))


def note(one: Note, *, late: bool) -> Message:
    """Render a note as one line of the thread.

    Args:
        one: the note.
        late: it is delivered long after it happened, so say when that was.
    """
    when = f" · {moment(one.at)}" if late else ""
    shown = f"{_NOTES[one.kind]} {cut(one.text, 2500) or 'went on'}{when}"
    return Message(text=shown, blocks=(section(shown),))


_INCOMPLETE = "⚠️ *Not all of the plan fits in here.* Read it before you decide: {}"


def _summary(view: RunView) -> str:
    run_ = view.run
    parts = [f"*{cut(run_.target, 150)}*"] if run_.target else []
    if view.description:
        parts.append(cut(view.description, 200))
    # Where people are asked, the plan says it better; at the end the result does.
    if run_.message and not run_.state.ended and open_question(view) is None:
        parts.append(f"_{_STATES[run_.state][1]}:_ {cut(run_.message, 300)}")
    return "\n".join(parts) or f"*{cut(run_.runbook, 150)}*"


def _labels(view: RunView) -> list[JSONObject]:
    if view.incident is None or not view.incident.labels:
        return []
    labels = view.incident.labels
    names = [name for name in _LABELS_FIRST if name in labels]
    names += sorted(set(labels) - set(names))
    shown = names if len(names) <= _MAX_LABELS else names[: _MAX_LABELS - 1]
    fields = [
        text.mrkdwn(f"*{cut(name, 40).replace('*', '∗')}*\n{code(labels[name], 60)}")
        for name in shown
    ]
    if len(shown) < len(names):
        fields.append(text.mrkdwn(f"… and {len(names) - len(shown)} more labels"))
    return [{"type": "section", "fields": fields}]


def _steps(view: RunView, room: int) -> tuple[list[JSONObject], bool]:
    """Return a section for each step, and whether every plan is shown whole."""
    blocks: list[JSONObject] = []
    whole = True
    for number, step in enumerate(view.steps):
        full, complete = _step(step, min(_MAX_STEP, max(room, _MIN_STEP)))
        if number >= _MAX_STEPS or size(full) > room:
            left = view.steps[number:]
            blocks.append(section(f"… and {len(left)} more step{'s' if len(left) > 1 else ''}"))
            return blocks, whole and all(one.plan is None or one.plan.empty for one in left)
        blocks.append(section(full))
        room -= size(full)
        whole = whole and complete
    return blocks, whole


def _step(step: Step, limit: int) -> tuple[str, bool]:
    attempt = f" (attempt {step.attempt})" if step.attempt > 1 else ""
    title = f"{_STEPS[step.state]} *{cut(step.step_id, 80)}* · {cut(step.action, 80)}{attempt}"
    said = f"_{StepState(step.state).value}:_ {cut(step.message, 200)}" if step.message else ""
    plan = step.plan
    if plan is None:
        return "\n".join(part for part in (title, said) if part), True
    if plan.empty:
        return "\n".join(part for part in (title, "Nothing to change.", said) if part), True
    below = [f"*Impact:* {cut(str(plan.impact), 200)}"]
    if plan.way_back is not None:
        below.append(f"*Way back:* {cut(plan.way_back.summary, 200)}")
    else:
        below.append(f"*No way back:* {cut(plan.no_way_back or 'none is known', 200)}")
    if plan.lasts is not None:
        below.append(f"*Taken back by itself* after {text.span(plan.lasts)}")
    below += [said] if said else []
    fixed = sum(size(part) + 1 for part in (title, *below))
    changes, whole = text.code_lines(
        [f"{plan.target}: {change}" for change in plan.changes], limit - fixed, more="more changes"
    )
    return "\n".join([title, changes, *below]), whole


def _verdicts(view: RunView) -> list[JSONObject]:
    if not view.verdicts:
        return []
    lines = [
        f"{_RULINGS[v.ruling]} *{cut(v.rule, 40)}:* {cut(v.reason or v.ruling.value, 120)}"
        + (f" _({cut(v.lifted_by, 60)})_" if v.lifted_by else "")
        for v in view.verdicts[:_MAX_VERDICTS]
    ]
    left = len(view.verdicts) - len(lines)
    if left:
        lines.append(f"… and {left} more")
    return [section("\n".join(["*Guardrails*", *lines]))]


def _approval(view: RunView) -> list[JSONObject]:
    approval = view.approval
    if approval is None:
        return []
    yes = {d.actor for d in view.decisions if d.answer is Answer.APPROVE}
    if open_question(view):
        approvers = [person(name) for name in approval.approvers[:_MAX_APPROVERS]]
        left = len(approval.approvers) - len(approvers)
        who = ", ".join(approvers) + (f" and {left} more" if left else "")
        count = f"{approval.quorum} approval{'s' if approval.quorum != 1 else ''}"
        lines = [
            f"*Approval needed* because {cut(approval.asked_because, 150)}",
            f"*May decide:* {who or 'nobody: name approvers in the runbook'}",
            f"*Needs:* {count}, {len(yes)} given · *until* {moment(approval.expires_at)}",
        ]
    elif approval.status is ApprovalStatus.OPEN:
        return []
    else:
        lines = [_CLOSED[approval.status]]
    # The newest matter most: they decided.
    shown = view.decisions[-_MAX_DECISIONS:]
    if len(shown) < len(view.decisions):
        lines.append(f"… {len(view.decisions) - len(shown)} earlier answers")
    for decision in shown:
        said = "✅ {} approved" if decision.answer is Answer.APPROVE else "⛔ {} denied"
        why = f": {cut(decision.reason, 100)}" if decision.reason else ""
        lines.append(f"{said.format(person(decision.actor))} · {moment(decision.at)}{why}")
    return [section("\n".join(lines))]


def _buttons(view: RunView) -> list[JSONObject]:
    value = open_question(view)
    if value is None:
        return []
    # A courtesy against a slip of the thumb, no protection: who may decide is checked at the desk.
    confirm = {
        "title": text.plain("Make this change?"),
        "text": text.mrkdwn(cut(_plans(view), 280) or "See the plan in the message."),
        "confirm": text.plain("Approve"),
        "deny": text.plain("Go back"),
    }
    approve, deny = ACTIONS
    return [
        {
            "type": "actions",
            "block_id": "approval",
            "elements": [
                {
                    "type": "button",
                    "action_id": approve,
                    "text": text.plain("Approve"),
                    "style": "primary",
                    "value": value,
                    "confirm": confirm,
                },
                {
                    "type": "button",
                    "action_id": deny,
                    "text": text.plain("Deny"),
                    "style": "danger",
                    "value": value,
                },
            ],
        }
    ]


def _result(view: RunView) -> list[JSONObject]:
    run_ = view.run
    if not run_.state.ended or run_.ended_at is None:
        return []
    emoji, word = _STATES[run_.state]
    took = text.span(run_.ended_at - (run_.started_at or run_.created_at))
    said = f": {cut(run_.message, 400)}" if run_.message else ""
    return [section(f"{emoji} *{word}*{said}\nTook {took}, ended {moment(run_.ended_at)}")]


def _about(view: RunView) -> JSONObject:
    parts = [f"run {code(view.run.id, 60)}"]
    if view.owner:
        parts.append(f"owner {cut(view.owner, 60)}")
    if view.incident is None:
        parts.append(f"started by {person(view.run.started_by)}")
    links = [(label, url) for label, url in view.links.items() if text.is_web_url(url)]
    if view.incident is not None and text.is_web_url(view.incident.generator_url):
        links.insert(0, ("alert", view.incident.generator_url))
    room = _MAX_LINK_TEXT
    for label, url in links[:_MAX_LINKS]:
        shown = link(url, label)
        if size(shown) <= room:  # a URL is of no use cut
            parts.append(shown)
            room -= size(shown)
    return {"type": "context", "elements": [text.mrkdwn(part) for part in parts]}


def _fallback(view: RunView, urgent: Note | None) -> str:
    emoji, word = _STATES[view.run.state]
    said = urgent.text if urgent else (_plans(view) if open_question(view) else view.run.message)
    shown = f": {cut(said, 300)}" if said else ""
    return f"{emoji} {word}: {cut(view.run.runbook, 100)}{shown}"


def _plans(view: RunView) -> str:
    return "; ".join(str(s.plan) for s in view.steps if s.plan is not None and not s.plan.empty)


def _text_size(blocks: list[JSONObject]) -> int:
    """Return how much text blocks hold, whatever they are nested in."""

    def measure(value: Any) -> int:
        if isinstance(value, Mapping):
            return sum(
                size(inner) if key == "text" and isinstance(inner, str) else measure(inner)
                for key, inner in value.items()
            )
        return sum(measure(inner) for inner in value) if isinstance(value, list) else 0

    return measure(blocks)
