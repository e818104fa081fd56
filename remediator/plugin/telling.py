"""A run in plain words: what every notifier says of it, each in its own dress. Pure.

Owns which facts are told, in which order and how much of them, and that foreign text (labels,
plans, reasons: what alerts and people wrote) is one line each, without secrets and without
characters that nobody sees. What a channel must escape beyond that is the channel's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from urllib.parse import urlsplit

from remediator.model.canonical import JSON, JSONObject
from remediator.model.clock import to_minute, to_text
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step, StepState, Trigger
from remediator.model.storms import Storm
from remediator.model.views import Note, NoteKind, RunView
from remediator.observe import masking
from remediator.plugin.notifier import StormBar

STORM = StormBar(
    runs=10,
    within=timedelta(minutes=1),
    over_after=timedelta(minutes=2),
    apart=timedelta(minutes=5),
)
"""Of channels that can't edit what they said: a message each five minutes while it lasts."""
MAX_TEXT = 1000
MAX_PLANS = 20
MAX_LABELS = 40
MAX_LINKS = 10
_LONGEST_LABEL = 300
_LONGEST_URL = 2000
# Longer than any secret.
_NEARBY = 4096

_LINE_ENDS = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
# Control characters; those that turn the reading direction, so that a plan reads otherwise than it
# is; halves of surrogate pairs, which no encoder takes.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_STATES = {
    RunState.PENDING: "waits",
    RunState.PLANNING: "plans",
    RunState.AWAITING_APPROVAL: "asks for approval",
    RunState.APPLYING: "makes its changes",
    RunState.VERIFYING: "watches whether it helped",
    RunState.UNDOING: "takes its changes back",
    RunState.INTERRUPTED: "was interrupted; a person must look",
    RunState.SUCCEEDED: "succeeded",
    RunState.ROLLED_BACK: "was rolled back",
    RunState.FAILED: "failed",
    RunState.SUPPRESSED: "was suppressed",
    RunState.OBSERVED: "was observed only",
    RunState.DENIED: "was denied",
    RunState.EXPIRED: "expired",
    RunState.CANCELLED: "was cancelled",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One note with its run, in plain text; every text is one line.

    Args:
        title: a line that says what it is about and how it stands.
        text: what is new.
        facts: name and value, the most important first.
        changes: each planned or made change, before → after.
        way_back: of each plan.
        links: text and a URL that may be offered for a click.
        labels: the alert's.
        look: the command that shows all of it.
    """

    title: str
    text: str
    facts: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]
    way_back: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    look: str


def told(note: Note, view: RunView) -> Told:
    """Put a note and its run into plain words."""
    run = view.run
    plans = [step.plan for step in view.steps if step.plan is not None and not step.plan.empty]
    # Not all are written out: there may be thousands.
    changes = (f"{plan.target}: {change}" for plan in plans for change in plan.changes)
    count = sum(len(plan.changes) for plan in plans)
    # Many lanes have one way back, said once.
    back = list(
        dict.fromkeys(
            plan.way_back.summary if plan.way_back else f"none: {plan.no_way_back}"
            for plan in plans
        )
    )
    labels = view.incident.labels if view.incident is not None else {}
    return Told(
        title=cut(f"{run.runbook}: {state(note, view)}", 200),
        text=cut(note.text or run.message, MAX_TEXT),
        facts=tuple((name, cut(value, MAX_TEXT)) for name, value in _facts(note, view) if value),
        changes=_some(changes, count, "changes"),
        way_back=_some(back, len(back), "ways back"),
        links=links(view),
        labels=tuple(
            (cut(name, 100), cut(masking.value(name, value), _LONGEST_LABEL))
            for name, value in sorted(labels.items())[:MAX_LABELS]
        ),
        look=f"remediator runs show {run.id}",
    )


def state(note: Note, view: RunView) -> str:
    """Return how a run stands, in a few words."""
    if note.kind is NoteKind.ESCALATION:
        return "a person must look"
    if note.kind is NoteKind.ACKNOWLEDGED:
        return "somebody looks"
    if note.kind is NoteKind.CLEARED:
        return "the alert cleared"
    return _STATES[view.run.state]


def worth_a_message(note: Note, view: RunView) -> bool:
    """Whether a channel that can't edit what it said should say this: questions, escalations, ends,
    and not each step on the way.

    A note is told some time after it was written, and by then the run may have gone on: a note of
    what came before an end has other words than the end's, which has a note of its own.
    """
    if note.kind in (NoteKind.APPROVAL, NoteKind.ESCALATION, NoteKind.ACKNOWLEDGED):
        return True
    if note.kind is NoteKind.CLEARED:
        return True
    rests = view.run.state.ended or view.run.state is RunState.INTERRUPTED
    return note.kind is NoteKind.STATE and rests and note.text == view.run.message


def repeats(note: Note, ref: JSONObject | None) -> bool:
    """Whether a note says what was said just before: a run that ends badly calls people with the
    sentence that its end says again.

    Args:
        note: the note.
        ref: what the notifier remembers; `said` is the text of the last note that it told.
    """
    said = str(ref.get("said", "")) if ref is not None else ""
    return note.kind is NoteKind.STATE and bool(note.text) and said.endswith(note.text)


def storm(one: Storm) -> tuple[str, tuple[str, ...]]:
    """Return how a storm stands: a title, and lines that say more."""
    over = one.closed_at is not None
    title = f"{'the storm is over' if over else 'storm'}: {one.runs} runs"
    if one.needed:
        title = f"{title}, {one.needed} wait for a person"
    states = [
        f"{count} × {_STATES[state]}"
        for state, count in sorted(one.by_state.items(), key=lambda pair: -pair[1])
        if count
    ]
    runbooks = [f"{count} × {cut(name, 80)}" for name, count in one.by_runbook.items()]
    first = [f"{cut(run.target or run.runbook, 120)}: {_STATES[run.state]}" for run in one.first]
    left = one.runs - len(first)
    return title, (
        f"since {to_minute(one.began_at)}",
        *states,
        *runbooks[:MAX_PLANS],
        *first,
        *([f"… and {left} more runs"] if left > 0 else []),
        "what needs a person has a message of its own now"
        if over
        else "what still needs a person gets a message of its own when it is over",
        "remediator runs list",
    )


def closes(note: Note, view: RunView) -> bool:
    """Whether nothing is left to do for the person who was called."""
    if note.kind is NoteKind.CLEARED:
        return True
    return note.kind is NoteKind.STATE and ended_well(view.run)


def ended_well(run: Run) -> bool:
    """Whether a run ended so that nobody need look.

    A run that was rolled back has not helped, and one that a person cancelled says nothing about
    the alert; what these opened stays open until the alert clears or the person closes it.
    """
    cleared = run.state is RunState.CANCELLED and run.reason is Reason.RESOLVED_BY_ITSELF
    return run.state is RunState.SUCCEEDED or cleared


def begun_here(run: Run) -> bool:
    """Whether what a run's steps changed was this run's doing; one that takes a raised limit back
    holds the step of the run that raised it."""
    return run.trigger is not Trigger.EXPIRY


def changed(step: Step) -> bool:
    """Whether a step's change was made, as far as is known now."""
    if step.plan is None or step.plan.empty or step.started_at is None:
        return False
    return step.state in (StepState.UNDOING, StepState.UNDONE) or (
        step.changed and step.state in (StepState.DONE, StepState.FAILED)
    )


