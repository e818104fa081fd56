"""Outcomes of finished steps that the next write of their run takes along.

So the end of one step and the intent of the next share a commit. Owned by `applying` for one pass;
the lanes of a block share it. What is being written is no longer in it, so that an outcome that
comes meanwhile is neither lost nor written twice.
"""

from dataclasses import dataclass, field, replace

from remediator.engine import step
from remediator.engine.hand import Hand
from remediator.journal.values import AuditEntry, RunUpdate, UpdateOutcome, Written
from remediator.model.plans import Fact
from remediator.model.reasons import Reason
from remediator.model.runs import Step
from remediator.model.views import Note, NoteKind


@dataclass(slots=True)
class _Parcel:
    rows: tuple[Step, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    notes: tuple[Note, ...] = ()
    facts: tuple[Fact, ...] = ()
    not_raised: tuple[str, ...] = ()

    def followed_by(self, later: "_Parcel") -> "_Parcel":
        return _Parcel(
            self.rows + later.rows,
            self.audit + later.audit,
            self.notes + later.notes,
            self.facts + later.facts,
            self.not_raised + later.not_raised,
        )

    def into(self, update: RunUpdate) -> RunUpdate:
        newer = {(row.sequence, row.attempt) for row in update.steps}
        older = {(row.sequence, row.attempt): row for row in self.rows}
        return replace(
            update,
            steps=(*(row for key, row in older.items() if key not in newer), *update.steps),
            audit=(*self.audit, *update.audit),
            notes=(*self.notes, *update.notes),
            facts=(*self.facts, *update.facts),
            not_raised=(*self.not_raised, *update.not_raised),
        )


@dataclass(slots=True)
class Unwritten:
    """What is to be written, in the order in which it came."""

    _parcel: _Parcel = field(default_factory=_Parcel)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self._parcel.rows)

    def add(self, held: Hand, row: Step, kind: str, facts: tuple[Fact, ...] = ()) -> None:
        """Take one step's outcome along, with its audit record of this kind and its note."""
        self.put(held, row)
        self._parcel.audit += (held.audit(kind, step.described(row)),)
        self._parcel.notes += (held.note(NoteKind.STEP, f"{row.step_id}: {row.message}"),)
        self._parcel.facts += facts
        if row.plan is not None and row.plan.lasts and not row.changed:
            self._parcel.not_raised += (row.step_id,)

    def put(self, held: Hand, row: Step, facts: tuple[Fact, ...] = ()) -> None:
        """Take a row along that tells nobody anything."""
        self._parcel.rows += (row,)
        self._parcel.facts += facts
        held.rows[row.sequence] = row

    async def write(self, held: Hand, update: RunUpdate) -> UpdateOutcome:
        """Write an update with all of it; it stays where nothing was written.

        Raises:
            Fenced, JournalUnavailable, Overloaded: as for `Hand.write`.
        """
        taken, self._parcel = self._parcel, _Parcel()
        try:
            outcome = await held.write(taken.into(update))
        except BaseException:
            self._parcel = taken.followed_by(self._parcel)
            raise
        if outcome.written is not Written.DONE:
            self._parcel = taken.followed_by(self._parcel)
        return outcome

    async def keep(self, held: Hand, update: RunUpdate) -> None:
        """Write what came of changes, however long the journal can't be written.

        Raises:
            Fenced, JournalUnavailable, Overloaded: as for `Hand.keep`.
        """
        taken, self._parcel = self._parcel, _Parcel()
        try:
            await held.keep(taken.into(update))
        except BaseException:
            self._parcel = taken.followed_by(self._parcel)
            raise

    async def flush(
        self, held: Hand, reason: Reason | None = None, message: str | None = None
    ) -> None:
        """Put it on record now, whatever the run does next; nothing where there is nothing.

        Args:
            held: the run, which stays in its state.
            reason: why it is in it; None leaves that.
            message: likewise.

        Raises:
            Fenced, JournalUnavailable, Overloaded: as for `Hand.keep`.
        """
        if self:
            run = held.run
            update = held.update(
                run.state,
                reason or run.reason,
                run.message if message is None else message,
                deadline_at=run.deadline_at,
            )
            await self.keep(held, update)

    def record(self, entry: AuditEntry) -> None:
        """Take an audit record along."""
        self._parcel.audit += (entry,)
