"""What guardrails may know of the past.

Read once for all that is judged in one transaction (`gather`), and kept up in memory while its
intents are accepted one after the other (`Past.add`). Intents pass a gate: one transaction at a
time, of all replicas, reads the past in order to add to it, so that no limit can be raced. Only
what a guard's `LookBack` names is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from remediator.journal import breakers, controls, incidents, locks, overrides, steps
from remediator.journal.statements import Operation, Query
from remediator.journal.values import RunUpdate
from remediator.model.history import (
    Control,
    GoingOn,
    History,
    LookBack,
    Outcome,
    PastChange,
    Reset,
)
from remediator.model.overrides import Override
from remediator.model.runs import Run

_GATE = "SELECT name FROM gates WHERE name = 'intents' FOR NO KEY UPDATE"


@dataclass(slots=True)
class Past:
    """Changes newest first, kill switches, who holds which target, and which incidents go on; the
    rest as `History` has it, by what it is about."""

    changes: list[PastChange] = field(default_factory=list)
    controls: Sequence[Control] = ()
    locks: dict[str, str] = field(default_factory=dict)
    incident_open: Mapping[str, bool] = field(default_factory=dict)
    going_on: dict[str, GoingOn] = field(default_factory=dict)
    outcomes: Mapping[str, tuple[Outcome, ...]] = field(default_factory=dict)
    resets: Mapping[str, Reset] = field(default_factory=dict)
    opened: int = 0
    treated: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)

    def of(self, run_id: str, look: LookBack, at: datetime, still_open: bool | None) -> History:
        """Return what a guard of this run may know.

        Args:
            still_open: whether the run's incident is; None for a run without one.
        """
        since, treated = look.changes, look.treated
        before = self.treated.get(look.incident_id, ())
        others = [one for one in self.going_on.values() if one.run_id != run_id]
        return History(
            changes=tuple(c for c in self.changes if c.at >= since) if since else (),
            controls=tuple(c for c in self.controls if c.until is None or c.until > at),
            locks={key: holder for key, holder in self.locks.items() if holder != run_id},
            incident_open=still_open,
            going_on=tuple(others) if look.going_on else (),
            outcomes=self.outcomes.get(look.outcomes_of, ()),
            reset=self.resets.get(look.outcomes_of),
            opened=self.opened if look.opened else 0,
            treated=tuple(opened for opened in before if opened >= treated) if treated else (),
            overrides=self.overrides.get(run_id, ()),
        )

    def still_open(self, run: Run) -> bool | None:
        """Return whether the run's incident is open; None for a run without one."""
        return self.incident_open.get(run.incident_id) if run.incident_id else None

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
        for change in steps.as_changes(run, update.steps):
            if all(
                (c.run_id, c.sequence) != (change.run_id, change.sequence) for c in self.changes
            ):
                self.changes.insert(0, change)
            before = self.going_on.get(run.id)
            rules = change.rules | (before.rules if before else frozenset())
            self.going_on[run.id] = GoingOn(run.id, run.runbook, rules)


def read(*, run_id: str, look: LookBack, at: datetime) -> Operation[History]:
    """Read what is asked for, kill switches, locks of other runs, and the run's incident."""
    past = yield from _past([look], at)
    past.locks = yield from locks.all_held()
    past.overrides = yield from overrides.of_runs([run_id])
    return past.of(run_id, look, at, (yield from incidents.open_of_run(run_id)))


def pass_gate() -> Operation[None]:
    """Go on as the only transaction of all replicas that is past the gate, until it commits."""
    yield Query(_GATE)


def gather(wave: Sequence[RunUpdate], ours: Mapping[str, Run]) -> Operation[Past]:
    """Read what judging these updates needs, and no more; what locks or guards passes the gate."""
    locking = [u for u in wave if u.run_id in ours and (u.lock or u.guard)]
    guards = [(u.guard, ours[u.run_id]) for u in locking if u.guard]
    if not locking:
        return Past()
    yield from pass_gate()
    held = yield from locks.all_held()
    if not guards:
        return Past(locks=held)
    past = yield from _past([guard.look for guard, _ in guards], min(u.at for u in locking))
    past.locks = held
    of = {run.incident_id for _, run in guards if run.incident_id}
    past.incident_open = (yield from incidents.which_are_open(of)) if of else {}
    past.overrides = yield from overrides.of_runs([run.id for _, run in guards], lock=True)
    return past


def _past(looks: Sequence[LookBack], at: datetime) -> Operation[Past]:
    past = Past()
    spans = [look.changes for look in looks if look.changes is not None]
    if spans:
        past.changes = list((yield from steps.changes(since=min(spans))))
    past.controls = yield from controls.active(at)
    if any(look.going_on for look in looks):
        past.going_on = yield from steps.going_on()
    runbooks = {look.outcomes_of for look in looks if look.outcomes_of}
    if runbooks:
        past.outcomes = yield from breakers.outcomes(runbooks)
        past.resets = yield from breakers.resets(runbooks)
    opened = [look.opened for look in looks if look.opened is not None]
    if opened:
        past.opened = yield from incidents.opened_since(min(opened))
    treated = [look.treated for look in looks if look.treated is not None]
    of = {look.incident_id for look in looks if look.treated and look.incident_id}
    if of:
        past.treated = yield from incidents.treated_before(of, since=min(treated))
    return past
