"""The outbox: notes for people, one row per notifier, delivered in order for each run.

A note that can't be delivered holds back the later ones of its run and notifier, so that a thread
never tells a story in the wrong order. Delivered rows stay until their run is pruned.

A call of an escalation that is not due yet is a row in the state `later`. It holds back nothing,
and its notifier is told nothing of the run before it; when its time comes it turns to `waiting`, in
one transaction, and is from then on a note like others. Until then it may be dropped.

A note that a storm's message tells is a row in the state `shared` (`storms`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from remediator.journal import coding
from remediator.journal.statements import Env, Execute, Many, Operation, Query, Record, Row, Wake
from remediator.journal.times import from_us, to_us
from remediator.journal.values import AuditEntry, Due, OutboxItem
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, NoteKind

# An error text is kept for people; whole HTML pages are not.
MAX_ERROR = 500

# $1 and $2: the one notifier that is asked for, or '', and a list of those that are not.
_TO = "(o.notifier = $1 OR $1 = '') AND o.notifier NOT IN (SELECT value FROM each($2) AS i)"

# What a person is waited for with goes first, with all that its thread tells before it.
_URGENCY = """
    (
        SELECT MIN(CASE u.kind WHEN 'escalation' THEN 0 WHEN 'approval' THEN 1 ELSE 2 END)
        FROM outbox AS u
        WHERE u.run_id = o.run_id AND u.notifier = o.notifier AND u.state = 'waiting'
    )
"""

# Kinds that the version before does not know: it tells them as a state.
_NEWER_KINDS = frozenset({NoteKind.ACKNOWLEDGED, NoteKind.CLEARED})
# What a pager hears of a run that it was called for.
_TOLD_TO_CALLED = frozenset({NoteKind.STATE, NoteKind.ACKNOWLEDGED})

_FIRST = """
    NOT EXISTS (
        SELECT 1 FROM outbox AS e
        WHERE e.run_id = o.run_id AND e.notifier = o.notifier AND e.id < o.id
            AND e.state = 'waiting'
    )
