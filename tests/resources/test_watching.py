"""Proves when a feed lists, watches, waits and begins anew; on a cluster in memory and a clock that
a test moves. The real API server's part is in test_story and test_outages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from remediator.app import watching
from remediator.app.watching import Feed, Held, Shelf
from remediator.clients.errors import Missing, Refused, Unavailable
from remediator.clients.kubernetes.resources import POLICIES, RUNBOOKS, Object, Resource
from remediator.clients.kubernetes.watching import Event, Gone, Kind, Listing
from remediator.settings import ResourcesSettings
from remediator.testing.clock import ManualClock
from tests.resources.making import runbook


def _object(
    name: str, version: int = 1, generation: int = 1, *, created: int = 1, **more: Any
) -> Object:
    made: Object = runbook(name, "shop")
    made["metadata"] |= {
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": f"2026-01-01T00:00:{created:02}Z",
    }
    return {**made, **more}


class Cluster:
    """Answers what a test put into it, in turn; a watch stays open until it is told more."""

    def __init__(self) -> None:
        self.answers: list[Listing | Exception] = []
        self.events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self.calls: list[str] = []
        self.open = 0

    async def listing(self, resource: Resource, namespace: str | None, *, most: int) -> Listing:
        """The next answer."""
        del resource, namespace, most
        self.calls.append("list")
        answer = self.answers.pop(0) if self.answers else Listing((), "1")
        if isinstance(answer, Exception):
            raise answer
        return answer

    @asynccontextmanager
    async def watch(
        self, resource: Resource, namespace: str | None, *, since: str
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The events; None ends it."""
        del resource, namespace
        self.calls.append(f"watch {since}")
        self.open += 1

        async def events() -> AsyncIterator[Event]:
            while (event := await self.events.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event

        try:
            yield events()
        finally:
            self.open -= 1

    def say(self, kind: Kind, made: Object) -> None:
        """Let something happen."""
        self.events.put_nowait(Event(kind, made, made["metadata"]["resourceVersion"]))


class Watched:
    """A feed at work."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.clock = ManualClock()
        self.changes = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.feed = Feed(self.cluster, RUNBOOKS, None, self.clock, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def settle(self) -> None:
        """Let everything happen that happens without time."""
        if not self.tasks:
            self.tasks.append(asyncio.create_task(self.feed.run()))
        for _ in range(30):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(seconds=seconds))
        await self.settle()

    @property
    def names(self) -> list[str]:
        """What it holds."""
        return sorted(home.name for home in self.feed.objects)


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    """`watched.feed` runs from the first `settle` on."""
    made = Watched()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    assert made.cluster.open == 0, "no watch outlives its feed"


async def test_it_lists_then_follows(watched: Watched) -> None:
    watched.cluster.answers = [Listing((_object("a", 3), _object("b", 4)), "5")]
    await watched.settle()
    assert watched.names == ["a", "b"]
    assert watched.cluster.calls == ["list", "watch 5"]
    watched.cluster.say(Kind.DELETED, _object("a", 6))
    watched.cluster.say(Kind.ADDED, _object("c", 7))
    watched.cluster.say(Kind.BOOKMARK, {"metadata": {"resourceVersion": "90"}})
    await watched.settle()
    assert watched.names == ["b", "c"]
    watched.clock.advance(timedelta(minutes=4))
    watched.cluster.events.put_nowait(None)  # the server's timeout
    await watched.settle()
    assert watched.cluster.calls == ["list", "watch 5", "watch 90"], "resumed from the bookmark"


async def test_a_status_is_no_news(watched: Watched) -> None:
    watched.cluster.answers = [Listing((_object("a", 3),), "5")]
    await watched.settle()
    before = watched.changes
    watched.cluster.say(Kind.MODIFIED, _object("a", 6, status={"runs": 1}))
    await watched.settle()
    assert watched.changes == before
    ((held),) = watched.feed.objects.values()
    assert held.status == {"runs": 1}
    watched.cluster.say(Kind.MODIFIED, _object("a", 7, generation=2))
    await watched.settle()
    assert watched.changes == before + 1


async def test_410_lists_anew_and_drops_what_went_meanwhile(watched: Watched) -> None:
    watched.cluster.answers = [
        Listing((_object("a", 3), _object("b", 4)), "5"),
        Listing((_object("b", 4),), "50"),
    ]
    await watched.settle()
    watched.cluster.events.put_nowait(Gone("too old"))
    await watched.settle()
    assert watched.names == ["a", "b"], "until it knows better"
    await watched.advance(1)
    assert watched.names == ["b"]
    assert watched.cluster.calls == ["list", "watch 5", "list", "watch 50"]


async def test_an_outage_is_waited_out_longer_and_longer_and_loses_nothing(
    watched: Watched,
) -> None:
    watched.cluster.answers = [Listing((_object("a", 3),), "5")]
    await watched.settle()
    waits = []
    for _ in range(8):
        watched.cluster.events.put_nowait(Unavailable("cut"))
        await watched.settle()
        asked = len(watched.cluster.calls)
        waited = 0.0
        while len(watched.cluster.calls) == asked:
            await watched.advance(0.25)
            waited += 0.25
            assert waited <= 31
        waits.append(waited)
        assert watched.names == ["a"]
    assert all(2**n / 2 <= wait <= 2**n + 0.25 for n, wait in enumerate(waits[:5])), waits
    assert 15 <= waits[-1] <= 30.25
    assert set(watched.cluster.calls[1:]) == {"watch 5"}, "it goes on where it was"


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_without_pause(
    watched: Watched,
) -> None:
    await watched.settle()
    for _ in range(5):
        watched.cluster.events.put_nowait(None)
    await watched.settle()
    assert len(watched.cluster.calls) == 2
    await watched.advance(1)
    assert len(watched.cluster.calls) == 3


@pytest.mark.parametrize(
    ("error", "known", "sentence"),
    [
        (Missing("there is no runbook"), True, "kubectl apply -f deploy/crds"),
        (Refused("remediator may not list runbook"), False, "remediator may not list runbook"),
    ],
)
async def test_what_somebody_must_repair_is_told_and_asked_again(
    watched: Watched, error: Exception, known: bool, sentence: str
) -> None:
    watched.cluster.answers = [error, Listing((_object("a", 3),), "5")]
    await watched.settle()
    assert sentence in watched.feed.trouble
    assert watched.feed.known is known
    assert watched.feed.settled.is_set()
    await watched.advance(29)
    assert watched.cluster.calls == ["list"]
    await watched.advance(1)
    assert watched.names == ["a"]
    assert watched.feed.trouble == ""


async def test_credentials_that_were_taken_away_leave_what_is_known(watched: Watched) -> None:
    watched.cluster.answers = [Listing((_object("a", 3),), "5"), Refused("no more")]
    await watched.settle()
    watched.cluster.events.put_nowait(Refused("no more"))
    await watched.settle()
    await watched.advance(30)
    assert watched.names == ["a"]
    assert watched.feed.trouble == "no more"


async def test_definitions_that_were_taken_away_take_everything_with_them(
    watched: Watched,
) -> None:
    watched.cluster.answers = [Listing((_object("a", 3),), "5"), Missing("gone")]
    await watched.settle()
    watched.cluster.events.put_nowait(Gone("deleted"))
    await watched.settle()
    await watched.advance(1)
    assert watched.names == []


def test_what_is_too_large_is_not_held() -> None:
    large = _object("a")
    large["spec"]["docs"] = "x" * watching.LARGEST_SPEC_BYTES
    held = watching.held(RUNBOOKS, large)
    assert held.spec is None
    assert watching.held(RUNBOOKS, _object("a")).spec is not None


async def test_a_shelf_has_the_oldest_first_and_says_what_it_does_not_know() -> None:
    cluster, clock = Cluster(), ManualClock()
    shelf = Shelf(ResourcesSettings(watch=("shop", "pay")), cluster, clock, lambda: None)
    assert list(shelf.unknown(POLICIES)) == ["shop", "pay"]
    task = asyncio.create_task(shelf.run())
    await shelf.settled(timedelta(seconds=5))
    assert list(shelf.unknown(POLICIES)) == []
    assert shelf.held(RUNBOOKS) == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    held: list[Held] = [
        watching.held(RUNBOOKS, _object(n, created=v)) for n, v in (("b", 2), ("a", 9))
    ]
    assert [one.home.name for one in sorted(held, key=lambda one: (one.created, one.home))] == [
        "b",
        "a",
    ]
