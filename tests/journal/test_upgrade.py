"""Proves upgrades from the schema before, on real rows of the code before.

`upgrade/sqlite-1.sql` is a journal that the code of schema 1 wrote, `upgrade/statements-1.sql` is
every statement that its daemons ask of PostgreSQL. While a new version is rolled out, both run on
one database: the schema is migrated first, then daemons are replaced one by one.
"""

import json
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import asyncpg

from remediator.journal import chain, schema, verify
from remediator.journal.opening import open_journal, postgres_access
from remediator.journal.postgres import dialect, migrate
from remediator.journal.protocol import Journal
from remediator.journal.times import to_us
from remediator.journal.values import AuditEntry, Opening
from remediator.model.runs import Run, RunState
from tests.cli.commands import CONFIG, Box, db, done, refused, serve_refused
from tests.journal import factories as make
from tests.journal.factories import T0, HandClock, after
from tests.servers.postgres import Postgres
from tests.servers.waiting import eventually_async

FOLDER = Path(__file__).parent / "upgrade"
DUMP = (FOLDER / "sqlite-1.sql").read_text(encoding="utf-8")
STATEMENTS = [
    line.rstrip(";")
    for line in (FOLDER / "statements-1.sql").read_text(encoding="utf-8").splitlines()
    if not line.startswith("--")
]
NEWEST = schema.known()[-1].version
# In the order in which rows may refer to each other.
TABLES = (
    *("nodes", "runbooks", "incidents", "runs", "steps", "approvals", "decisions", "locks"),
    *("outbox", "refs", "facts", "controls", "audit"),
)


def asked(statement: str) -> str:
    """Return the statement of the old daemons that begins so."""
    found = [one for one in STATEMENTS if one.startswith(statement)]
    assert found, statement
    return found[0]


async def before(dsn: str) -> "asyncpg.Connection":
    """Make a database of schema 1 with the rows of the dump; returns a connection to it."""
    connection = await asyncpg.connect(dsn)
    first = schema.known()[0]
    await connection.execute(schema.TABLE)
    await connection.execute(first.sql.replace("IDENTITY_KEY", dialect.IDENTITY_KEY))
    await connection.execute(
        "INSERT INTO schema_version (version, name, applied_us) VALUES (1, $1, 0)", first.name
    )
    with closing(sqlite3.connect(":memory:")) as old:
        old.executescript(DUMP)
        for table in TABLES:
            rows = old.execute(f"SELECT * FROM {table}")  # noqa: S608 - names of ours
            names = [column[0] for column in rows.description]
            values = ", ".join(f"${number}" for number in range(1, len(names) + 1))
            await connection.executemany(
                f"INSERT INTO {table} ({', '.join(names)}) OVERRIDING SYSTEM VALUE"  # noqa: S608 - names of ours
                f" VALUES ({values})",
                rows.fetchall(),
            )
        head = old.execute("SELECT seq, hash FROM audit_head").fetchone()
    await connection.execute("UPDATE audit_head SET seq = $1, hash = $2", *head)
    return connection


async def goes_on(journal: Journal) -> None:
    """Check that everything reads, that the chain verifies, and that a run that waited goes on."""
    records = await journal.audit()
    found = verify.verify(records, expected_head=await journal.audit_head())
    assert found.ok, found.problem
    assert len(records) >= 34
    runs = (await journal.runs()).items
    assert {run.trigger for run in runs} >= {"firing", "expiry"}
    for run in runs:
        view = await journal.view(run.id)
        assert view is not None
        assert view.run == run
    incidents = (await journal.incidents()).items
    assert "api" in {incident.labels.get("deployment") for incident in incidents}
    assert (await journal.backlog()).runs[RunState.VERIFYING] == 1
    assert await journal.runbook("v1") is not None
    waited = next(run for run in runs if run.state is RunState.VERIFYING)
    claimed = {run.id: run for run in await journal.claim(at=after(hours=1), limit=100)}
    ended = await make.move(journal, claimed[waited.id], RunState.SUCCEEDED, at=after(hours=1))
    assert ended.state is RunState.SUCCEEDED
    found = verify.verify(await journal.audit(), expected_head=await journal.audit_head())
    assert found.ok, found.problem
    # A new alert is taken in, with a run.
    receipt = await make.take(journal, make.starting("new"), at=after(hours=2))
    assert len(receipt.started) == 1


# --- PostgreSQL ---------------------------------------------------------------------------


