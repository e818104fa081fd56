"""Proves what is SQLite's own: one daemon per file, migrations and newer schemas, reading beside a
daemon, a disk that is full, who may read the files, and the translation of the portable SQL.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.journal import schema
from remediator.journal.errors import CannotOpen, ReadOnly
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.sqlite import connection
from remediator.journal.urls import sqlite_path
from remediator.journal.values import Due, Guard, JournalUnavailable, Opening
from remediator.model.history import History
from remediator.model.incidents import Fate
from remediator.model.runs import RunState, StepState
from remediator.model.verdicts import Verdict
from remediator.model.views import Note, NoteKind
from tests.journal import factories as make
from tests.journal.factories import HandClock

_ROOT = Path(__file__).parents[2]


async def _open(path: Path, *, read_only: bool = False) -> Journal:
    return await open_journal(
        f"sqlite:///{path}", HandClock(), Opening("node-1"), read_only=read_only
    )


@contextmanager
def _writing(mode: str, path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.journal.writing", mode, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_a_second_daemon_on_the_same_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with _writing("flood", path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(CannotOpen, match=rf"in use .* \(process {process.pid}\); stop"):
            await _open(path)
        # Looking is allowed.
        beside = await _open(path, read_only=True)
        await beside.audit_head()
        await beside.close()
    journal = await _open(path)  # the kernel dropped the dead process's lock
    await journal.close()


async def test_a_second_daemon_through_a_link_is_refused(tmp_path: Path) -> None:
    path, link = tmp_path / "journal.db", tmp_path / "link.db"
    journal = await _open(path)
    link.symlink_to(path)
    with pytest.raises(CannotOpen, match="in use"):
        await _open(link)
    await journal.close()


class _Dies(BaseException):
    """No error of an operation: the thread ends."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_writer_that_dies_answers_everybody_and_is_told_of(tmp_path: Path) -> None:
    broken = asyncio.Event()
    opening = Opening("node-1", on_broken=broken.set)
    journal = await open_journal(f"sqlite:///{tmp_path}/journal.db", HandClock(), opening)
    run = await make.claimed(journal)

    def dies(_: History) -> tuple[Verdict, ...]:
        raise _Dies

    guarded = make.update(run, RunState.PLANNING, guard=Guard(dies))
    with pytest.raises(JournalUnavailable, match="writer has stopped"):
        await journal.write(guarded)
    await broken.wait()
    assert not journal.writable
    with pytest.raises(JournalUnavailable):
        await make.take(journal, make.alert())
    await journal.close()


async def test_whoever_stops_waiting_is_written_all_the_same(tmp_path: Path) -> None:
    journal = await _open(tmp_path / "journal.db")
    taking = asyncio.ensure_future(journal.take(make.notification(make.alert())))
    await asyncio.sleep(0)
    taking.cancel()
    assert (await make.take(journal, make.alert())).fates == (Fate.REFRESHED,)
    await journal.close()


async def test_another_program_that_keeps_the_file_locked_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await _open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable, match="another program keeps it locked"):
            await journal.beat(at=make.T0)
        seen = [journal.writable]
        other.execute("ROLLBACK")
    await journal.beat(at=make.T0)
    assert [*seen, journal.writable] == [False, True]
    await journal.close()


async def test_what_was_rolled_back_wakes_nobody(tmp_path: Path) -> None:
    woken: list[frozenset[Due]] = []
    opening = Opening("node-1", on_due=woken.append)
    journal = await open_journal(f"sqlite:///{tmp_path}/journal.db", HandClock(), opening)
    run = await make.claimed(journal)
    await asyncio.sleep(0)
    before = len(woken)
    stranger = make.step(replace(run, id="another"), StepState.STARTED)
    note = Note(NoteKind.STATE, run.id, "planning", make.T0)
    with pytest.raises(ValueError, match="writes to run another"):
        await journal.write(make.update(run, RunState.PLANNING, steps=(stranger,), notes=(note,)))
    assert len(woken) == before
    await journal.close()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await (await _open(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("INSERT INTO schema_version VALUES (9999, '9999_later.sql', 0)")
    for read_only in (False, True):
        with pytest.raises(CannotOpen, match="schema 9999, and this version of remediator knows"):
            await _open(path, read_only=read_only)


async def test_an_older_schema_is_not_read_but_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(
            "CREATE TABLE schema_version"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us BIGINT NOT NULL)"
        )
    with pytest.raises(CannotOpen, match="start `remediator serve` once"):
        await _open(path, read_only=True)
    await (await _open(path)).close()
    reader = await _open(path, read_only=True)
    assert await reader.audit_head() == (0, "0" * 64)
    await reader.close()


def test_migrations_are_numbered_without_gaps() -> None:
    versions = [migration.version for migration in schema.known()]
    assert versions == list(range(1, len(versions) + 1))


async def test_reading_needs_a_journal_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with pytest.raises(CannotOpen, match="there is no journal"):
        await _open(path, read_only=True)
    path.write_bytes(b"")
    with pytest.raises(CannotOpen, match="no journal of remediator"):
        await _open(path, read_only=True)
    path.write_bytes(b"not a database" * 100)
    for read_only in (True, False):
        with pytest.raises(CannotOpen, match="no SQLite database"):
            await _open(path, read_only=read_only)
    path.unlink()
    await (await _open(path)).close()
    reader = await _open(path, read_only=True)
    with pytest.raises(ReadOnly, match="reading only"):
        await reader.take(make.notification(make.alert()))
    assert not (await reader.runs()).items
    await reader.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "127.0.0.1:1/x does not answer"),
        ("sqlite://var/x.db", "sqlite:///relative"),
        ("sqlite:///", "sqlite:///relative"),
        ("mysql://u:secret@db/x", "is no journal"),
    ],
)
async def test_other_urls_are_refused_without_their_passwords(url: str, message: str) -> None:
    with pytest.raises(CannotOpen, match=message) as caught:
        await open_journal(url, HandClock(), Opening("node-1"))
    assert "secret" not in str(caught.value)


