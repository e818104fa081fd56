"""A run as Block Kit: what people see in the channel, and press. Pure; called by `notifier`.

Everything that another wrote goes through `text`. Nothing here depends on the time, so that the
same view always renders to the same blocks, and an edit that would change nothing can be spared.
"""

from dataclasses import dataclass

from remediator.model.approvals import Answer, ApprovalStatus, OnExpiry, Terms
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, RunView
from remediator.notify.slack import buttons as pressed
from remediator.notify.slack import plans, text
from remediator.notify.slack.buttons import open_question
from remediator.notify.slack.text import bold, code, cut, link, moment, person, section, size
from remediator.notify.slack.words import CLOSED, NOTES, RULINGS, STATES, what_next
from remediator.observe import masking

# Slack refuses a message whose blocks hold too much text together, at a limit that it does not
# document: 9,600 characters were taken and 11,300 were not (slackapi/bolt-js, issue 2867). The
# limits below leave at least 1,700 of it to the plan, which matters most; usually far more.
MAX_TEXT = 9000
_MAX_HEADER = 150
_MAX_NOTE = 2000  # of a section's 3000; mentions may follow
_MAX_LABELS = 10
_MAX_VERDICTS = 5
_MAX_DECISIONS = 3
_MAX_DIFFERS = 500
_MAX_APPROVERS = 10
_MAX_LINKS = 5
_MAX_LINK_TEXT = 800  # of all links; a generator URL holds a whole query

