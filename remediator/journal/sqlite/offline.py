"""What a command does to a SQLite journal's file while no daemon has it: migrate, restore."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from remediator.journal import audit, copies, schema
from remediator.journal.copies import Restored
from remediator.journal.errors import CannotOpen, InUse
from remediator.journal.restoring import Mark
from remediator.journal.sqlite import connection as connections
from remediator.journal.sqlite import copying, migrate
from remediator.journal.sqlite.filelock import FileLock
from remediator.journal.values import AuditEntry


def upgrade(path: Path, at: datetime) -> list[str]:
    """Bring the schema up to this version; returns the migrations that were made.

    Raises:
        InUse: a daemon has the file, and its schema is older.
        CannotOpen: the schema is newer, or the disk does not let us.
    """
    try:
        with _ours(path), closing(connections.open_writer(path)) as connection:
            return migrate.upgrade(connection, path, at)
    except InUse:
        with closing(connections.open_reader(path)) as connection:
            if migrate.not_newer(connection, path) < schema.known()[-1].version:
                raise
        return []
    except (OSError, sqlite3.Error) as error:
        raise _cannot(path, error) from error


def restore(
    path: Path, source: Path, mark: Mark, *, at: datetime, force: bool
) -> tuple[Restored, Path | None]:
    """Put a copy that was looked at in the journal's place, whole or not at all.

    Args:
        mark: what is done to it first; see `restoring`.

    Returns:
        What became of its runs, and where the journal that was there is kept.

    Raises:
        CannotOpen: a daemon has the file, a journal is there and `force` is not given, or the disk
            does not let us.
    """
    path = path.resolve()  # a link stays one
    try:
        with _ours(path):
            _require_none(path, force=force)
            with copies.whole_file(path, force=True) as partial:
                copying.copy_into(source, partial)
                done = _prepare(partial, path, mark, at)
                kept = _put_aside(path, at) if path.exists() else None
            return done, kept
    except (OSError, sqlite3.Error) as error:
        raise _cannot(path, error) from error


def require_free(path: Path, *, force: bool) -> None:
    """Check that a restore may begin.

    Raises:
        CannotOpen: a daemon has the file, or a journal is there and `force` is not given.
    """
    path = path.resolve()
    try:
        with _ours(path):
            _require_none(path, force=force)
    except OSError as error:
        raise _cannot(path, error) from error


def _require_none(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise CannotOpen(
            f"there is a journal at {path} already; --force puts it aside under another name"
        )


@contextmanager
def _ours(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock.take(path.resolve())
    try:
        yield
    finally:
        lock.release()


def _prepare(partial: Path, path: Path, mark: Mark, at: datetime) -> Restored:
    """Bring the copy up to date and let nothing of it be done twice, before it is a journal."""
    with closing(connections.open_writer(partial)) as connection:
        migrate.upgrade(connection, path, at)
        entries: list[AuditEntry] = []
        connection.execute("BEGIN IMMEDIATE")
        done = connections.drive(connection, mark(), entries)
        connections.drive(connection, audit.append(entries), [])
        connection.execute("COMMIT")
        # One file again, so that one rename puts it in place.
        connection.execute("PRAGMA journal_mode = DELETE")
    return done


def _put_aside(path: Path, at: datetime) -> Path:
    """Keep the journal that is there under another name; its log must not meet the new one."""
    kept = path.with_name(f"{path.name}.before-restore-{at:%Y%m%dT%H%M%SZ}")
    try:
        with closing(connections.open_writer(path)) as old:
            old.execute("PRAGMA journal_mode = DELETE")  # all that its log holds goes into the file
    except (CannotOpen, sqlite3.Error):
        pass  # damaged, which may be why it is replaced: its files are kept as they are
    for end in ("-wal", "-shm", "-journal"):
        log = path.with_name(path.name + end)
        if log.exists():
            log.rename(kept.with_name(kept.name + end))
    try:
        kept.hardlink_to(path)  # so that there is a journal at every moment
    except OSError:
        path.rename(kept)
    return kept


def _cannot(path: Path, error: OSError | sqlite3.Error) -> CannotOpen:
    explained = connections.as_unavailable(error, path)
    if explained is not error:
        return CannotOpen(str(explained))
    said = getattr(error, "strerror", None) or str(error)
    return CannotOpen(f"the journal {path} can't be written: {said}")
