"""The schema on PostgreSQL: brought up to date by a command, never by a daemon that starts.

Daemons of the version before go on while and after it is done: a migration only adds. One number
can be written once, so that two that migrate at the same time don't do it twice.
"""

from datetime import datetime

import asyncpg

from remediator.journal import schema
from remediator.journal.errors import CannotOpen
from remediator.journal.postgres import connection as connections
from remediator.journal.postgres import dialect
from remediator.journal.postgres.connection import Access
from remediator.journal.times import to_us

# Each met another that migrates; the last one finds that everything is done.
_MOST_TRIES = 10


async def upgrade(access: Access, at: datetime) -> list[str]:
    """Bring the schema up to this version of the code.

    Returns:
        The names of the migrations that were made, in order.

    Raises:
        CannotOpen: the schema is newer than the code, or we may not change it.
        JournalUnavailable: the database does not answer.
    """
    connection = await connections.connect(access, "remediator migrate")
    try:
        await connection.execute("SET statement_timeout = 0")  # an index takes its time
        done: list[str] = []
        for attempt in range(1, _MOST_TRIES + 1):
            try:
                await _upgrade(connection, access, at, done)
                break
            except (asyncpg.UniqueViolationError, asyncpg.DuplicateTableError) as error:
                if attempt == _MOST_TRIES:
                    raise CannotOpen(
                        f"the database {access.shown} holds tables that no migration on record made"
                        f" ({error}); if a restore was broken off, make a new database and restore"
                        " again"
                    ) from error
            except connections.CONFLICTS:
                if attempt == _MOST_TRIES:
                    raise
        return done
    except asyncpg.InsufficientPrivilegeError as error:
        raise CannotOpen(
            f"the journal {access.shown} can't be migrated: {error}; migrate as the owner of the"
            " database"
        ) from error
    except Exception as error:
        raise connections.explained(error, access) from error
    finally:
        await connections.close(connection)


async def require_current(connection: "asyncpg.Connection", access: Access) -> None:
    """Check that the schema is the one that this code reads.

    Raises:
        CannotOpen: it is newer, older, or none.
    """
    present, current = await _present(connection), schema.known()[-1].version
    _refuse_newer(access, present, current)
    if present < current:
        has = f"has schema {present} and this version needs {current}" if present else "is empty"
        raise CannotOpen(f"the journal {access.shown} {has}; run `remediator db migrate` once")


async def not_newer(connection: "asyncpg.Connection", access: Access) -> int:
    """Return the schema's number, which may be older than this code.

    Raises:
        CannotOpen: it is newer, or there is none.
    """
    present = await _present(connection)
    _refuse_newer(access, present, schema.known()[-1].version)
    if not present:
        raise CannotOpen(f"the database {access.shown} holds no journal of remediator")
    return present


async def apply(connection: "asyncpg.Connection", migration: schema.Migration) -> None:
    """Carry out one migration's statements, inside of a transaction."""
    await connection.execute(migration.sql.replace("IDENTITY_KEY", dialect.IDENTITY_KEY))


async def _upgrade(
    connection: "asyncpg.Connection", access: Access, at: datetime, done: list[str]
) -> None:
    present = await _present(connection)
    migrations = schema.known()
    _refuse_newer(access, present, migrations[-1].version)
    for migration in migrations:
        if migration.version <= present:
            continue
        async with connection.transaction():
            await connection.execute(schema.TABLE)
            # First the number: whoever is second waits here, and finds it taken.
            await connection.execute(
                "INSERT INTO schema_version (version, name, applied_us) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                to_us(at),
            )
            await apply(connection, migration)
        done.append(migration.name)


async def _present(connection: "asyncpg.Connection") -> int:
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        return 0
    found = await connection.fetchval("SELECT COALESCE(MAX(version), 0) FROM schema_version")
    return int(found)


def _refuse_newer(access: Access, present: int, current: int) -> None:
    if present > current:
        raise CannotOpen(
            f"the journal {access.shown} has schema {present}, and this version of remediator knows"
            f" only {current}; run the newer version that wrote it"
        )
