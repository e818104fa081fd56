"""What `remediator replay` prints: a table of the runs that differ and sums, or JSON as it comes.

JSON is written run by run, so that a long replay needs no memory; the table keeps the newest only.
"""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import click

from remediator.cli import show
from remediator.engine.replay.lines import Line, Pair
from remediator.engine.replay.tally import Counts, Tally
from remediator.model.clock import to_minute, to_text
from remediator.observe import masking

if TYPE_CHECKING:
    from remediator.cli.recorded import Reading, Wanted
    from remediator.engine.would import Ledger

_LONGEST_LABELS = 60


class Printer(Protocol):
    """Takes runs as they come."""

    tally: Tally

    def begin(self) -> None:
        """Say what comes."""

    def add(self, pair: Pair) -> None:
        """Take one run."""

    def end(
        self, wanted: "Wanted", told: "Reading", unmatched: Sequence[str], ledger: "Ledger"
    ) -> None:
        """Say what it comes to."""


def printer(output: str, *, limit: int, everything: bool, compared: bool) -> Printer:
    """Return what prints in a format.

    Args:
        limit: so many runs in the table.
        everything: runs that do not differ, too.
        compared: whether there is another side; else every run is shown.
    """
    if output == "json":
        return _Json(compared)
    return _Page(limit, everything or not compared, compared)


# ---------------------------------------------------------------------------------------- JSON


class _Json:
    def __init__(self, compared: bool) -> None:
        self.tally = Tally()
        self._compared = compared
        self._comma = ""

    def begin(self) -> None:
        click.echo('{"runs": [', nl=False)

    def add(self, pair: Pair) -> None:
        self.tally.add(pair)
        text = json.dumps(_pair(pair, self._compared), ensure_ascii=False)
        click.echo(f"{self._comma}\n{text}".encode(errors="replace").decode(), nl=False)
        self._comma = ","

    def end(
        self, wanted: "Wanted", told: "Reading", unmatched: Sequence[str], ledger: "Ledger"
    ) -> None:
        rest = {
            "since": to_text(wanted.since) if wanted.since else None,
            "until": to_text(wanted.until),
            "against": wanted.against or ("history" if self._compared else None),
            "notifications": {
                "replayed": told.replayed,
                "gone": told.gone,
                "unreadable": told.unread,
                "oldest": to_text(told.oldest) if told.oldest else None,
            },
            "unreadable": told.unreadable,
            "conditions_failed": list(unmatched),
            "withheld": list(dict.fromkeys(ledger.withheld)),
            "runbooks": [
                {"runbook": name, **_counts(counts, self._compared)}
                for name, counts in sorted(self.tally.by_runbook.items())
            ],
            "total": {
                "runs": self.tally.runs,
                "differing": self.tally.differing if self._compared else None,
                "unplanned": self.tally.unplanned,
            },
            "assumed": {
                "approvals": "all" if wanted.approved else "none",
                "plans": wanted.plans,
                "world": str(wanted.world) if wanted.world else None,
            },
        }
        text = json.dumps(rest, indent=2, ensure_ascii=False)
        click.echo(f"\n],{text[1:]}".encode(errors="replace").decode())


def _pair(pair: Pair, compared: bool) -> dict[str, Any]:
    line = pair.line
    found: dict[str, Any] = {
        "at": to_text(line.at),
        "runbook": line.runbook,
        "trigger": line.trigger.value,
        "sender": line.sender,
        "fingerprint": line.fingerprint,
        "labels": masking.document(line.labels),
        "now": _side(pair.now),
    }
    if compared:
        found |= {"then": _side(pair.then), "difference": difference(pair) or None}
    return found


