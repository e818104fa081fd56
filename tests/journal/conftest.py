"""Where journals live in the tests; PostgreSQL will be one more `Place` in `PLACES`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal, Opening
from tests.journal.factories import HandClock


class Place(Protocol):
    """An empty journal of one engine, made for one test."""

    clock: HandClock

    async def open(
        self,
        *,
        node: str = "node-1",
        subscribers: tuple[str, ...] = ("slack",),
        pagers: tuple[str, ...] = (),
        write_queue: int = 4096,
        on_commit: Callable[[], None] = lambda: None,
    ) -> Journal:
        """Open it; again after it was closed, to see what is left."""
        ...

    async def close(self) -> None:
        """Close all that were opened."""


class SqlitePlace:
    """A file in the test's folder."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.url = f"sqlite:///{folder / 'journal.db'}"
        self._opened: list[Journal] = []

    async def open(
        self,
        *,
        node: str = "node-1",
        subscribers: tuple[str, ...] = ("slack",),
        pagers: tuple[str, ...] = (),
        write_queue: int = 4096,
        on_commit: Callable[[], None] = lambda: None,
    ) -> Journal:
        """See `Place.open`."""
        opening = Opening(
            node=node,
            subscribers=subscribers,
            pagers=pagers,
            write_queue=write_queue,
            on_commit=on_commit,
        )
        journal = await open_journal(self.url, self.clock, opening)
        self._opened.append(journal)
        return journal

    async def close(self) -> None:
        """See `Place.close`."""
        for journal in self._opened:
            await journal.close()


PLACES: dict[str, Callable[[Path], Place]] = {"sqlite": SqlitePlace}


@pytest.fixture(params=sorted(PLACES))
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty journal of each engine."""
    made = PLACES[request.param](tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def journal(place: Place) -> Journal:
    """An open, empty journal of each engine, with one subscriber: `slack`."""
    return await place.open()