async def test_old_daemons_go_on_beside_new_ones_on_the_new_schema(postgres_dsn: str) -> None:
    old = await before(postgres_dsn)
    try:
        access = postgres_access(postgres_dsn, None)
        made = await migrate.upgrade(access, after(minutes=1))
        assert made == [one.name for one in schema.known()[1:]]
        for statement in STATEMENTS:
            await old.prepare(statement)
        assert len(STATEMENTS) > 70
        clock = HandClock()
        new = await open_journal(postgres_dsn, clock, Opening("new", ("slack",)))
        try:
            run_id = await _old_life(old)
            view = await new.view(run_id)
            assert view is not None
            assert (view.run.state, view.run.owner) == (RunState.APPLYING, "old")
            assert [step.step_id for step in view.steps] == ["turn"]
            await goes_on(new)
            # What it does not know, another may not take from it while it lives.
            assert run_id not in {r.id for r in await new.claim(at=after(days=9), limit=100)}
        finally:
            await new.close()
    finally:
        await old.close()


async def _old_life(connection: "asyncpg.Connection") -> str:
    """Do what a daemon of schema 1 does between an alert and its change; returns the run."""
    now = to_us(after(minutes=2))

    async def do(statement: str, *args: object) -> None:
        await connection.execute(asked(statement), *args)

    # The database's clock says who lives.
    (alive,) = await connection.fetchrow(
        "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT + 60000000"
    )
    await do("INSERT INTO nodes", "old", alive)
    await do("UPDATE nodes SET seen_us", "old", alive)
    runbook = ("v0", "old-book", "old.yaml", "name: old-book", "", "", "{}", now)
    await do("INSERT INTO runbooks", *runbook)
    async with connection.transaction():
        note = ("n-old", "main", "alertmanager", now, "0" * 64, 2, 1, 0, b"{}")
        await do("INSERT INTO notifications", *note)
        incident = ("f" * 16, "open", "{}", "{}", "", now, None, now, now, 0)
        await do("INSERT INTO incidents", 1, "i-old", "old-sender", *incident)
        run = ("run-old", "i-old", "old-book", "v0", "firing", "pending", "new", "", "", "{}")
        times = (0, None, now, now, None, None, "sender:main", None, None)
        await do("INSERT INTO runs", *run, *times)
        await _append(connection, AuditEntry("run.state", "old", T0, {"to": "pending"}, "run-old"))
    async with connection.transaction():
        claimed = await connection.fetch(asked("UPDATE runs SET owner = $1, epoch"), "old", now, 1)
        assert [row["id"] for row in claimed] == ["run-old"]
    async with connection.transaction():
        moved = ("applying", "automatic", "going", "box x", 1, "old", now, now, None, None, None)
        await do("UPDATE runs SET state", "run-old", *moved, None)
        step = ("turn", "exec", "started", None, "{}", "", "{}", 0, now, None, None, "box x", 0)
        await do("INSERT INTO steps", "run-old", 0, 1, *step)
        await do("INSERT INTO locks", "box x", "run-old", 1, now)
        await do("INSERT INTO outbox", "run-old", "slack", "state", "going", now, "[]")
        await _append(connection, AuditEntry("step.started", "old", T0, {}, "run-old"))
    return "run-old"


async def _append(connection: "asyncpg.Connection", entry: AuditEntry) -> None:
    seq, previous = await connection.fetchrow(
        asked("SELECT seq, hash FROM audit_head WHERE id = 1 FOR")
    )
    details = json.dumps(entry.details, separators=(",", ":"))
    digest = chain.record_hash(seq + 1, entry, previous)
    row = (to_us(entry.at), entry.kind, entry.actor, entry.run_id, entry.incident_id, details)
    await connection.execute(asked("INSERT INTO audit"), seq + 1, *row, previous, digest)
    await connection.execute(asked("UPDATE audit_head"), seq + 1, digest)


async def test_an_old_daemon_that_dies_is_taken_over(postgres_dsn: str) -> None:
    old = await before(postgres_dsn)
    try:
        await migrate.upgrade(postgres_access(postgres_dsn, None), T0)
        run_id = await _old_life(old)
        await old.execute("UPDATE nodes SET seen_us = 0 WHERE id = 'old'")
    finally:
        await old.close()
    new = await open_journal(postgres_dsn, HandClock(), Opening("new", ("slack",)))
    try:

        async def taken() -> Run | None:
            claimed = {run.id: run for run in await new.claim(at=after(days=9), limit=100)}
            return claimed.get(run_id)

        run: Run | None = await eventually_async(taken, what="the dead one's run to be free")
        assert run is not None
        assert run.epoch == 2
    finally:
        await new.close()