def _side(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {
        "verdict": line.what.value,
        "guardrail": line.guardrail or None,
        "message": masking.text(line.message),
        "plans": [masking.text(plan) for plan in line.plans],
        "unplanned": masking.text(line.unplanned) or None,
        "end": line.end.value if line.end else None,
        "run_id": line.run_id or None,
    }


def _counts(counts: Counts, compared: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"now": dict(counts.now), "unplanned": counts.unplanned}
    if compared:
        found |= {
            "then": dict(counts.then),
            "same": counts.same,
            "added": counts.added,
            "gone": counts.gone,
            "changed": {part.value: count for part, count in counts.changed.items()},
        }
    return found


def difference(pair: Pair) -> str:
    """Return in one word or a few how the sides differ; empty where they do not."""
    if pair.same:
        return ""
    if pair.then is None:
        return "added"
    if pair.now is None:
        return "gone"
    return ", ".join(pair.differs)


# --------------------------------------------------------------------------------------- table


class _Page:
    def __init__(self, limit: int, everything: bool, compared: bool) -> None:
        self.tally = Tally()
        self._everything = everything
        self._compared = compared
        self._shown: deque[Pair] = deque(maxlen=limit)
        self._left_out = 0

    def begin(self) -> None:
        """Nothing is said before the widths are known."""

    def add(self, pair: Pair) -> None:
        self.tally.add(pair)
        if not self._everything and pair.same:
            return
        self._left_out += len(self._shown) == self._shown.maxlen
        self._shown.append(pair)

    def end(
        self, wanted: "Wanted", told: "Reading", unmatched: Sequence[str], ledger: "Ledger"
    ) -> None:
        self._runs(wanted)
        click.echo()
        self._sums(wanted)
        click.echo()
        for line in self._notes(wanted, told, unmatched, ledger):
            click.echo(show.clean(line))

    def _runs(self, wanted: "Wanted") -> None:
        rows = sorted(self._shown, key=lambda pair: (pair.line.at, pair.line.runbook))
        if not self._compared:
            show.table(
                ("when", "runbook", "alert", "would", "plan or why"),
                ((*_head(pair), _verdict(pair.now), _why(pair.now)) for pair in rows),
                none="no runbook would have run",
            )
            return
        then = wanted.against or "then"
        show.table(
            ("when", "runbook", "alert", "would", then, "differs", "plan or why"),
            (
                (
                    *_head(pair),
                    _verdict(pair.now),
                    _verdict(pair.then),
                    difference(pair),
                    _whys(pair),
                )
                for pair in rows
            ),
            none="no run differs" if self.tally.by_runbook else "no runbook would have run",
        )

    def _sums(self, wanted: "Wanted") -> None:
        columns: tuple[str, ...] = ("runbook", "runs", "would")
        if self._compared:
            columns = (*columns, wanted.against or "then", "same", "added", "gone", "changed")
        show.table(
            columns,
            (_sum(name, counts, self._compared) for name, counts in self._by_name()),
            none="",
            breaking=2,
        )

    def _by_name(self) -> Iterator[tuple[str, Counts]]:
        return iter(sorted(self.tally.by_runbook.items()))

    def _notes(
        self, wanted: "Wanted", told: "Reading", unmatched: Sequence[str], ledger: "Ledger"
    ) -> Iterator[str]:
        if self._left_out:
            yield f"{self._left_out:,} more runs, older; see --limit, or -o json for all"
        since = f" since {to_minute(wanted.since)}" if wanted.since else ""
        noun = "notification" if told.replayed == 1 else "notifications"
        yield f"{told.replayed:,} {noun}{since} until {to_minute(wanted.until)} replayed"
        if told.gone:
            oldest = (
                f"; the oldest that is left is of {to_minute(told.oldest)}" if told.oldest else ""
            )
            yield f"{told.gone:,} are on record and their bodies are gone (retention){oldest}"
        if told.unread:
            yield f"{told.unread:,} can't be read: {'; '.join(told.unreadable[:3])}"
        for text in unmatched[:3]:
            yield f"a condition can't be told: {text}"
        if self.tally.unplanned:
            runs = "run" if self.tally.unplanned == 1 else "runs"
            yield (
                f"{self.tally.unplanned:,} {runs} could not be planned against "
                f"{wanted.world or 'the world of today'}: only the limits that need no plan count"
                if wanted.plans
                else "nothing was planned: only the limits that need no plan count"
            )
        for text in dict.fromkeys(ledger.withheld[:3]):
            yield f"not done, since everything is only read: {text}"
        yes = "people said yes at once" if wanted.approved else "nobody answered a question"
        yield f"assumed: each run was carried out at its time, {yes}; nothing was changed"


def _head(pair: Pair) -> tuple[str, str, str]:
    line = pair.line
    name = line.labels.get("alertname", line.fingerprint)
    labels = {name: masking.value(name, value) for name, value in line.labels.items()}
    rest = show.labels(labels, without=("alertname",))
    text = f"{name} {rest}".strip()
    if len(text) > _LONGEST_LABELS:
        text = f"{text[: _LONGEST_LABELS - 1]}…"
    return f"{line.at:%Y-%m-%d %H:%M}", line.runbook, text


def _verdict(line: Line | None) -> str:
    return line.verdict if line is not None else ""


def _why(line: Line | None) -> str:
    if line is None:
        return ""
    if line.plans and line.what.value in ("acts", "asks", "observes"):
        return masking.text("; ".join(line.plans))
    return masking.text(line.unplanned or line.message)


def _whys(pair: Pair) -> str:
    now, then = _why(pair.now), _why(pair.then)
    if "plan" in pair.differs:
        return f"{now}, not {then}"
    return now or then


def _sum(name: str, counts: Counts, compared: bool) -> tuple[object, ...]:
    row: tuple[object, ...] = (name, counts.now.total(), _counted(counts.now))
    if not compared:
        return row
    changed = ", ".join(f"{part.value} {count}" for part, count in sorted(counts.changed.items()))
    return (*row, _counted(counts.then), counts.same, counts.added, counts.gone, changed)


def _counted(given: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in given.most_common())
