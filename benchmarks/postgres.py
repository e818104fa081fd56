"""A real PostgreSQL with an empty database, where this version of remediator can open one."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import NotMeasured
from remediator.engine.clock import SystemClock
from remediator.journal.errors import CannotOpen
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Opening
from tests.servers.binaries import BinaryMissing
from tests.servers.postgres import Postgres


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Start a server and give the URL of a database that remediator has just opened.

    Raises:
        NotMeasured: it can't be opened, or PostgreSQL is not installed.
    """
    try:
        server = Postgres()
        server.start()
    except BinaryMissing as error:
        raise NotMeasured(str(error)) from None
    try:
        url = server.create_database()
        asyncio.run(_try(url))
        yield url
    finally:
        server.stop()


async def _try(url: str) -> None:
    opening = Opening(
        node=f"benchmark-{secrets.token_hex(3)}",
        subscribers=(),
        pagers=(),
        write_queue=64,
        on_commit=lambda: None,
        on_broken=lambda: None,
    )
    try:
        journal = await open_journal(url, SystemClock(), opening)
    except CannotOpen as error:
        raise NotMeasured(f"this version does not open such a journal: {error}") from None
    await journal.close()
