"""A journal with a million runs in it: claims, lists and audit against the same with a thousand.

The rows are written beside the daemon's code, in bulk: old runs that have ended, each with its
incident, a step and an audit record. What is timed is the journal's own interface.
"""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.measure import Bench, Curve, Figure, Measured, Target, ratios
from remediator.engine.clock import SystemClock
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import AuditEntry, Opening, RunbookRecord, RunStart
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
_ROWS: Mapping[str, Mapping[str, str]] = {
    "incidents": {
        "id": _INCIDENT,
        "sender": "'default'",
        "fingerprint": "printf('%016x', i)",
        "episode": "1",
        # Some of the oldest never ended, so that the list of open ones has a page.
        "status": "CASE WHEN i < 200 THEN 'open' ELSE 'resolved' END",
        "ends_us": f"CASE WHEN i < 200 THEN NULL ELSE {_AT} END",
        "labels": f"'{_LABELS}'",
        "annotations": f"'{_ANNOTATIONS}'",
        "generator_url": "''",
        **dict.fromkeys(("starts_us", "opened_us", "updated_us"), _AT),
    },
    "runs": {
        "id": _RUN,
        "incident_id": _INCIDENT,
        "runbook": "'known'",
        "version": f"'{_VERSION}'",
        "trigger": "'firing'",
        "state": "'succeeded'",
        "reason": "'done'",
        "message": "'every step is done'",
        "target": "'thing shop/api'",
        "context": f"'{_CONTEXT}'",
        "epoch": "2",
        **dict.fromkeys(("created_us", "started_us", "ended_us"), _AT),
        "started_by": "'sender:default'",
        "verdicts": "'[]'",
    },
    "steps": {
        "run_id": _RUN,
        "sequence": "1",
        "attempt": "1",
        "step_id": "'step-1'",
        "action": "'benchmark.noop'",
        "state": "'done'",
        "plan": f"'{_PLAN}'",
        "target_key": "'benchmark:shop/Thing/api'",
        "pods": "0",
        "params": "'{}'",
        "message": "'done'",
        "output": "'{}'",
        "changed": "1",
        **dict.fromkeys(("started_us", "ended_us"), _AT),
    },
    "audit": {
        "seq": ":seq + 1 + i - :there",
        "at_us": _AT,
        "kind": "'run.state'",
        "actor": "'remediator'",
        "run_id": _RUN,
        "incident_id": _INCIDENT,
        "details": """'{"to":"succeeded"}'""",
        **dict.fromkeys(("previous", "hash"), "hex(randomblob(32))"),
    },
}
"""Table → column → what is selected for its row number `i`."""
_THERE = "SELECT COUNT(*) FROM steps"
_HEAD = (
    "UPDATE audit_head SET seq = (SELECT MAX(seq) FROM audit),"
    " hash = (SELECT hash FROM audit ORDER BY seq DESC LIMIT 1)"
)
_WHAT = ("claim", "console: runs", "console: open incidents", "audit append")


def million(bench: Bench) -> Measured:
    """How much slower the journal is with a million runs than with a thousand."""
    counts = (1000, 10_000, 100_000, 1_000_000) if not bench.quick else (100, 1000)
    few, many = bench.folder / "few.db", bench.folder / "many.db"
    curve: dict[str, list[tuple[float, float]]] = {what: [] for what in _WHAT}
    for path in (few, many):
        asyncio.run(_prepare(path))
        _grow(path, counts[0])
    for count in counts:
        _grow(many, count)
        (costs,) = asyncio.run(_measure([many], bench.size(7, 1)))
        for what in _WHAT:
            curve[what].append((count, median(costs[what])))
    # Turn by turn, so that a busy disk is busy for both.
    small, large = asyncio.run(_measure([few, many], bench.size(25, 3)))
    worst = max(_WHAT, key=lambda what: median(ratios(large[what], small[what])))
    return Measured(
        [
            Figure(
                f"the slowest of them, {worst}, against {counts[0]:,}",
                ratios(large[worst], small[worst]),
                "×",
                Target(at_most=2),
            ),
            *(
                Figure(what, ratios(large[what], small[what]), "×", Target(at_most=2))
                for what in _WHAT
            ),
            *(Figure(f"{what}, {counts[-1]:,} runs", large[what], "ms") for what in _WHAT),
        ],
        [
            Curve(
                "journal-rows",
                "The journal's calls by runs in it",
                "runs in the journal",
                "ms",
                curve,
            )
        ],
        [
            "A claim takes 64 due runs; a list is a page of 100; an append is one record with its"
            " commit."
        ],
    )


async def _open(path: Path) -> Journal:
    return await open_journal(
        f"sqlite:///{path}",
        SystemClock(),
        Opening(
            node=f"benchmark-{secrets.token_hex(3)}",
            subscribers=(),
            pagers=(),
            write_queue=4096,
            on_due=lambda _: None,
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
    if there >= count:
        connection.close()
        return
    (seq,) = connection.execute("SELECT seq FROM audit_head").fetchone()
    old_us = int((datetime.now(UTC) - timedelta(days=3)).timestamp() * 1e6)
    values = {"there": there, "more": count - there, "old": old_us, "seq": seq}
    connection.execute("BEGIN IMMEDIATE")
    for table, row in _ROWS.items():
        connection.execute(
            f"INSERT INTO {table} ({', '.join(row)}) {_NUMBERS}"  # noqa: S608 - constants
            f" SELECT {', '.join(row.values())} FROM n",
            values,
        )
    connection.execute(_HEAD)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def _measure(paths: Sequence[Path], rounds: int) -> list[dict[str, list[float]]]:
    journals = [await _open(path) for path in paths]
    found: list[dict[str, list[float]]] = [{what: [] for what in _WHAT} for _ in paths]
    try:
        for number in range(rounds + 1):
            for journal, into in zip(journals, found, strict=True):
                for what, took_ms in (await _round(journal)).items():
                    if number:  # the first fills the caches
                        into[what].append(took_ms)
    finally:
        for journal in journals:
            await journal.close()
    return found


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
