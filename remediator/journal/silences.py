"""The silences table: what a run silences in Alertmanager, from the moment before.

A row is there before the silence is, so that no crash leaves one that nobody removes; its run's end
turns it to `ending` in the end's own transaction. That it expires by itself is Alertmanager's.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from remediator.journal import coding, outbox, runs
from remediator.journal.statements import Env, Execute, Many, Operation, Query, Record, Row
from remediator.journal.times import from_us, to_us
from remediator.journal.values import AuditEntry
from remediator.model.clock import to_text
from remediator.model.silences import Silence, SilenceState
from remediator.model.views import Note, NoteKind

_COLUMNS = "run_id, number, sender, matchers, until_us, state, silence_id, attempts"
_ACTOR = "remediator"
_LONGEST_ERROR = 300


def want(env: Env, wanted: Sequence[Silence], *, epoch: int, at: datetime) -> Operation[bool]:
    """Store silences that are about to be asked for; False where the run is no longer ours."""
    run = yield from runs.get(wanted[0].run_id, lock=True)
    if run is None or run.owner != env.node or run.epoch != epoch:
        return False
    yield Many(
        "INSERT INTO silences (run_id, number, sender, matchers, until_us, state, next_us)"
        " VALUES ($1, $2, $3, $4, $5, 'wanted', $6) ON CONFLICT (run_id, number) DO NOTHING",
        [
            (one.run_id, one.number, one.sender, one.matchers, to_us(one.until), to_us(at))
            for one in wanted
        ],
    )
    return True


def made(env: Env, one: Silence, *, id_: str, error: str, at: datetime) -> Operation[None]:
    """Put on record, and tell, what came of asking for a silence."""
    changed = yield Execute(
        "UPDATE silences SET silence_id = $3,"
        " state = CASE state WHEN 'wanted' THEN $4 ELSE state END"
        " WHERE run_id = $1 AND number = $2 AND state IN ('wanted', 'ending')",
        (one.run_id, one.number, id_, "set" if id_ else "failed"),
    )
    if not changed:
        return
    until = to_text(one.until)
    details = {"matchers": one.matchers, "until": until, "sender": one.sender}
    kind, more = ("silence.set", {"id": id_}) if id_ else ("silence.failed", {"error": error})
    yield Record([AuditEntry(kind, _ACTOR, at, {**details, **more}, one.run_id)])
    text = (
        f"silenced until {until}: {one.matchers}"
        if id_
        else f"no silence was set, going on without: {error}"
    )
    yield from outbox.put(env, [Note(NoteKind.STEP, one.run_id, text[:1000], at)])


def end(run_ids: Iterable[str], *, at: datetime) -> Operation[None]:
    """Let the silences of ended runs be removed."""
    yield Execute(
        "UPDATE silences SET state = 'ending', next_us = $2"
        " WHERE state IN ('wanted', 'set', 'failed')"
        " AND run_id IN (SELECT value FROM each($1) AS i)",
        (coding.dumps(sorted(run_ids)), to_us(at)),
    )


def of_run(run_id: str) -> Operation[tuple[Silence, ...]]:
    """Return a run's silences, in the order of its runbook."""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM silences WHERE run_id = $1 ORDER BY number",  # noqa: S608 - constants
        (run_id,),
    )
    return tuple(map(_silence, rows))


def ending(*, at: datetime, limit: int) -> Operation[tuple[Silence, ...]]:
    """Return silences that are to be removed now."""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM silences WHERE state = 'ending' AND next_us <= $1"  # noqa: S608 - constants
        " ORDER BY next_us, run_id, number LIMIT $2",
        (to_us(at), limit),
    )
    return tuple(map(_silence, rows))


def gone(one: Silence, state: SilenceState, *, at: datetime) -> Operation[None]:
    """Put on record that a silence was removed, or has expired."""
    changed = yield Execute(
        "UPDATE silences SET state = $3, attempts = attempts + 1"
        " WHERE run_id = $1 AND number = $2 AND state = 'ending'",
        (one.run_id, one.number, state.value),
    )
    if changed:
        details = {"matchers": one.matchers, "sender": one.sender, "id": one.id}
        yield Record([AuditEntry(f"silence.{state.value}", _ACTOR, at, details, one.run_id)])


def again(one: Silence, *, at: datetime, error: str) -> Operation[None]:
    """Try to remove a silence at a later time."""
    yield Execute(
        "UPDATE silences SET attempts = attempts + 1, next_us = $3, error = $4"
        " WHERE run_id = $1 AND number = $2 AND state = 'ending'",
        (one.run_id, one.number, to_us(at), error[:_LONGEST_ERROR]),
    )


def _silence(row: Row) -> Silence:
    return Silence(
        run_id=row[0],
        number=row[1],
        sender=row[2],
        matchers=row[3],
        until=from_us(row[4]),
        state=SilenceState(row[5]),
        id=row[6],
        attempts=row[7],
    )