"""


def put(env: Env, notes: Sequence[Note]) -> Operation[None]:
    """Queue notes, each for the notifiers it names, or for all that are told of everything.

    A pager that was told something of a run is told of its states too: it opened an alert that
    somebody must close. A call that waits for its time already is not queued a second time.
    """
    called = yield from _called(env, notes)
    waiting = yield from _later(note.run_id for note in notes if note.due is not None)
    rows = [
        _row(note, notifier)
        for note in notes
        for notifier in _recipients(env, note, called)
        if note.due is None or (note.run_id, notifier) not in waiting
    ]
    if rows:
        yield Many(
            "INSERT INTO outbox (run_id, notifier, kind, news, text, at_us, recipients,"
            " state, next_us, attempts, error)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '')",
            rows,
        )
        yield Wake(Due.NOTES)


def _row(note: Note, notifier: str) -> tuple[object, ...]:
    kind = NoteKind.STATE if note.kind in _NEWER_KINDS else note.kind
    return (
        note.run_id,
        notifier,
        kind.value,
        "" if kind is note.kind else note.kind.value,
        note.text,
        to_us(note.at),
        coding.dumps(list(note.to)),
        "waiting" if note.due is None else "later",
        to_us(note.due or note.at),
    )


def come_due(*, at: datetime) -> Operation[int]:
    """Let the calls whose time has come go out; returns how many."""
    changed: int = yield Execute(
        "UPDATE outbox SET state = 'waiting' WHERE state = 'later' AND next_us <= $1", (to_us(at),)
    )
    if changed:
        yield Wake(Due.NOTES)
    return changed


def next_call() -> Operation[datetime | None]:
    """Return when the next call comes due."""
    rows = yield Query("SELECT MIN(next_us) FROM outbox WHERE state = 'later'")
    return from_us(rows[0][0]) if rows and rows[0][0] is not None else None


def drop_later(run_ids: Iterable[str], *, why: str, actor: str, at: datetime) -> Operation[None]:
    """Drop the calls of these runs that are not due yet; on the record, where there were any."""
    ids = sorted(set(run_ids))
    if not ids:
        return
    rows = yield Query(
        "UPDATE outbox SET state = 'dropped', error = $2"
        " WHERE state = 'later' AND run_id IN (SELECT value FROM each($1) AS i)"
        " RETURNING run_id, notifier",
        (coding.dumps(ids), why[:MAX_ERROR]),
    )
    dropped: dict[str, list[str]] = {}
    for run_id, notifier in rows:
        dropped.setdefault(run_id, []).append(notifier)
    if dropped:
        yield Record(
            [
                AuditEntry("escalation.dropped", actor, at, {"to": sorted(to), "why": why}, run_id)
                for run_id, to in sorted(dropped.items())
            ]
        )


def _bring_forward(run_id: str, at: datetime) -> Operation[bool]:
    """Let the next call of a run go out now: nobody of the one before could be reached."""
    changed: int = yield Execute(
        "UPDATE outbox SET state = 'waiting', next_us = $2"
        " WHERE state = 'later' AND run_id = $1 AND next_us = ("
        "     SELECT MIN(l.next_us) FROM outbox AS l WHERE l.state = 'later' AND l.run_id = $1"
        " )",
        (run_id, to_us(at)),
    )
    if changed:
        yield Wake(Due.NOTES)
    return changed > 0


def _others_called(item: OutboxItem) -> Operation[bool]:
    """Whether another notifier was told of the same call, or waits to be."""
    rows = yield Query(
        "SELECT 1 FROM outbox WHERE run_id = $1 AND kind = 'escalation' AND at_us = $2"
        " AND recipients = $3 AND id <> $4 AND state IN ('waiting', 'delivered') LIMIT 1",
        (
            item.note.run_id,
            to_us(item.note.at),
            coding.dumps(list(item.note.to)),
            item.id,
        ),
    )
    return bool(rows)


def _later(run_ids: Iterable[str]) -> Operation[set[tuple[str, str]]]:
    ids = sorted(set(run_ids))
    if not ids:
        return set()
    rows = yield Query(
        "SELECT run_id, notifier FROM outbox"
        " WHERE state = 'later' AND run_id IN (SELECT value FROM each($1) AS i)",
        (coding.dumps(ids),),
    )
    return {(row[0], row[1]) for row in rows}


def drop_waiting(*, error: str) -> Operation[int]:
    """Give up every note that waits; returns how many."""
    changed: int = yield Execute(
        "UPDATE outbox SET state = 'refused', error = $1 WHERE state IN ('waiting', 'later')",
        (error,),
    )
    return changed


def _recipients(env: Env, note: Note, called: set[tuple[str, str]]) -> tuple[str, ...]:
    if note.to:
        return note.to
    pagers = tuple(pager for pager in env.pagers if (note.run_id, pager) in called)
    return (*env.subscribers, *pagers)


def _called(env: Env, notes: Sequence[Note]) -> Operation[set[tuple[str, str]]]:
    states = sorted({n.run_id for n in notes if n.kind in _TOLD_TO_CALLED and not n.to})
    if not env.pagers or not states:
        return set()
    rows = yield Query(
        "SELECT DISTINCT run_id, notifier FROM outbox"
        " WHERE run_id IN (SELECT value FROM each($1) AS i) AND state NOT IN ('later', 'dropped')",
        (coding.dumps(states),),
    )
    return {(row[0], row[1]) for row in rows}


def due(
    *, at: datetime, limit: int, notifier: str, besides: Sequence[str], but: Sequence[str]
) -> Operation[list[OutboxItem]]:
    """Return due notes, for each run and notifier only the oldest undelivered one."""
    rows = yield Query(
        "SELECT o.id, o.run_id, o.notifier, o.kind, o.text, o.at_us, o.recipients, o.attempts,"  # noqa: S608 - constants
        " f.ref, o.news, s.storm_id FROM outbox AS o"
        " LEFT JOIN refs AS f ON f.run_id = o.run_id AND f.notifier = o.notifier"
        " LEFT JOIN storm_runs AS s ON s.run_id = o.run_id AND s.notifier = o.notifier"
        f" WHERE o.state = 'waiting' AND o.next_us <= $3 AND {_TO} AND {_FIRST}"
        " AND o.run_id NOT IN (SELECT value FROM each($5) AS i)"
        f" ORDER BY {_URGENCY}, o.next_us, o.id LIMIT $4",
        (notifier, coding.dumps(list(besides)), to_us(at), limit, coding.dumps(list(but))),
    )
    return [_item(row) for row in rows]


def next_wake(*, notifier: str, besides: Sequence[str]) -> Operation[datetime | None]:
    """Return when the next note is due that no older one holds back."""
    rows = yield Query(
        "SELECT o.next_us FROM outbox AS o"  # noqa: S608 - constants
        f" WHERE o.state = 'waiting' AND {_TO} AND {_FIRST}"
        " ORDER BY o.next_us LIMIT 1",
        (notifier, coding.dumps(list(besides))),
    )
    return from_us(rows[0][0]) if rows else None


def delivered(item: OutboxItem, ref: JSONObject | None) -> Operation[None]:
    """Mark a note delivered and remember the notifier's ref of this run."""
    changed = yield Execute(
        "UPDATE outbox SET state = 'delivered', attempts = attempts + 1, error = ''"
        " WHERE id = $1 AND run_id = $2 AND notifier = $3 AND state = 'waiting'",
        _key(item),
    )
    if changed and ref is not None:
        yield Execute(
            "INSERT INTO refs (run_id, notifier, ref) VALUES ($1, $2, $3)"
            " ON CONFLICT (run_id, notifier) DO UPDATE SET ref = excluded.ref",
            (item.note.run_id, item.notifier, coding.dumps(ref)),
        )


