"""What guardrails may know of the past.

Read once for all that is judged in one transaction (`gather`), and kept up in memory while its
intents are accepted one after the other (`Past.add`). Intents pass a gate: one transaction at a
time, of all replicas, reads the past in order to add to it, so that no limit can be raced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from remediator.journal import controls, incidents, locks, overrides, steps
from remediator.journal.protocol import Control, History, PastChange, RunUpdate
from remediator.journal.statements import Operation, Query
from remediator.model.overrides import Override
from remediator.model.runs import Run

_GATE = "SELECT name FROM gates WHERE name = 'intents' FOR NO KEY UPDATE"


@dataclass(slots=True)
class Past:
    """Changes newest first, kill switches, who holds which target, and which incidents go on."""

    changes: list[PastChange]
    controls: Sequence[Control]
    locks: dict[str, str]
    incident_open: Mapping[str, bool]
    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)

    def of(self, run: Run, *, since: datetime | None, at: datetime) -> History:
        """Return what a guard of this run may know."""
        return History(
            changes=tuple(c for c in self.changes if c.at >= since) if since else (),
            controls=tuple(c for c in self.controls if c.until is None or c.until > at),
            locks={key: holder for key, holder in self.locks.items() if holder != run.id},
            incident_open=self.incident_open.get(run.incident_id) if run.incident_id else None,
            overrides=self.overrides.get(run.id, ()),
        )

    def holder_of_any(self, target_keys: Sequence[str], *, besides: str) -> str:
        """Return another run that holds one of the targets, or empty."""
        for key in sorted(target_keys):
            holder = self.locks.get(key, besides)
            if holder != besides:
                return holder
        return ""

    def add(self, run: Run, update: RunUpdate) -> None:
        """Take an accepted update into account."""
        self.locks.update(dict.fromkeys(update.lock, run.id))
        begun = steps.as_changes(run, update.steps)
        if begun:
            known = {(c.run_id, c.sequence) for c in self.changes}
            fresh = [c for c in begun if (c.run_id, c.sequence) not in known]
            self.changes[:0] = fresh


def read(*, run_id: str, since: datetime | None, at: datetime) -> Operation[History]:
    """Read the changes since then, kill switches, locks of other runs, and the run's incident."""
    changes = (yield from steps.changes(since=since)) if since else ()
    switches = yield from controls.active(at)
    held = yield from locks.of_others(run_id)
    still_open = yield from incidents.open_of_run(run_id)
    lifted = yield from overrides.of_runs([run_id])
    return History(
        changes=changes,
        controls=switches,
        locks=held,
        incident_open=still_open,
        overrides=lifted.get(run_id, ()),
    )


def gather(wave: Sequence[RunUpdate], ours: Mapping[str, Run]) -> Operation[Past]:
    """Read what judging these updates needs, and no more; what locks or guards passes the gate."""
    locking = [u for u in wave if u.run_id in ours and (u.lock or u.guard)]
    guards = [(u.guard, ours[u.run_id]) for u in locking if u.guard]
    if not locking:
        return Past([], (), {}, {})
    yield Query(_GATE)
    held = yield from locks.all_held()
    if not guards:
        return Past([], (), held, {})
    spans = [guard.since for guard, _ in guards if guard.since is not None]
    changes = (yield from steps.changes(since=min(spans))) if spans else ()
    switches = yield from controls.active(min(u.at for u in locking))
    of = {run.incident_id for _, run in guards if run.incident_id}
    still_open = (yield from incidents.which_are_open(of)) if of else {}
    lifted = yield from overrides.of_runs([run.id for _, run in guards], lock=True)
    return Past(list(changes), switches, held, still_open, lifted)
