"""A real PostgreSQL with an empty journal."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import NotMeasured
from remediator.journal.opening import postgres_access
from remediator.journal.postgres import migrate
from tests.servers.binaries import BinaryMissing
from tests.servers.postgres import Postgres


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Start a server and give the URL of an empty journal.

    Raises:
        NotMeasured: PostgreSQL is not installed.
    """
    try:
        server = Postgres()
        server.start()
    except BinaryMissing as error:
        raise NotMeasured(str(error)) from None
    try:
        url = server.create_database()
        access = postgres_access(url, None)
        asyncio.run(migrate.upgrade(access, datetime.now(UTC)))
        yield url
    finally:
        server.stop()
