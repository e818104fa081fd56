"""What holds after every fault: nothing lost, nothing twice, nothing stuck, nobody untold, the
record whole.

A checker, no test. It looks from outside, at a daemon that runs: at its API, at its journal (read
only), and at what the test counted at the target.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from tests.crash import legal
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.rest import answers
from tests.servers.waiting import eventually

RECOVERS_WITHIN_S = 30.0


def check(
    daemon: RemediatorProcess,
    *,
    acknowledged: Collection[str],
    changes: Mapping[str, int],
    waiting: Collection[str] = (),
    within_s: float = RECOVERS_WITHIN_S,
) -> None:
    """Wait until the daemon has recovered by itself, then look.

    Args:
        daemon: it runs.
        acknowledged: the SHA-256 of every body that was answered 200.
        changes: what was changed at the target, by whatever names it → how often.
        waiting: the states in which a run may be left, because it waits for a person.
        within_s: how long it may take.
    """
    eventually(lambda: answers(f"{daemon.url}/-/ready"), within_s, what="the daemon to be ready")
    eventually(
        lambda: not _unfinished(daemon, waiting),
        within_s,
        what=f"every run to end, or to be {waiting or 'nothing else'}",
    )
    eventually(lambda: not _untold(daemon), within_s, what="everybody to be told")
    with daemon.reading() as journal:
        _no_notification_is_missing(journal, acknowledged)
        _locks_are_those_of_waiting_runs(journal)
        _every_story_is_legal(journal)
    twice = {name: times for name, times in changes.items() if times > 1}
    assert not twice, f"changed more than once: {twice}"
    verified = daemon.command("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _unfinished(daemon: RemediatorProcess, waiting: Collection[str]) -> list[tuple[Any, ...]]:
    with daemon.reading() as journal:
        live = journal.execute("SELECT id, state FROM runs WHERE ended_us IS NULL").fetchall()
    return [run for run in live if run[1] not in waiting]


def _untold(daemon: RemediatorProcess) -> list[tuple[Any, ...]]:
    with daemon.reading() as journal:
        return journal.execute(
            "SELECT run_id, error FROM outbox WHERE state = 'waiting'"
        ).fetchall()


def _no_notification_is_missing(journal: sqlite3.Connection, acknowledged: Collection[str]) -> None:
    recorded = {
        json.loads(details)["sha256"]
        for (details,) in journal.execute("SELECT details FROM audit WHERE kind = 'notification'")
    }
    kept = {digest for (digest,) in journal.execute("SELECT sha256 FROM notifications")}
    missing = set(acknowledged) - (recorded & kept)
    assert not missing, f"{len(missing)} notifications were answered 200 and are missing"


def _locks_are_those_of_waiting_runs(journal: sqlite3.Connection) -> None:
    left = journal.execute(
        "SELECT locks.target_key, runs.state FROM locks JOIN runs ON runs.id = locks.run_id"
        " WHERE runs.ended_us IS NOT NULL"
    ).fetchall()
    assert not left, f"locks that nobody holds any more: {left}"


def _every_story_is_legal(journal: sqlite3.Connection) -> None:
    stories: dict[str, list[dict[str, Any]]] = defaultdict(list)
    rows = journal.execute(
        "SELECT run_id, seq, kind, details FROM audit WHERE run_id IS NOT NULL ORDER BY seq"
    )
    for run_id, seq, kind, details in rows:
        stories[run_id].append({"seq": seq, "kind": kind, "details": json.loads(details)})
    ended = {
        run_id for (run_id,) in journal.execute("SELECT id FROM runs WHERE ended_us IS NOT NULL")
    }
    for run_id in ended:
        legal.check(stories[run_id])
