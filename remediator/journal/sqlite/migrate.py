"""The schema on SQLite: brought up to date whenever a daemon opens the file."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from remediator.journal import schema
from remediator.journal.errors import CannotOpen
from remediator.journal.times import to_us

# AUTOINCREMENT: a number is never given twice, even after its row was pruned.
_IDENTITY_KEY = "INTEGER PRIMARY KEY AUTOINCREMENT"


def upgrade(connection: sqlite3.Connection, path: Path, at: datetime) -> list[str]:
    """Bring the schema up to this version of the code.

    Returns:
        The names of the migrations that were made, in order.

    Raises:
        CannotOpen: the schema is newer than the code.
        sqlite3.Error: a statement failed; its migration was rolled back.
    """
    made = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(schema.TABLE)
        present = _present(connection)
        migrations = schema.known()
        _refuse_newer(path, present, migrations[-1].version)
        for migration in migrations:
            if migration.version <= present:
                continue
            for statement in _statements(migration.sql):
                connection.execute(statement.replace("IDENTITY_KEY", _IDENTITY_KEY))
            connection.execute(
                "INSERT INTO schema_version (version, name, applied_us) VALUES (?1, ?2, ?3)",
                (migration.version, migration.name, to_us(at)),
            )
            made.append(migration.name)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return made


def require_current(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the schema is the one that this code reads.

    Raises:
        CannotOpen: it is newer, older, or none of ours.
    """
    present, current = not_newer(connection, path), schema.known()[-1].version
    if present < current:
        raise CannotOpen(
            f"the journal {path} has schema {present} and this version reads {current}; start"
            " `remediator serve` once to bring it up to date"
        )


def not_newer(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema's number, which may be older than this code.

    Raises:
        CannotOpen: it is newer, or none of ours.
    """
    try:
        present = _present(connection)
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        raise CannotOpen(f"{path} is no journal of remediator") from None
    _refuse_newer(path, present, schema.known()[-1].version)
    return present


def _present(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT COALESCE(MAX(version), 0) FROM schema_version").fetchone()
    return int(row[0])


def _refuse_newer(path: Path, present: int, current: int) -> None:
    if present > current:
        raise CannotOpen(
            f"the journal {path} has schema {present}, and this version of remediator knows only"
            f" {current}; run the newer version that wrote it, or restore an older copy"
        )


def _statements(sql: str) -> Iterator[str]:
    gathered = ""
    for line in sql.splitlines():
        if not gathered and (not line.strip() or line.startswith("--")):
            continue
        gathered += line + "\n"
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip():
        raise ValueError(f"a migration ends in the middle of a statement: {gathered.strip()[:60]}")