# What people look for first; the rest follows by name.
_LABELS_FIRST = ("alertname", "severity", "namespace", "deployment", "service", "pod")


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: `text` is what a phone shows of it before it is opened."""

    text: str
    blocks: tuple[JSONObject, ...]


def run(
    view: RunView, urgent: Note | None = None, *, buttons: bool = True, ring: str = ""
) -> Message:
    """Render a run.

    Args:
        view: the run as it is now.
        urgent: the escalation that the message is posted for, if it is.
        buttons: whether a press of one could reach us.
        ring: mentions of whom this posting calls; only where a person is needed.
    """
    emoji, word = STATES[view.run.state]
    head: list[JSONObject] = [
        {
            "type": "header",
            "text": text.plain(cut(f"{emoji} {word}: {view.run.runbook}", _MAX_HEADER)),
        }
    ]
    if urgent is not None:
        head.append(section(f"{NOTES[urgent.kind]} *{cut(urgent.text, 500)}*"))
    if ring:
        head.append(section(f"🔔 {ring}"))
    head += [section(_summary(view)), *_labels(view)]
    tail = [*_verdicts(view), *_approval(view)]
    row = pressed.of_run(view) if buttons else []
    ending = [*_result(view), _about(view)]
    room = MAX_TEXT - text.in_blocks([*head, *tail, *row, *ending])
    steps, whole = plans.in_message(view, room - len(_INCOMPLETE) - 200)
    if not whole:
        steps.append(section(_INCOMPLETE.format(code(f"remediator runs show {view.run.id}", 80))))
    shown = f"{_fallback(view, urgent)} {ring}".strip()
    return Message(text=shown, blocks=(*head, *steps, *tail, *row, *ending))


def note(one: Note, view: RunView, *, late: bool, ring: str = "") -> Message:
    """Render a note as one line of the thread.

    Args:
        one: the note.
        view: its run.
        late: it is delivered long after it happened, so say when that was.
        ring: mentions of whom it calls; only where a person is needed.
    """
    when = f" · {moment(one.at)}" if late else ""
    called = f" {ring}" if ring else ""
    said = text.sentence(one.text, _involved(view), _MAX_NOTE) or "went on"
    shown = f"{NOTES[one.kind]} {said}{when}{called}"
    return Message(text=shown, blocks=(section(shown),))


_INCOMPLETE = "⚠️ *Not all of the plan fits in here.* Read it before you decide: Show plan, or {}"


def _summary(view: RunView) -> str:
    run_ = view.run
    parts = [bold(run_.target, 150)] if run_.target else []
    if view.description:
        parts.append(cut(view.description, 200))
    # Where people are asked, the plan says it better; at the end the result does.
    if run_.message and not run_.state.ended and open_question(view) is None:
        parts.append(f"_{STATES[run_.state][1]}:_ {cut(run_.message, 300)}")
    if view.acknowledged is not None:
        since = moment(view.acknowledged.at)
        parts.append(f"👀 {person(view.acknowledged.by)} looks at it since {since}")
    return "\n".join(parts) or bold(run_.runbook, 150)


def _labels(view: RunView) -> list[JSONObject]:
    labels = view.labels
    if not labels:
        return []
    names = [name for name in _LABELS_FIRST if name in labels]
    names += sorted(set(labels) - set(names))
    shown = names if len(names) <= _MAX_LABELS else names[: _MAX_LABELS - 1]
    parts = [f"{bold(name, 40)} {code(masking.value(name, labels[name]), 60)}" for name in shown]
    if len(shown) < len(names):
        parts.append(f"… and {len(names) - len(shown)} more labels")
    # On a line or two: the plan and the buttons are to stand on the same screen.
    return [section(" · ".join(parts))]


def _verdicts(view: RunView) -> list[JSONObject]:
    if not view.verdicts:
        return []
    lines = [
        f"{RULINGS[v.ruling]} *{cut(v.rule, 40)}:* {cut(v.reason or v.ruling.value, 120)}"
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
        lines += _terms(approval.terms)
        if approval.differs:
            changed, _ = text.code_lines(list(approval.differs), _MAX_DIFFERS, more="more lines")
            lines.append(f"*What changed since it was asked before:*\n{changed}")
    elif approval.status is ApprovalStatus.OPEN:
        return []
    else:
        why = f"_{cut(approval.closed_why, 150)}_" if approval.closed_why else ""
        lines = [why or CLOSED[approval.status]]
    # The newest matter most: they decided.
    shown = view.decisions[-_MAX_DECISIONS:]
    if len(shown) < len(view.decisions):
        lines.append(f"… {len(view.decisions) - len(shown)} earlier answers")
    for decision in shown:
        said = "✅ {} approved" if decision.answer is Answer.APPROVE else "⛔ {} denied"
        why = f": {cut(decision.reason, 100)}" if decision.reason else ""
        lines.append(f"{said.format(person(decision.actor))} · {moment(decision.at)}{why}")
    return [section("\n".join(lines))]


def _terms(terms: Terms) -> list[str]:
    """Return what is unusual about how a question is answered, and so must be known."""
    lines = []
    if terms.four_eyes:
        lines.append("*Four eyes:* not by whoever started the run")
    if terms.on_expiry is OnExpiry.APPROVE:
        lines.append("⚠️ *If nobody answers in time, the change is made*")
    return lines


def _result(view: RunView) -> list[JSONObject]:
    run_ = view.run
    if not run_.state.ended or run_.ended_at is None:
        return []
    emoji, word = STATES[run_.state]
    took = text.span(run_.ended_at - (run_.started_at or run_.created_at))
    # "Denied by …" after "Denied" would say it twice.
    rest = run_.message
    if rest.lower().startswith(word.lower()):
        rest = rest[len(word) :].strip(" :")
        said = f" {text.sentence(rest, _involved(view), 400)}" if rest else ""
    else:
        said = f": {cut(rest, 400)}" if rest else ""
    lines = [f"{emoji} *{word}*{said}", f"Took {took}, ended {moment(run_.ended_at)}"]
    if todo := what_next(view):
        lines.append(f"*What to do:* {todo}")
    return [section("\n".join(lines))]


def _involved(view: RunView) -> frozenset[str]:
    """Return who had a hand in the run, as the journal knows them."""
    run_ = view.run
    found = {decision.actor for decision in view.decisions} | {run_.started_by}
    found |= {run_.cancel_requested_by or ""}
    if view.acknowledged is not None:
        found.add(view.acknowledged.by)
    return frozenset(found)


def _about(view: RunView) -> JSONObject:
    parts = [f"run {code(view.run.id, 60)}"]
    if view.owner:
        parts.append(f"owner {cut(view.owner, 60)}")
    if view.incident is None:
        parts.append(f"started by {person(view.run.started_by)}")
    links = [(label, url) for label, url in view.links.items() if text.is_web_url(url)]
    if view.incident is not None and text.is_web_url(view.incident.generator_url):
        links.insert(0, ("graph", view.incident.generator_url))
    room = _MAX_LINK_TEXT
    for label, url in links[:_MAX_LINKS]:
        shown = link(url, label)
        if size(shown) <= room:  # a URL is of no use cut
            parts.append(shown)
            room -= size(shown)
    return {"type": "context", "elements": [text.mrkdwn(part) for part in parts]}


def _fallback(view: RunView, urgent: Note | None) -> str:
    emoji, word = STATES[view.run.state]
    said = (
        urgent.text
        if urgent
        else (plans.briefly(view) if open_question(view) else view.run.message)
    )
    shown = f": {cut(said, 300)}" if said else ""
    return f"{emoji} {word}: {cut(view.run.runbook, 100)}{shown}"
