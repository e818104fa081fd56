"""What happened in a test, by virtual time: shown beside a failure. Pure.

Made of what the timeline did, the audit records of the runs, and what people were told, each in a
line. Called by `play`, shown by `report`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from remediator.journal.values import AuditRecord
from remediator.rehearsal.seen import Told, in_order


class Part(StrEnum):
    """Whose doing a chapter is."""

    WORLD = "world"
    RUN = "run"
    TOLD = "told"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One line of a story.

    Args:
        at: virtual time from the start.
        part: whose doing it is.
        who: the runbook of a run, with its number where it has several; the notifier of a message.
        text: one line.
    """

    at: timedelta
    part: Part
    who: str
    text: str


class Story:
    """Gathers chapters in the order in which things happened.

    Args:
        start: when the virtual clock began.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._names: dict[str, str] = {}
        self._runs: dict[str, int] = {}
        self.chapters: list[Chapter] = []

    def happened(self, at: timedelta, text: str, *, before: int) -> None:
        """Add what the timeline did, before what followed from it."""
        self.chapters.insert(before, Chapter(at, Part.WORLD, "", text))

    def gather(self, records: Iterable[AuditRecord], told: Sequence[Told]) -> None:
        """Add what went on record and what was told since the last time, by time."""
        found = [
            (record.entry.at, Part.RUN, self._name(record), text)
            for record in records
            for text in self._lines(record)
        ]
        found += [(one.at, Part.TOLD, one.notifier, one.text) for one in in_order(told)]
        found.sort(key=lambda line: line[0])  # stable: of one moment, the record first
        self.chapters += [
            Chapter(at - self._start, part, who, text) for at, part, who, text in found
        ]

    def logged(self, at: timedelta, errors: Iterable[str]) -> None:
        """Add the errors that the daemon logged: a bug of an action, say."""
        self.chapters += [Chapter(at, Part.LOG, "", text) for text in errors]

    def _name(self, record: AuditRecord) -> str:
        run_id, details = record.entry.run_id, record.entry.details
        if run_id is None:
            return ""
        if run_id not in self._names and isinstance(details.get("runbook"), str):
            runbook = str(details["runbook"])
            number = self._runs[runbook] = self._runs.get(runbook, 0) + 1
            self._names[run_id] = runbook if number == 1 else f"{runbook} ({number})"
        return self._names.get(run_id, run_id)

    def _lines(self, record: AuditRecord) -> Sequence[str]:
        kind, details = record.entry.kind, record.entry.details
        if record.entry.run_id is None:
            return (_text(kind, details),) if kind not in _TOLD_ELSEWHERE else ()
        match kind:
            case "run.state":
                return (_state(details),)
            case "run.planned":
                return _planned(details)
            case "approval.asked":
                return (f"asks {_listed(details.get('approvers'))}: {details.get('because')}",)
            case "approval.decision" | "run.acknowledged" | "approval.snoozed":
                return ()  # the timeline says it
        if kind.startswith("step."):
            state = kind.partition(".")[2].replace("_", " ")
            return (f"step {details.get('step')} {state}: {details.get('message')}",)
        return (_text(kind, details),)


_TOLD_ELSEWHERE = frozenset(
    {"notification", "incident.opened", "incident.closed", "control", "not_authorised"}
)


def _state(details: Mapping[str, Any]) -> str:
    before, after = details.get("from"), details.get("to")
    arrow = f"{before} → {after}" if before not in (None, after) else str(after)
    message = details.get("message")
    return f"{arrow} ({details.get('reason')})" + (f": {message}" if message else "")


def _planned(details: Mapping[str, Any]) -> tuple[str, ...]:
    plans: Any = details.get("plans") or ()
    verdicts: Any = details.get("verdicts") or ()
    return (
        *(f"plan: {_target(plan['target'])}: {plan['summary']}" for plan in plans),
        *(
            f"verdict: {one['ruling']}: {one['rule']}: {one['reason']}"
            for one in verdicts
            if one["ruling"] != "allow" or one.get("override")
        ),
    )


def _target(target: Mapping[str, Any]) -> str:
    scope = f"{target['scope']}/" if target["scope"] else ""
    return f"{str(target['kind']).lower()} {scope}{target['name']}"


def _text(kind: str, details: Mapping[str, Any]) -> str:
    message = details.get("message") or details.get("text") or details.get("why") or ""
    return f"{kind}: {message}" if message else kind


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
