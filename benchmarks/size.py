"""A journal with a million runs in it: claims, lists and audit against the same with a thousand.

The rows are written beside the daemon's code, in bulk: old runs that have ended, each with its
incident, a step and an audit record. What is timed is the journal's own interface.
"""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import Bench, Curve, Figure, Measured, Target
from remediator.engine.clock import SystemClock
from remediator.journal.opening import open_journal
from remediator.journal.protocol import AuditEntry, Journal, Opening, RunbookRecord, RunStart
from remediator.model.incidents import IncidentStatus
from remediator.model.runs import Trigger

_VERSION = "v" * 64
_LABELS = (
    '{"alertname":"Known","cluster":"eu-1","container":"api","namespace":"shop","pod":"api-7"}'
)
_ANNOTATIONS = '{"summary":"Pod has been in a non-ready state for more than 15 minutes."}'
_PLAN = '{"action":"benchmark.noop","changes":[{"after":1,"before":0,"path":"step.1"}]}'
_CONTEXT = f'{{"alert":{{"labels":{_LABELS},"status":"firing"}},"group":{{}}}}'
_RUN, _INCIDENT = "printf('0%025d', i)", "printf('0i%024d', i)"
_AT = ":old + i"
_NUMBERS = (
    "WITH RECURSIVE n(i) AS (SELECT :there UNION ALL SELECT i + 1 FROM n"
    " WHERE i + 1 < :there + :more)"
)
_COLUMNS = {
    "incidents": f"{_INCIDENT}, 'default', printf('%016x', i), 1, 'resolved', '{_LABELS}',"
    f" '{_ANNOTATIONS}', '', {_AT}, {_AT}, {_AT}, {_AT}, 0",
    "runs": f"{_RUN}, {_INCIDENT}, 'known', '{_VERSION}', 'firing', 'succeeded', 'done',"
    f" 'every step is done', 'thing shop/api', '{_CONTEXT}', 2, NULL, NULL, {_AT}, {_AT}, {_AT},"
    " 'sender:default', NULL, NULL, '[]'",
    "steps": f"{_RUN}, 1, 1, 'step-1', 'benchmark.noop', 'done', '{_PLAN}', NULL,"
    " 'benchmark:shop/Thing/api', 0, '{}', 'done', '{}', 1," + f" {_AT}, {_AT}",
    "audit": f":seq + 1 + i - :there, {_AT}, 'run.state', 'remediator', {_RUN}, {_INCIDENT},"
    """ '{"to":"succeeded"}', hex(randomblob(32)), hex(randomblob(32))""",
}
"""What is selected for each table's row number `i`, in the order of its columns."""
_THERE = "SELECT COUNT(*) FROM steps"
_HEAD = (
    "UPDATE audit_head SET seq = (SELECT MAX(seq) FROM audit),"
    " hash = (SELECT hash FROM audit ORDER BY seq DESC LIMIT 1)"
)
_WHAT = ("claim", "console: runs", "console: open incidents", "audit append")


def million(bench: Bench) -> Measured:
    """How much slower the journal is with a million runs than with a thousand."""
    counts = (1000, 10_000, 100_000, 1_000_000) if not bench.quick else (100, 1000)
    path = bench.folder / "journal.db"
    costs: dict[int, dict[str, list[float]]] = {}
    asyncio.run(_prepare(path))
    for count in counts:
        _grow(path, count)
        costs[count] = asyncio.run(_measure(path, bench.size(15, 2)))
    few, many = costs[counts[0]], costs[counts[-1]]
    worst = {what: _middle(many[what]) / _middle(few[what]) for what in _WHAT}
    return Measured(
        [
            Figure(
                "the slowest of them against 1,000", [max(worst.values())], "×", Target(None, 2)
            ),
            *(
                Figure(f"{what} against 1,000", [worst[what]], "×", Target(None, 2))
                for what in _WHAT
            ),
            *(Figure(f"{what}, {counts[-1]:,} runs", many[what], "ms") for what in _WHAT),
        ],
        [
            Curve(
                "journal-rows",
                "The journal's calls by runs in it",
                "runs in the journal",
                "ms",
                {what: [(n, _middle(costs[n][what])) for n in counts] for what in _WHAT},
            )
        ],
        [
            "A claim takes 64 due runs; a list is a page of 100; an append is one record with its"
            " commit."
        ],
    )


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


async def _open(path: Path) -> Journal:
    return await open_journal(
        f"sqlite:///{path}",
        SystemClock(),
        Opening(
            node=f"benchmark-{secrets.token_hex(3)}",
            subscribers=(),
            pagers=(),
            write_queue=4096,
            on_commit=lambda: None,
            on_broken=lambda: None,
        ),
    )


async def _prepare(path: Path) -> None:
    journal = await _open(path)
    record = RunbookRecord(_VERSION, "known", "known.yaml", "name: known", "Measures.", "", {})
    await journal.register([record])
    await journal.close()


def _grow(path: Path, count: int) -> None:
    """Write runs until there are so many, with what belongs to them."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    (there,) = connection.execute(_THERE).fetchone()
    (seq,) = connection.execute("SELECT seq FROM audit_head").fetchone()
    old_us = int((datetime.now(UTC) - timedelta(days=3)).timestamp() * 1e6)
    values = {"there": there, "more": count - there, "old": old_us, "seq": seq}
    connection.execute("BEGIN IMMEDIATE")
    for table, columns in _COLUMNS.items():
        connection.execute(f"INSERT INTO {table} {_NUMBERS} SELECT {columns} FROM n", values)  # noqa: S608 - constants
    connection.execute(_HEAD)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def _measure(path: Path, rounds: int) -> dict[str, list[float]]:
    journal = await _open(path)
    found: dict[str, list[float]] = {what: [] for what in _WHAT}
    try:
        for _ in range(rounds + 1):
            for what, took_ms in (await _round(journal)).items():
                found[what].append(took_ms)
    finally:
        await journal.close()
    return {what: values[1:] for what, values in found.items()}  # the first filled the caches


async def _round(journal: Journal) -> dict[str, float]:
    now = datetime.now(UTC)
    start = RunStart("known", _VERSION, Trigger.MANUAL, now, {})
    await asyncio.gather(*(journal.start_run(start, by="benchmark", at=now) for _ in range(64)))
    entry = AuditEntry("benchmark", "benchmark", now, {"what": "append"})
    times: dict[str, float] = {}

    async def timed(what: str, call: Callable[[], Awaitable[object]]) -> object:
        began = time.perf_counter()
        answer = await call()
        times[what] = (time.perf_counter() - began) * 1e3
        return answer

    claimed = await timed("claim", lambda: journal.claim(at=datetime.now(UTC), limit=64))
    assert isinstance(claimed, list)
    assert len(claimed) == 64
    await timed("console: runs", lambda: journal.runs(states=(), limit=100))
    await timed(
        "console: open incidents",
        lambda: journal.incidents(status=IncidentStatus.OPEN, limit=100),
    )
    await timed("audit append", lambda: journal.record([entry]))
    return times
