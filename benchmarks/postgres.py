"""A real PostgreSQL with an empty, migrated database, for the rows that need one."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from benchmarks.measure import NotMeasured
from remediator.journal.errors import CannotOpen
from remediator.journal.opening import postgres_access
from tests.servers.binaries import BinaryMissing
from tests.servers.postgres import Postgres


@contextmanager
def database() -> Iterator[str]:
    """Start a server and give the URL of a database that a daemon can open.

    Raises:
        NotMeasured: PostgreSQL, or the driver for it, is not installed.
    """
    server = Postgres()
    try:
        server.start()
    except BinaryMissing as error:
        raise NotMeasured(str(error)) from None
    try:
        url = server.create_database()
        asyncio.run(_migrate(url))
        yield url
    finally:
        server.stop()


async def _migrate(url: str) -> None:
    try:
        access = postgres_access(url, None)
    except CannotOpen as error:
        raise NotMeasured(str(error)) from None
    from remediator.journal.postgres import migrate  # noqa: PLC0415 - needs the driver

    await migrate.upgrade(access, datetime.now(UTC))
