"""Copies of a SQLite journal: made of a live one beside its daemon, and looked at before a restore.

A copy is one file without a log of its own. It is a snapshot of one moment: everything that was
committed before it began is in it, and nothing by half.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from remediator.journal import copies
from remediator.journal.anchors import SignedHead
from remediator.journal.copies import BadCopy, Copy
from remediator.journal.errors import CannotOpen
from remediator.journal.sqlite import connection as connections
from remediator.journal.sqlite import migrate


def backup(path: Path, target: Path, *, force: bool) -> Copy:
    """Copy a journal, whoever writes it meanwhile, and check the copy.

    Raises:
        CannotOpen: there is no journal, its schema is newer, or the copy can't be written.
        BadCopy: what was copied is not whole.
    """
    if not path.is_file():
        raise CannotOpen(f"there is no journal at {path}; `remediator serve` makes one")
    with copies.whole_file(target, force=force) as partial:
        try:
            with closing(connections.open_reader(path)) as live:
                migrate.not_newer(live, path)
                _copy(live, partial)
        except sqlite3.Error as error:
            raise CannotOpen(f"{path} can't be copied to {target}: {error}") from error
        return look(partial, name=str(target))


def look(
    path: Path,
    *,
    name: str,
    parts: Sequence[Sequence[SignedHead]] = ((),),
    keys: Mapping[str, Ed25519PublicKey] | None = None,
) -> Copy:
    """Check a copy: the file, its schema, its audit chain against the signed heads below its own.

    Raises:
        CannotOpen: its schema is newer than the code, or it is no journal.
        BadCopy: it is damaged, or its chain is not whole.
    """
    try:
        with closing(connections.open_reader(path)) as connection:
            faults = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
            if faults != ["ok"]:
                raise BadCopy(f"{name} is damaged: {'; '.join(faults)}; take an older copy")
            present = migrate.not_newer(connection, Path(name))
            connection.execute("BEGIN")
            found, newest_at = connections.drive(connection, copies.examine(parts, keys), [])
    except sqlite3.Error as error:
        raise BadCopy(_said(Path(name), error)) from error
    if not found.ok:
        raise BadCopy(f"the audit chain in {name} is broken: {found.problem}")
    return Copy(present, found.head, found.records, newest_at)


def _copy(source: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        # All pages in one step: one read of one moment, which no writer has to wait for.
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, which opens read-only anywhere


def copy_into(source: Path, target: Path) -> None:
    """Copy a copy, with what a log beside it may hold.

    Raises:
        sqlite3.Error: it can't be read or written.
    """
    with closing(connections.open_reader(source)) as connection:
        _copy(connection, target)


def _said(path: Path, error: sqlite3.Error) -> str:
    explained = connections.as_unavailable(error, path)
    return str(explained) if explained is not error else f"{path} can't be copied: {error}"
