"""The overrides table: given by a person, used by one run's first intent, or expired.

`grant` decides, under the run's lock, whether there is anything to override; who may, and for which
guardrail, `engine.overrides` has decided before. Every beginning and end is an audit record in the
transaction that brings it about.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from remediator.journal import coding, incidents, interventions, outbox, runs
from remediator.journal.statements import Env, Execute, Many, Operation, Query, Record, Row, Wake
from remediator.journal.times import from_us, from_us_or_none, to_us
from remediator.journal.values import AuditEntry, Due, RunStart
from remediator.model.overrides import Granted, GrantOutcome, Override, OverrideState
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Trigger
from remediator.model.verdicts import Ruling
from remediator.model.views import Note, NoteKind

_COLUMNS = (
    "id, run_id, asked_for, guardrail, given_by, reason, via, state, created_us, expires_us,"
    " used_us"
)
# Runs that a guardrail may still stop before a change; what takes changes back is never stopped.
_ON_THE_WAY = frozenset(
    {
        RunState.PENDING,
        RunState.PLANNING,
        RunState.AWAITING_APPROVAL,
        RunState.APPLYING,
        RunState.VERIFYING,
    }
)


def grant(env: Env, wanted: Override, again: RunStart | None) -> Operation[Granted]:
    """Give an override to a run that is on its way, or start a run again with it.

    Args:
        wanted: for the run that a person named, not yet with an identity.
        again: how the run is started again if it has ended by this guardrail; None where that
            can't be (its runbook is not in force any more).
    """
    run = yield from runs.get(wanted.asked_for, lock=True)
    if run is None:
        return Granted(GrantOutcome.UNKNOWN)
    if run.state in _ON_THE_WAY and run.trigger is not Trigger.EXPIRY:
        return (yield from _attach(env, run, wanted))
    if not (yield from _ended_by(run, wanted.guardrail)) or again is None:
        return Granted(GrantOutcome.NOT_REFUSED)
    return (yield from _start_again(env, run, wanted, again))


def _attach(env: Env, run: Run, wanted: Override) -> Operation[Granted]:
    for one in (yield from of_runs([run.id])).get(run.id, ()):
        if one.lifts(wanted.guardrail, wanted.created_at):
            return Granted(GrantOutcome.REPEATED, one)
    given = replace(wanted, id=env.ids.new(), run_id=run.id)
    yield from _insert(env, given, run)
    if run.state is RunState.PENDING and run.reason is not Reason.NEW:
        # It waits for what may just have been lifted: let it look again now.
        changed = yield Execute(
            "UPDATE runs SET wake_us = $2 WHERE id = $1 AND owner IS NULL AND wake_us > $2",
            (run.id, to_us(wanted.created_at)),
        )
        if changed:
            yield Wake(Due.RUNS)
    return Granted(GrantOutcome.GRANTED, given)


def _start_again(env: Env, run: Run, wanted: Override, again: RunStart) -> Operation[Granted]:
    incident_id = run.incident_id if run.about_alert else None
    if incident_id is not None:
        incident = yield from incidents.get(incident_id)
        if incident is None or not incident.open:
            return Granted(GrantOutcome.OVER)
    if other := (yield from _on_the_way(run, incident_id)):
        return Granted(GrantOutcome.BUSY, other_run=other)
    fresh = interventions.new_run(
        env, again, incident_id=incident_id, by=wanted.by, at=wanted.created_at
    )
    yield from runs.insert([fresh])
    given = replace(wanted, id=env.ids.new(), run_id=fresh.id)
    yield from _insert(env, given, fresh)
    yield from _carry_on(run, given)
    return Granted(GrantOutcome.STARTED, given)


def _carry_on(run: Run, given: Override) -> Operation[None]:
    """Let what nobody used of the ended run's overrides go along: it was refused by another
    guardrail, and to lift one after the other must come to an end."""
    rows = yield Query(
        "UPDATE overrides SET run_id = $2 WHERE run_id = $1 AND state = 'open'"  # noqa: S608 - constants
        f" AND expires_us > $3 AND guardrail <> $4 RETURNING {_COLUMNS}",
        (run.id, given.run_id, to_us(given.created_at), given.guardrail),
    )
    if rows:
        moved = sorted((_from_row(row) for row in rows), key=lambda one: one.id)
        yield Record(
            [
                AuditEntry(
                    "override.carried_on",
                    given.by,
                    given.created_at,
                    {"id": one.id, "guardrail": one.guardrail, "by": one.by, "from": run.id},
                    run_id=given.run_id,
                    incident_id=run.incident_id,
                )
                for one in moved
            ]
        )


def _on_the_way(run: Run, incident_id: str | None) -> Operation[str]:
    """Return another unended run that does the same for the same incident, or was started again
    for the same run; else empty."""
    if incident_id is not None:
        rows = yield Query(
            "SELECT id FROM runs WHERE incident_id = $1 AND runbook = $2 AND ended_us IS NULL"
            " AND trigger <> 'expiry' ORDER BY id LIMIT 1",
            (incident_id, run.runbook),
        )
    else:
        rows = yield Query(
            "SELECT r.id FROM runs AS r JOIN overrides AS o ON o.run_id = r.id"
            " WHERE o.asked_for = $1 AND r.ended_us IS NULL ORDER BY r.id LIMIT 1",
            (run.id,),
        )
    return rows[0][0] if rows else ""


def _ended_by(run: Run, guardrail: str) -> Operation[bool]:
    if run.state is not RunState.SUPPRESSED or run.reason is not Reason.GUARDRAIL_REFUSES:
        return False
    kept = yield from runs.verdicts(run.id)
    return any(v.rule == guardrail and v.ruling is Ruling.REFUSE for v in kept)


def _insert(env: Env, given: Override, run: Run) -> Operation[None]:
    yield Execute(
        f"INSERT INTO overrides ({_COLUMNS})"  # noqa: S608 - constants
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL)",
        (
            given.id,
            given.run_id,
            given.asked_for,
            given.guardrail,
            given.by,
            given.reason,
            given.via,
            given.state.value,
            to_us(given.created_at),
            to_us(given.expires_at),
        ),
    )
    yield Record(
        [
            AuditEntry(
                "override.created",
                given.by,
                given.created_at,
                given.to_json(),
                run_id=run.id,
                incident_id=run.incident_id,
            )
        ]
    )
    text = f"{given.guardrail} overridden by {given.by}: {given.reason}"
    yield from outbox.put(env, [Note(NoteKind.STATE, run.id, text, given.created_at)])


def of_runs(
    run_ids: Iterable[str], *, lock: bool = False
) -> Operation[Mapping[str, tuple[Override, ...]]]:
    """Return the overrides of these runs that are not expired, by run, oldest first; with `lock`,
    in order to use them up."""
    suffix = " FOR NO KEY UPDATE" if lock else ""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM overrides"  # noqa: S608 - constants
        " WHERE run_id IN (SELECT value FROM each($1) AS r) AND state <> 'expired'"
        f" ORDER BY id{suffix}",
        (coding.dumps(sorted(run_ids)),),
    )
    found: dict[str, tuple[Override, ...]] = {}
    for row in rows:
        one = _from_row(row)
        found[one.run_id] = (*found.get(one.run_id, ()), one)
    return found


def use(used: Sequence[tuple[Run, Override]], *, at: datetime) -> Operation[None]:
    """Use up overrides, in the transaction that stores their runs' intents.

    One that its run has used before, for an earlier step, stays as it is.
    """
    fresh = [(run, one) for run, one in used if one.state is OverrideState.OPEN]
    if not fresh:
        return
    yield Many(
        "UPDATE overrides SET state = 'used', used_us = $2 WHERE id = $1 AND state = 'open'",
        [(one.id, to_us(at)) for _, one in fresh],
    )
    yield Record(
        [
            AuditEntry(
                "override.used",
                one.by,
                at,
                {"id": one.id, "guardrail": one.guardrail, "reason": one.reason},
                run_id=run.id,
                incident_id=run.incident_id,
            )
            for run, one in fresh
        ]
    )


def expire(at: datetime) -> Operation[int]:
    """Put on record what nobody used in time; returns how many."""
    rows = yield Query(
        "UPDATE overrides SET state = 'expired' WHERE state = 'open' AND expires_us <= $1"  # noqa: S608 - constants
        f" RETURNING {_COLUMNS}",
        (to_us(at),),
    )
    return (yield from _expired(rows, at))


def withdraw(at: datetime) -> Operation[int]:
    """Expire every override that was not used, whatever its time; returns how many."""
    rows = yield Query(
        f"UPDATE overrides SET state = 'expired' WHERE state = 'open' RETURNING {_COLUMNS}"  # noqa: S608 - constants
    )
    return (yield from _expired(rows, at))


def _expired(rows: Sequence[Row], at: datetime) -> Operation[int]:
    gone = sorted((_from_row(row) for row in rows), key=lambda one: one.id)
    if gone:
        yield Record(
            [
                AuditEntry(
                    "override.expired",
                    "remediator",
                    at,
                    {"id": one.id, "guardrail": one.guardrail, "by": one.by},
                    run_id=one.run_id,
                )
                for one in gone
            ]
        )
    return len(gone)


def listed(run_id: str) -> Operation[tuple[Override, ...]]:
    """Return every override of a run, oldest first."""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM overrides WHERE run_id = $1 ORDER BY id",  # noqa: S608 - constants
        (run_id,),
    )
    return tuple(_from_row(row) for row in rows)


def _from_row(row: Row) -> Override:
    return Override(
        id=row[0],
        run_id=row[1],
        asked_for=row[2],
        guardrail=row[3],
        by=row[4],
        reason=row[5],
        via=row[6],
        state=OverrideState(row[7]),
        created_at=from_us(row[8]),
        expires_at=from_us(row[9]),
        used_at=from_us_or_none(row[10]),
    )