def as_json(note: Note, view: RunView) -> JSONObject:
    """Return a note and its run as other programs get them; keys are only ever added."""
    run = view.run
    plain = told(note, view)
    steps: list[JSON] = [
        {
            "id": step.step_id,
            "action": step.action,
            "state": step.state.value,
            "target": cut(str(step.plan.target), MAX_TEXT) if step.plan else None,
            "changes": list(_some(map(str, step.plan.changes), len(step.plan.changes), "changes"))
            if step.plan
            else [],
            "message": cut(step.message, MAX_TEXT),
            "changed": step.changed,
            "started_at": to_text(step.started_at) if step.started_at else None,
            "ended_at": to_text(step.ended_at) if step.ended_at else None,
        }
        for step in view.steps[:MAX_PLANS]
    ]
    return {
        "note": {
            "id": note.id,
            "kind": note.kind.value,
            "text": plain.text,
            "at": to_text(note.at),
        },
        "run": {
            "id": run.id,
            "runbook": run.runbook,
            "description": cut(view.description, MAX_TEXT),
            "owner": cut(view.owner, MAX_TEXT),
            "state": run.state.value,
            "reason": run.reason.value,
            "message": cut(run.message, MAX_TEXT),
            "target": cut(run.target, MAX_TEXT),
            "created_at": to_text(run.created_at),
            "ended_at": to_text(run.ended_at) if run.ended_at else None,
            "acknowledged_by": view.acknowledged.by if view.acknowledged else None,
            "links": dict(plain.links),
            "outputs": masking.document(view.outputs.values),
            "steps": steps,
        },
        "alert": {
            "incident_id": view.incident.id,
            "sender": view.incident.sender,
            "status": view.incident.status.value,
            "labels": dict(plain.labels),
            "starts_at": to_text(view.incident.starts_at),
            "ends_at": to_text(view.incident.ends_at) if view.incident.ends_at else None,
        }
        if view.incident is not None
        else None,
    }


