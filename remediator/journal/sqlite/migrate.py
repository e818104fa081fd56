"""The schema: numbered SQL files, forward only, each in one transaction with its number."""

import re
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from remediator.journal.errors import CannotOpen
from remediator.journal.times import to_us

_NAME = re.compile(r"(\d{4})_\w+\.sql")
# AUTOINCREMENT: a number is never given twice, even after its row was pruned.
_IDENTITY_KEY = "INTEGER PRIMARY KEY AUTOINCREMENT"


class Migration(NamedTuple):
    """One step of the schema."""

    version: int
    name: str
    sql: str


def known() -> list[Migration]:
    """Return the migrations of this version, in order."""
    folder = resources.files("remediator.journal") / "migrations"
    found = []
    for file in folder.iterdir():
        match = _NAME.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), file.name, file.read_text(encoding="utf-8")))
    return sorted(found)


def upgrade(connection: sqlite3.Connection, path: Path, at: datetime) -> None:
    """Bring the schema up to this version of the code.

    Raises:
        CannotOpen: the schema is newer than the code.
        sqlite3.Error: a statement failed; its migration was rolled back.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us BIGINT NOT NULL)"
        )
        present = _present(connection)
        migrations = known()
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
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def require_current(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the schema is the one that this code reads.

    Raises:
        CannotOpen: it is newer, older, or none of ours.
    """
    try:
        present = _present(connection)
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        raise CannotOpen(f"{path} is no journal of remediator") from None
    current = known()[-1].version
    _refuse_newer(path, present, current)
    if present < current:
        raise CannotOpen(
            f"the journal {path} has schema {present} and this version reads {current}; start"
            " `remediator serve` once to bring it up to date"
        )


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