def retry(item: OutboxItem, *, at: datetime, error: str) -> Operation[None]:
    """Try a note again at a later time, and with it all that wait behind it."""
    yield Execute(
        "UPDATE outbox SET attempts = attempts + 1, error = $4"
        " WHERE id = $1 AND run_id = $2 AND notifier = $3 AND state = 'waiting'",
        (*_key(item), error[:MAX_ERROR]),
    )
    yield Execute(
        "UPDATE outbox SET next_us = $3"
        " WHERE run_id = $1 AND notifier = $2 AND state = 'waiting' AND next_us < $3",
        (item.note.run_id, item.notifier, to_us(at)),
    )


def refused(
    env: Env, item: OutboxItem, *, at: datetime, error: str, instead: Note | None
) -> Operation[None]:
    """Give a note up, on the record; `instead` is queued with it, so that it can't be lost.

    Where another of the same call was told, or still may be, nobody else is called. Where nobody
    of it is left, the escalation's next call goes out at once, in place of `instead`.
    """
    changed = yield Execute(
        "UPDATE outbox SET state = 'refused', attempts = attempts + 1, error = $4"
        " WHERE id = $1 AND run_id = $2 AND notifier = $3 AND state = 'waiting'",
        (*_key(item), error[:MAX_ERROR]),
    )
    if changed:
        if item.note.kind is NoteKind.ESCALATION:
            others = yield from _others_called(item)
            if others or (yield from _bring_forward(item.note.run_id, at)):
                instead = None
        if instead is not None:
            yield from put(env, [instead])
        details = {
            "notifier": item.notifier,
            "note": item.note.kind.value,
            "text": item.note.text,
            "attempts": item.attempts + 1,
            "error": error[:MAX_ERROR],
            **({"instead": list(instead.to)} if instead else {}),
        }
        yield Record(
            [AuditEntry("note.refused", "remediator", at, details, run_id=item.note.run_id)]
        )


def told(run_id: str, *, since: datetime, besides: Iterable[str]) -> Operation[bool]:
    """Whether a note that asks for approval, made since then, was delivered by any notifier
    besides those."""
    rows = yield Query(
        "SELECT 1 FROM outbox WHERE run_id = $1 AND kind = $2 AND at_us >= $3"
        " AND state = 'delivered' AND notifier NOT IN (SELECT value FROM each($4) AS i) LIMIT 1",
        (run_id, NoteKind.APPROVAL.value, to_us(since), coding.dumps(sorted(besides))),
    )
    return bool(rows)


def waiting() -> Operation[dict[str, int]]:
    """Return how many notes wait for each notifier."""
    rows = yield Query(
        "SELECT notifier, COUNT(*) FROM outbox WHERE state = 'waiting' GROUP BY notifier"
    )
    return {row[0]: row[1] for row in rows}


def _key(item: OutboxItem) -> tuple[int, str, str]:
    return item.id, item.note.run_id, item.notifier


def _item(row: Row) -> OutboxItem:
    note = Note(
        kind=NoteKind(row[9] or row[3]),
        run_id=row[1],
        text=row[4],
        at=from_us(row[5]),
        to=tuple(coding.loads(row[6])),
        id=f"{row[1]}-{row[0]}",
    )
    ref = coding.loads(row[8]) if row[8] is not None else None
    return OutboxItem(row[0], row[2], note, attempts=row[7], ref=ref, storm=row[10] or "")