def links(view: RunView) -> tuple[tuple[str, str], ...]:
    """Return the links of a run and its alert that may be offered for a click."""
    found = [(cut(text, 100), url) for text, url in view.links.items()]
    if view.incident is not None:
        found.insert(0, ("alert", view.incident.generator_url))
    return tuple((text, url) for text, url in found if is_web_url(url))[:MAX_LINKS]


def is_web_url(url: str) -> bool:
    """Whether a URL may be offered for a click: http or https, a host, no hidden characters."""
    if len(url) > _LONGEST_URL or line(url) != url or any(c.isspace() for c in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.username is not None:
        return False  # a link would hand the password on to whoever opens it
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def line(text: str) -> str:
    """Return foreign text on one line, without secrets and characters that nobody sees."""
    # Masked before the lines are joined, and again where that put a secret together.
    joined = _LINE_ENDS.sub("⏎", _UNSEEN.sub("", masking.text(text)))
    return masking.text(joined.replace("\t", " ").strip())


def cut(text: str, limit: int) -> str:
    """Return foreign text on one line, in at most `limit` characters and a count of the rest."""
    head = _head(text, limit)
    unread = len(text) - len(head)
    clean = line(head)
    if len(clean) <= limit and not unread:
        return clean
    kept = max(0, min(len(clean), limit - len(f"… (+{len(clean) + unread} characters)")))
    return f"{clean[:kept]}… (+{len(clean) - kept + unread} characters)"


def _head(text: str, limit: int) -> str:
    """Return as much of a text as can matter for its first `limit` characters: looking for secrets
    in megabytes of an alert's label would hold up everybody else.

    A word is not cut in two where that can be helped, so that no half of a secret is left over.
    """
    most = 4 * limit + _NEARBY
    if len(text) <= most:
        return text
    end = max(text.rfind(" ", 0, most), text.rfind("\n", 0, most))
    return text[: end if end > 2 * limit else most]


def _facts(note: Note, view: RunView) -> list[tuple[str, str]]:
    run = view.run
    seen = view.acknowledged
    return [
        ("target", run.target),
        ("what the runbook does", view.description),
        ("state", f"{run.state.value} ({run.reason.value})"),
        ("message", run.message if run.message != note.text else ""),
        ("owner", view.owner),
        ("acknowledged by", seen.by if seen else ""),
        ("run", run.id),
    ]


def _some(lines: Iterable[str], count: int, what: str) -> tuple[str, ...]:
    shown = [cut(one, MAX_TEXT) for one in islice(lines, MAX_PLANS)]
    if count > MAX_PLANS:
        shown[-1] = f"… and {count - MAX_PLANS + 1} more {what}"
    return tuple(shown)
