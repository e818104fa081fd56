"""Proves that a restore that is killed leaves the old journal or the new one, whole, at every file
operation it makes; and that the same command then goes through.
"""

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, Box, asked, db, done, environment, remediator, serving
from tests.servers.binaries import find

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

# What makes a file be there, be gone, or be on the disk.
CALLS = ("fdatasync", "fsync", "rename", "link", "linkat", "unlink")
_CALL = re.compile(rf"^\d+\s+({'|'.join(CALLS)})\(")


def _restore(box: Box, copy: Path, *traced: str) -> subprocess.CompletedProcess[str]:
    command = ["db", "restore", str(copy), "--force", "--config", box.config]
    return subprocess.run(
        [find("strace"), "-f", "-qq", *traced, sys.executable, "-m", "remediator", *command],
        cwd=ROOT,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _put(box: Box, journal: Path) -> None:
    """Put the journal there as it was before a restore."""
    for left in box.folder.glob("*journal.db*"):
        left.unlink()
    shutil.copy(journal, box.folder / "journal.db")


def _look(journal: Path, before: Path) -> str:
    """Look at what was left, as whoever opens it next would; returns which journal it is."""
    with closing(sqlite3.connect(journal)) as left:
        assert left.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        restored = "SELECT 1 FROM audit WHERE kind = 'journal.restored'"
        if left.execute(restored).fetchall():
            return "new"
        runs = "SELECT id, state FROM runs ORDER BY id"
        assert left.execute(runs).fetchall() == asked(before, runs)
        return "old"


def test_killed_at_every_file_operation(tmp_path: Path) -> None:
    fresh = Box.make(tmp_path / "b")
    journal, before, copy = (
        fresh.folder / "journal.db",
        tmp_path / "before.db",
        tmp_path / "copy.db",
    )
    with serving(fresh):
        fresh.waiting("lamp")
        done(db(fresh, "backup", str(copy)))
        fresh.until(fresh.fire("Looks", "later")[0], "observed")
    shutil.copy(journal, before)
    _put(fresh, before)
    trace = tmp_path / "trace"
    whole = _restore(fresh, copy, "-o", str(trace), "-e", f"trace={','.join(CALLS)}")
    assert whole.returncode == 0, whole.stderr
    calls = Counter(m[1] for m in map(_CALL.match, trace.read_text().splitlines()) if m)
    assert calls["rename"] >= 1
    assert calls["fsync"] >= 2
    outcomes = Counter[str]()
    for call, count in calls.items():
        for number in range(1, count + 1):
            _put(fresh, before)
            killed = _restore(
                fresh, copy, "-o/dev/null", f"--inject={call}:signal=KILL:when={number}"
            )
            assert killed.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}, killed.stderr
            outcomes[_look(journal, before)] += 1
    assert set(outcomes) == {"old", "new"}
    done(db(fresh, "restore", str(copy), "--force"))
    assert remediator("audit", "verify", "--config", fresh.config).returncode == 0
    with closing(sqlite3.connect(journal)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM runs").fetchone() == (1,)
