"""Proves the engine's part of a storm, whatever the notifier: a notifier that can't tell it, hangs
or breaks loses nothing and is asked again; another replica goes on with it; and the pace of a place
holds for its message too. A journal of its own, a clock that the test moves.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.engine.places import Places
from remediator.engine.storms import Storms
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import Opening
from remediator.model.canonical import JSONObject
from remediator.model.storms import Storm
from remediator.model.views import Note, NoteKind, RunView
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier, Refused, StormBar, Undelivered
from remediator.testing.clock import ManualClock
from tests.journal import factories as make
from tests.notify.context import GivenContext

BAR = StormBar(2, timedelta(minutes=1), timedelta(minutes=2), timedelta(seconds=10))


class Chat(Notifier):
    """Remembers what it told of storms; fails as prepared."""

    name = "chat"
    storm = BAR

    def __init__(self) -> None:
        self.told: list[Storm] = []
        self.refs: list[JSONObject | None] = []
        self.trouble: Exception | None = None

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        raise AssertionError("everything is told by the storm")

    async def announce_storm(
        self, storm: Storm, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        self.refs.append(ref)
        if self.trouble is not None:
            raise self.trouble
        self.told.append(storm)
        return {"told": len(self.told)}


class Sky:
    """A journal, a notifier, and the storms of one replica."""

    def __init__(self, journal: Journal, clock: ManualClock) -> None:
        self.journal = journal
        self.clock = clock
        self.chat = Chat()
        self.storms = self.replica()

    def replica(self) -> Storms:
        """Return the storms as another replica would have them."""
        self.places = Places(self.clock, 1.0, BAR.within)
        return Storms(
            self.journal,
            self.chat,
            BAR,
            self.places,
            lambda *_: GivenContext({}, self.clock.now()),
            self.clock,
        )

    async def run(self, name: str, *, beside: int = 3) -> bool:
        """Let a run begin in the place `here`; returns whether a storm tells it."""
        run = await make.claimed(self.journal, name)
        note = Note(NoteKind.STATE, run.id, "began", self.clock.now())
        await make.move(self.journal, run, run.state, notes=(note,))
        due = await self.journal.outbox_due(at=self.clock.now(), limit=9, notifier="chat")
        (item,) = [one for one in due if one.note.run_id == run.id]
        write = await self.storms.share(item, "here", beside=beside)
        if write is not None:
            await write
        return write is not None

    async def tell(self) -> str | None:
        """Bring up to date what is due."""
        storm_id = self.storms.due()
        if storm_id is not None:
            await self.storms.tell(storm_id)
        return storm_id

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(seconds=seconds))


@pytest.fixture
async def sky(tmp_path: Path) -> AsyncIterator[Sky]:
    clock = ManualClock()
    opening = Opening(node="n-1", subscribers=("chat",))
    journal = await open_journal(f"sqlite:///{tmp_path / 'journal.db'}", clock, opening)
    yield Sky(journal, clock)
    await journal.close()


async def test_what_is_within_the_bar_is_none(sky: Sky) -> None:
    assert not await sky.run("a", beside=2)
    sky.places.begin("here", first=True)
    assert await sky.run("b", beside=2)
    assert await sky.run("c", beside=1), "once there is one, all join"
    sky.pass_(61)
    assert sky.places.firsts("here") == 0


@pytest.mark.parametrize(
    ("trouble", "again_after_s"),
    [
        (Undelivered("down"), 10),
        (Undelivered("throttled", timedelta(seconds=45)), 45),
        (Refused("malformed"), 300),
        (ValueError("a bug"), 300),
    ],
)
async def test_trouble_loses_nothing_and_is_tried_again(
    sky: Sky, trouble: Exception, again_after_s: int
) -> None:
    await sky.run("a")
    sky.chat.trouble = trouble
    assert await sky.tell()
    assert await sky.tell() is None
    sky.chat.trouble = None
    sky.pass_(again_after_s - 1)
    assert await sky.tell() is None
    sky.pass_(1)
    assert await sky.tell()

    assert [storm.runs for storm in sky.chat.told] == [1]


async def test_edits_keep_their_distance_and_only_follow_news(sky: Sky) -> None:
    await sky.run("a")
    assert await sky.tell()
    sky.pass_(30)
    assert await sky.tell() is None, "nothing has happened"
    await sky.run("b")
    assert await sky.tell()
    await sky.run("c")
    sky.pass_(9)
    assert await sky.tell() is None
    sky.pass_(1)
    assert await sky.tell()

    assert [storm.runs for storm in sky.chat.told] == [1, 2, 3]
    assert sky.chat.refs == [None, {"told": 1}, {"told": 2}]


async def test_another_replica_goes_on_with_it(sky: Sky) -> None:
    await sky.run("a")
    await sky.tell()
    sky.storms = sky.replica()
    await sky.storms.load()
    await sky.run("b", beside=1)
    await sky.tell()

    assert [storm.runs for storm in sky.chat.told] == [1, 2]
    assert len({storm.id for storm in sky.chat.told}) == 1
    assert sky.chat.refs[-1] == {"told": 1}


async def test_it_is_over_when_nobody_joins_and_a_new_one_may_begin(sky: Sky) -> None:
    await sky.run("a")
    await sky.tell()
    assert sky.storms.next_s() == 120
    sky.pass_(120)
    await sky.tell()
    assert sky.chat.told[-1].closed_at == sky.clock.now()
    assert not sky.chat.told[-1].ended, "its run goes on"
    assert not await sky.run("b", beside=1)
    assert await sky.run("c", beside=3)
    sky.pass_(10)
    await sky.tell()

    assert len({storm.id for storm in sky.chat.told}) == 2


async def test_a_notifier_that_did_not_answer_in_time_is_asked_again(sky: Sky) -> None:
    await sky.run("a")
    sky.chat.trouble = TimeoutError()
    assert await sky.tell()
    sky.chat.trouble = None
    sky.pass_(10)
    assert await sky.tell()
    assert [storm.runs for storm in sky.chat.told] == [1]