async def test_a_dump_of_the_schema_before_is_restored_on_the_new_one(
    tmp_path: Path, postgres: Postgres
) -> None:
    old, new = postgres.create_database(), postgres.create_database()
    await (await before(old)).close()
    box = Box.make(tmp_path / "b")
    dump = str(tmp_path / "old.dump")
    told = json.loads(done(db(box, "backup", dump, "-o", "json", REMEDIATOR_JOURNAL=old)))
    assert told["schema"] == 1
    told = json.loads(done(db(box, "restore", dump, "-o", "json", REMEDIATOR_JOURNAL=new)))
    assert (told["runs_cancelled"], told["runs_interrupted"], told["notes_dropped"]) == (0, 2, 3)
    assert "is up to date" in done(db(box, "migrate", REMEDIATOR_JOURNAL=new))
    journal = await open_journal(new, HandClock(), Opening("new"))
    try:
        found = verify.verify(await journal.audit(), expected_head=await journal.audit_head())
        assert found.ok, found.problem
        states = {run.state for run in (await journal.runs()).items if run.ended_at is None}
        assert states == {RunState.INTERRUPTED}
    finally:
        await journal.close()


# --- SQLite -------------------------------------------------------------------------------


async def test_a_file_of_the_schema_before_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    _file_before(path)
    journal = await open_journal(f"sqlite:///{path}", HandClock(), Opening("new", ("slack",)))
    try:
        await goes_on(journal)
    finally:
        await journal.close()
    with closing(sqlite3.connect(path)) as raw:
        versions = raw.execute("SELECT version FROM schema_version ORDER BY version").fetchall()
    assert versions == [(one.version,) for one in schema.known()]


def test_a_copy_of_the_schema_before_is_made_and_restored(tmp_path: Path) -> None:
    box = Box.make(tmp_path / "b")
    _file_before(box.folder / "journal.db")
    copy = tmp_path / "copy.db"
    told = json.loads(done(db(box, "backup", str(copy), "-o", "json")))
    assert (told["schema"], told["audit_head"]["seq"]) == (1, 34)
    told = json.loads(done(db(box, "restore", str(copy), "--force", "-o", "json")))
    assert (told["runs_cancelled"], told["runs_interrupted"], told["notes_dropped"]) == (0, 2, 3)
    assert f"is up to date: schema {NEWEST}" in done(db(box, "migrate"))


def _file_before(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(DUMP)


# --- newer than the code ------------------------------------------------------------------

LATER = "INSERT INTO schema_version (version, name, applied_us) VALUES (9999, '9999_later.sql', 0)"


def test_a_newer_file_is_refused_by_all(tmp_path: Path) -> None:
    box = Box.make(tmp_path / "b")
    journal, copy = box.folder / "journal.db", tmp_path / "copy.db"
    done(db(box, "migrate"))
    with closing(sqlite3.connect(journal)) as raw:
        raw.execute(LATER)
        raw.commit()
        with closing(sqlite3.connect(copy)) as copied:
            raw.backup(copied)
    bytes_before = journal.read_bytes()
    _all_refuse(box, tmp_path, copy)
    assert journal.read_bytes() == bytes_before


def test_a_newer_database_is_refused_by_all(tmp_path: Path, postgres: Postgres) -> None:
    dsn = postgres.create_database()
    box = Box.make(tmp_path / "b", CONFIG.replace("sqlite:///{folder}/journal.db", dsn))
    done(db(box, "migrate"))
    copy = tmp_path / "copy.dump"
    done(db(box, "backup", str(copy)))
    postgres.psql(LATER, dsn)
    _all_refuse(box, tmp_path, None)
    newer = tmp_path / "newer.dump"
    subprocess.run(["pg_dump", "-Fc", "-f", newer, dsn], check=True)
    said = refused(db(box, "restore", str(newer), REMEDIATOR_JOURNAL=postgres.create_database()))
    assert "has schema 9999, and this version of remediator knows only" in said


def _all_refuse(box: Box, folder: Path, copy: Path | None) -> None:
    commands: Sequence[Sequence[str]] = (
        ("migrate",),
        ("backup", str(folder / "new-copy")),
        ("prune",),
        ("prune", "--dry-run"),
        *([("restore", str(copy), "--force")] if copy else []),
    )
    for words in commands:
        said = refused(db(box, *words))
        assert "has schema 9999, and this version of remediator knows only" in said, words
    assert "has schema 9999, and this version of remediator knows only" in serve_refused(box)
    assert not (folder / "new-copy").exists()