def test_sqlite_urls_name_files() -> None:
    assert sqlite_path("sqlite:///var/a b.db") == Path("var/a b.db")
    assert sqlite_path("sqlite:////var/x.db") == Path("/var/x.db")


async def test_the_files_are_their_owners_alone(tmp_path: Path) -> None:
    journal = await _open(tmp_path / "made" / "journal.db")
    await make.take(journal, make.alert())
    modes = {file.name: file.stat().st_mode & 0o077 for file in (tmp_path / "made").iterdir()}
    await journal.close()
    assert set(modes) == {
        "journal.db",
        "journal.db-wal",
        "journal.db-shm",
        "journal.db.lock",
    }
    assert set(modes.values()) == {0}


def test_a_commit_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    # No test can pull the plug; these settings are what SQLite's promise rests on.
    with closing(connection.open_writer(tmp_path / "journal.db")) as writer:
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "query_only": 0}
        found = {name: writer.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
        assert found == wanted
        with closing(connection.open_reader(tmp_path / "journal.db")) as reader:
            assert reader.execute("PRAGMA query_only").fetchone() == (1,)


async def test_a_clean_close_leaves_one_whole_file(tmp_path: Path) -> None:
    journal = await _open(tmp_path / "journal.db")
    await make.take(journal, make.alert())
    assert len((await journal.incidents()).items) == 1
    await journal.close()
    assert sorted(os.listdir(tmp_path)) == ["journal.db", "journal.db.lock"]  # noqa: PTH208 - a test may block


def test_files_that_may_not_grow_make_the_journal_unavailable_until_they_may(
    tmp_path: Path,
) -> None:
    with _writing("fill", tmp_path / "journal.db") as process:
        output, _ = process.communicate(timeout=60)
    said = {line.split()[0]: line.split()[1:] for line in output.splitlines()}
    taken = int(said["unavailable"][0])
    assert taken > 0, output
    assert "the journal" in " ".join(said["unavailable"])
    assert said["readable"] == [str(taken)]
    assert said["recovered"] == [str(taken + 10)]


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs"]
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _may_mount() -> bool:
    probe = ["unshare", "--mount", "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


async def _fill(journal: Journal) -> AsyncIterator[int]:
    for number in range(1000):
        await journal.take(make.notification(make.alert(f"svc-{number}"), body=os.urandom(8000)))
        yield number + 1


# An ordinary user can't make a disk that is full; the test above shows them the same paths.
if _may_mount():

    async def test_a_full_disk_makes_the_journal_unavailable_until_there_is_room(
        tmp_path: Path,
    ) -> None:
        with _small_disk(tmp_path / "disk", "2M") as disk:
            ballast = disk / "ballast"
            journal = await _open(disk / "journal.db")
            ballast.write_bytes(b"x" * 900_000)
            taken = 0
            with pytest.raises(JournalUnavailable, match="the disk is full; make room"):  # noqa: PT012 - the loop is what fills it
                async for count in _fill(journal):
                    taken = count
            assert (await journal.backlog()).open_incidents == taken
            outcomes = await asyncio.gather(
                *(journal.take(make.notification(make.alert(f"more-{i}"))) for i in range(50)),
                return_exceptions=True,
            )
            refused = sum(isinstance(outcome, JournalUnavailable) for outcome in outcomes)
            ballast.unlink()
            await journal.take(make.notification(make.alert("again")))
            backlog = await journal.backlog()
            await journal.close()
        assert backlog.open_incidents == taken + 50 - refused + 1


@pytest.mark.parametrize(
    ("portable", "own"),
    [
        ("SELECT $1, $12", "SELECT ?1, ?12"),
        ("FROM each($2) AS f CROSS JOIN x", "FROM json_each(?2) AS f CROSS JOIN x"),
        ("WHERE id = $1 FOR NO KEY UPDATE", "WHERE id = ?1 "),
        ("LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)", "LIMIT ?3 )"),
        ("x FOR NO KEY UPDATE OF i\n", "x \n"),
    ],
)
def test_portable_sql_is_translated(portable: str, own: str) -> None:
    assert connection.translate(portable) == own


async def test_lists_and_claims_use_their_indexes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await (await _open(path)).close()
    wanted = {
        "SELECT id FROM runs WHERE owner IS NULL AND wake_us IS NOT NULL AND wake_us <= 1"
        " ORDER BY wake_us LIMIT 5": "runs_due",
        "SELECT id FROM incidents WHERE sender = 'a' AND fingerprint = 'b'"
        " ORDER BY episode DESC LIMIT 1": "incidents_episodes",
        "SELECT state, COUNT(*) FROM runs WHERE ended_us IS NULL GROUP BY state": "runs_live",
        "SELECT run_id FROM steps WHERE started_us IS NOT NULL AND target_key IS NOT NULL"
        " AND started_us >= 1": "steps_changes",
        "SELECT id FROM outbox WHERE state = 'waiting' AND next_us <= 1": "outbox_due",
        "SELECT seq FROM audit WHERE seq > 1 AND run_id = 'r' ORDER BY seq": "audit_by_run",
    }
    with closing(sqlite3.connect(path)) as raw:
        for sql, index in wanted.items():
            plans = raw.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
            assert any(index in row[3] for row in plans), (sql, plans)
