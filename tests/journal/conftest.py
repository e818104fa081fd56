"""Where journals live in the tests: every conformance test runs over each of `PLACES`.

`serializable` is PostgreSQL with nothing that a distributed engine of its protocol may lack:
LISTEN/NOTIFY off, every transaction at SERIALIZABLE. `REMEDIATOR_TEST_JOURNALS=sqlite,postgres`
picks some of them, to be quick; all is the default.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from remediator.journal.opening import open_journal, postgres_access
from remediator.journal.postgres import migrate
from remediator.journal.protocol import Journal
from remediator.journal.values import Due, Opening
from remediator.settings import PostgresSettings
from remediator.testing.memory import MemoryJournal
from tests.journal import factories as make
from tests.journal.factories import T0, HandClock
from tests.servers.postgres import Postgres


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a journal in memory has not: a queue, and a writer beside the event loop."""
    none = [one for one in items if one.get_closest_marker("queue") and "[memory]" in one.name]
    config.hook.pytest_deselected(items=none)
    items[:] = [one for one in items if one not in none]


class Place:
    """An empty journal of one engine, made for one test."""

    def __init__(self, url: str, postgres: PostgresSettings | None = None) -> None:
        self.clock = HandClock()
        self.url = url
        self.postgres = postgres
        self._opened: list[Journal] = []
        self._nodes: set[str] = set()

    async def open(
        self,
        *,
        node: str = "node-1",
        subscribers: tuple[str, ...] = ("slack",),
        pagers: tuple[str, ...] = (),
        write_queue: int = 4096,
        on_due: Callable[[frozenset[Due]], None] = lambda _: None,
        on_dead: Callable[[], None] = lambda: None,
        duties: tuple[str, ...] = (),
    ) -> Journal:
        """Open it; again after it was closed, to see what is left."""
        if node in self._nodes and self.postgres:
            node = f"{node}-{len(self._nodes) + 1}"  # a new identity at each start
        self._nodes.add(node)
        opening = Opening(
            node=node,
            subscribers=subscribers,
            pagers=pagers,
            write_queue=write_queue,
            on_due=on_due,
            on_dead=on_dead,
            duties=duties,
        )
        journal = await self._opening(opening)
        self._opened.append(journal)
        return journal

    async def _opening(self, opening: Opening) -> Journal:
        return await open_journal(self.url, self.clock, opening, postgres=self.postgres)

    def gate(self) -> make.Gate:
        """Return what holds this journal's writer."""
        return make.RowGate(self.url) if self.postgres else make.GuardGate()

    async def close(self) -> None:
        """Close all that were opened."""
        for journal in self._opened:
            await journal.close()


class MemoryPlace(Place):
    """A journal without a file, as runbook tests have it."""

    def __init__(self) -> None:
        super().__init__("memory")
        self._memory = MemoryJournal(self.clock)

    async def _opening(self, opening: Opening) -> Journal:
        return await self._memory.open(opening)


SETTINGS = {
    "postgres": PostgresSettings(),
    "serializable": PostgresSettings(isolation="serializable", listen_notify=False),
}
PLACES = ("sqlite", "memory", *SETTINGS)
CHOSEN = os.environ.get("REMEDIATOR_TEST_JOURNALS", ",".join(PLACES)).split(",")


_EMPTY = """
    DO $$ BEGIN
        EXECUTE (
            SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' RESTART IDENTITY'
            FROM pg_tables WHERE schemaname = 'public'
                AND tablename NOT IN ('schema_version', 'gates', 'audit_head')
        );
    END $$;
    UPDATE audit_head SET seq = 0, hash = repeat('0', 64);
"""


@pytest.fixture(scope="session")
def database(postgres: Postgres) -> str:
    """The address of a database with the schema, emptied for each test."""
    dsn = postgres.create_database()
    with ThreadPoolExecutor(1) as apart:  # a fixture may be asked for inside of a loop
        apart.submit(lambda: asyncio.run(_migrate(dsn))).result()
    return dsn


async def _migrate(dsn: str) -> None:
    await migrate.upgrade(postgres_access(dsn, None), T0)


Places = Callable[[Path], Place]
"""Makes an empty journal; the folder is for engines that need one."""


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.servers) if kind in SETTINGS else kind
        for kind in CHOSEN
    ]
)
def places(request: pytest.FixtureRequest) -> Places:
    """What makes empty journals of each engine."""
    kind = str(request.param)
    if kind == "memory":
        return lambda folder: MemoryPlace()
    if kind == "sqlite":
        return lambda folder: Place(f"sqlite:///{folder / 'journal.db'}")
    return postgres_places(request, kind)


def postgres_places(request: pytest.FixtureRequest, kind: str = "postgres") -> Places:
    """Return what makes empty journals on PostgreSQL."""
    server: Postgres = request.getfixturevalue("postgres")
    dsn: str = request.getfixturevalue("database")

    def make_empty(_: Path) -> Place:
        server.psql(_EMPTY, dsn)
        return Place(dsn, SETTINGS[kind])

    return make_empty


@pytest.fixture
async def place(places: Places, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty journal of each engine."""
    made = places(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def journal(place: Place) -> Journal:
    """An open, empty journal of each engine, with one subscriber: `slack`."""
    return await place.open()
