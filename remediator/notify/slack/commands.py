"""`/remediator …`: what somebody typed → what they ask for, and the answers' words. Pure.

Slack's apps turn quotes into typographic ones; they are taken for what was meant.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from remediator.model.quantities import parse_duration
from remediator.model.views import RunView
from remediator.notify.slack import plans
from remediator.notify.slack.text import code, cut, person
from remediator.notify.slack.words import STATES
from remediator.plugin.notifier import Standing

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'"})
_MOST_LABELS = 50
_LONGEST_NAME = 200

HELP = "\n".join(
    (
        "`/remediator status` how things stand",
        "`/remediator waiting` what waits for your answer",
        "`/remediator runs` what goes on",
        "`/remediator show RUN` one run",
        "`/remediator run NAME key=value …` start a runbook, with labels",
        "`/remediator ack RUN [reason]` you look at it: nobody else is called",
        "`/remediator cancel RUN [reason]` stop a run before its next change",
        "`/remediator pause SCOPE [for 2h] reason` stop automatic changes",
        "        SCOPE is `all`, `runbook:NAME` or `scope:NAMESPACE`",
        "`/remediator resume SCOPE` let them go on",
    )
)


class NotUnderstood(Exception):
    """The text is no command; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Help:
    """What can be asked for."""


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand; with `runs`, each run that goes on."""

    runs: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for whoever asks."""


@dataclass(frozen=True, slots=True)
class Show:
    """One run."""

    run: str


@dataclass(frozen=True, slots=True)
class Start:
    """A runbook, by hand."""

    runbook: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Answer a run's escalation."""

    run: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a run."""

    run: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Set a kill switch."""

    scope: str
    for_: timedelta | None
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Lift one."""

    scope: str


Asked: TypeAlias = Help | Status | Waiting | Show | Start | Acknowledge | Cancel | Pause | Resume


def parse(typed: str) -> Asked:
    """Return what was asked for.

    Raises:
        NotUnderstood: with a sentence for whoever typed it.
    """
    try:
        words = shlex.split(typed.translate(_QUOTES))
    except ValueError:
        raise NotUnderstood("A quote is not closed.") from None
    if not words or words[0].lower() == "help":
        return Help()
    verb, rest = words[0].lower(), words[1:]
    match verb:
        case "status" if not rest:
            return Status()
        case "runs" if not rest:
            return Status(runs=True)
        case "waiting" if not rest:
            return Waiting()
        case "show":
            return Show(_one(rest, "show RUN"))
        case "run":
            return _start(rest)
        case "ack" if rest:
            return Acknowledge(rest[0][:_LONGEST_NAME], " ".join(rest[1:]))
        case "cancel" if rest:
            return Cancel(rest[0][:_LONGEST_NAME], " ".join(rest[1:]))
        case "pause":
            return _pause(rest)
        case "resume":
            return Resume(scope(_one(rest, "resume SCOPE")))
    raise NotUnderstood(f"I do not know “{typed.strip()[:100]}”; try /remediator help.")


def pairs(lines: Sequence[str], word: str = "label") -> dict[str, str]:
    """Return `key=value` texts as labels, or as what `word` says.

    Raises:
        NotUnderstood: one of them is none.
    """
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise NotUnderstood(f"“{line[:100]}” is no {word}; write key=value.")
        found[name.strip()] = value.strip()
    if len(found) > _MOST_LABELS:
        raise NotUnderstood(f"More than {_MOST_LABELS} {word}s.")
    return found


def scope(word: str) -> str:
    """Return a scope as the desk takes it: `all` is everything, a bare name is a namespace."""
    if word.lower() in ("all", "everything", "*"):
        return "*"
    return word if ":" in word else f"scope:{word}"


def standing(one: Standing, *, runs: bool) -> str:
    """Return how things stand, in words."""
    lines = [f"⛔ Paused: {cut(sentence, 300)}" for sentence in one.paused]
    count = len(one.running)
    more = "at least " if count >= 20 else ""
    lines.append(
        f"{more}{count} run{'' if count == 1 else 's'} under way, {one.waiting} waiting for a "
        f"person, {one.open_incidents} open incident{'' if one.open_incidents == 1 else 's'}."
    )
    if runs:
        for run in one.running:
            emoji, word = STATES[run.state]
            target = f" · {cut(run.target, 100)}" if run.target else ""
            lines.append(f"{emoji} {word}: {cut(run.runbook, 80)}{target} · {code(run.id, 60)}")
    return "\n".join(lines)


def shown(view: RunView) -> str:
    """Return one run, in words."""
    run = view.run
    emoji, word = STATES[run.state]
    lines = [f"{emoji} *{word}: {cut(run.runbook, 100)}* · {code(run.id, 60)}"]
    if run.target:
        lines.append(cut(run.target, 150))
    if planned := plans.briefly(view):
        lines.append(cut(planned, 1000))
    if run.message:
        lines.append(f"_{cut(run.message, 500)}_")
    if view.incident is None:
        lines.append(f"started by {person(run.started_by)}")
    return "\n".join(lines)


def _one(words: Sequence[str], usage: str) -> str:
    if len(words) != 1:
        raise NotUnderstood(f"Write /remediator {usage}.")
    return words[0][:_LONGEST_NAME]


def _start(words: Sequence[str]) -> Start:
    if not words or "=" in words[0]:
        raise NotUnderstood("Write /remediator run NAME key=value …")
    return Start(words[0][:_LONGEST_NAME], pairs(words[1:]))


def _pause(words: Sequence[str]) -> Pause:
    if not words:
        raise NotUnderstood("Write /remediator pause SCOPE [for 2h] reason.")
    rest, for_ = list(words[1:]), None
    if len(rest) >= 2 and rest[0].lower() == "for":
        try:
            for_ = parse_duration(rest[1])
        except ValueError as error:
            raise NotUnderstood(f"{error}.") from None
        rest = rest[2:]
    if not rest:
        raise NotUnderstood("Say why: /remediator pause SCOPE [for 2h] reason.")
    return Pause(scope(words[0][:_LONGEST_NAME]), for_, " ".join(rest))
