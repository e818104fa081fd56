"""Connections to SQLite: how they are opened, how operations are driven, which errors are expected.

Used by the writer thread, the readers and the migrations; knows nothing of incidents or runs.
"""

import os
import re
import sqlite3
from collections.abc import MutableSequence, MutableSet
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from remediator.journal.errors import CannotOpen
from remediator.journal.statements import Execute, Many, Operation, Query, Record, Wake
from remediator.journal.values import AuditEntry, Due, JournalUnavailable

T = TypeVar("T")

# Nobody else writes; a copy being made, or a person's shell, may hold the file for a moment.
_BUSY_TIMEOUT_S = 5.0
# The journal's statements are about a hundred; each is compiled once per connection.
_CACHED_STATEMENTS = 256
# After a burst the log file is cut back to this size when it is started over.
_WAL_LIMIT_BYTES = 64 * 1024 * 1024

_EACH = re.compile(r"\beach\((\$\d+)\)")
_ROW_LOCK = re.compile(r"\bFOR NO KEY UPDATE(?: OF \w+)?(?: SKIP LOCKED)?")
_PLACEHOLDER = re.compile(r"\$(\d+)")

_EXPECTED = {
    sqlite3.SQLITE_FULL: "the disk is full; make room, remediator goes on by itself",
    sqlite3.SQLITE_IOERR: "the disk does not take it; see the system's log",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened; was its folder removed?",
    sqlite3.SQLITE_BUSY: "another program keeps it locked",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; stop the daemon and restore a copy",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
}


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes and checkpoints; makes the file, for its owner only.

    Raises:
        OSError, sqlite3.Error: it can't be opened.
    """
    # Bodies and plans are nobody else's business; the log files inherit this mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = _connect(path, "rw")
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":  # as on network file systems, where a commit would be no promise
            raise CannotOpen(f"the journal {path} is where SQLite has no WAL; use a local disk")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that can't write.

    Raises:
        sqlite3.Error: it can't be opened.
    """
    connection = _connect(path, "ro")
    try:
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,  # transactions begin and end where the code says so
        check_same_thread=False,  # opened by one thread, then used by one other
        cached_statements=_CACHED_STATEMENTS,
    )


@lru_cache(maxsize=1024)
def translate(sql: str) -> str:
    """Return the journal's SQL (see `statements`) as SQLite spells it."""
    text = _EACH.sub(r"json_each(\1)", sql)
    text = _ROW_LOCK.sub("", text)
    return _PLACEHOLDER.sub(r"?\1", text)


def drive(
    connection: sqlite3.Connection,
    operation: Operation[T],
    entries: MutableSequence[AuditEntry],
    due: MutableSet[Due] | None = None,
) -> T:
    """Answer an operation's statements until it returns.

    Audit entries are put into `entries`, what somebody should look at into `due`.

    Raises:
        sqlite3.Error: a statement failed.
        Exception: what the operation raised.
    """
    try:
        statement = next(operation)
        while True:
            answer: object = None
            match statement:
                case Query(sql, args):
                    answer = connection.execute(translate(sql), args).fetchall()
                case Execute(sql, args):
                    answer = connection.execute(translate(sql), args).rowcount
                case Many(sql, rows):
                    if len(rows) == 1:
                        connection.execute(translate(sql), rows[0])
                    else:
                        connection.executemany(translate(sql), rows)
                case Record(recorded):
                    entries.extend(recorded)
                case Wake(what):
                    if due is not None:
                        due.add(what)
            statement = operation.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        operation.close()


def read(connection: sqlite3.Connection, operation: Operation[T]) -> T:
    """Drive an operation that only reads, on one consistent state."""
    connection.execute("BEGIN")
    try:
        return drive(connection, operation, [])
    finally:
        if connection.in_transaction:  # SQLite has rolled back by itself after errors of the disk
            connection.execute("ROLLBACK")


def as_unavailable(error: BaseException, path: Path) -> BaseException:
    """Return `JournalUnavailable` for errors that a disk may cause, and any other as it is."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.Error) and code is not None:
        advice = _EXPECTED.get(code & 0xFF)
        if advice is not None:
            unavailable = JournalUnavailable(f"the journal {path}: {error}: {advice}")
            unavailable.__cause__ = error
            return unavailable
    return error
