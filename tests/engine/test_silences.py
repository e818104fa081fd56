"""Silences around a run: set before the first change, removed once when the run has ended, however
it ended, after a crash too; and an Alertmanager that does not answer keeps nobody waiting."""

from dataclasses import dataclass, field

import pytest

from remediator.model.plans import Progress
from remediator.model.runs import RunState
from remediator.model.silences import Silence, Silenced
from remediator.observe import metrics
from tests.engine.conftest import Begin, Scene
from tests.engine.world import World, runbook, setting

_SLOW = (Progress.PROGRESSING,) * 3
SILENCE = {"match": ['alertname=~"Pod.*"'], "equal": ["namespace"], "for": "15m"}


@dataclass
class Board:
    """The Alertmanagers' silences, and when each was set and removed."""

    world: World | None = None
    held: dict[str, Silence] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    changes_before: int = -1
    down: bool = False
    loses: bool = False
    """The next one is set, and its answer is lost."""

    def allowed(self, sender: str) -> bool:
        """See `Silencer.allowed`."""
        return sender == "default"

    async def silence(self, wanted: Silence) -> Silenced:
        """See `Silencer.silence`."""
        if self.down:
            return Silenced(error="no connection")
        if self.world is not None:
            self.changes_before = len(self.world.made)
        self.held[wanted.comment] = wanted
        if self.loses:
            return Silenced(error="no answer")
        return Silenced(id=f"id of {wanted.comment}")

    async def unsilence(self, one: Silence) -> str:
        """See `Silencer.unsilence`."""
        if self.down:
            return "no connection"
        if self.held.pop(one.comment, None) is not None:
            self.removed.append(one.matchers)
        return ""


async def begun(begin: Begin, board: Board, *health: Progress) -> Scene:
    def prepare(scene: Scene) -> None:
        board.world = scene.world
        scene.world.health["a"] = list(health)

    source = runbook(setting("a", 1), silence=SILENCE)
    scene = await begin(source, prepare=prepare, silencer=board, fire=False)
    await scene.fire(namespace="shop")
    return scene


async def test_it_is_set_before_the_change_and_removed_after_the_end(begin: Begin) -> None:
    board = Board()
    scene = await begun(begin, board, *_SLOW)
    assert [one.matchers for one in board.held.values()] == ['alertname=~"Pod.*", namespace="shop"']
    assert board.changes_before == 0
    await scene.advance(seconds=20)
    assert await scene.state() is RunState.SUCCEEDED
    assert board.removed == ['alertname=~"Pod.*", namespace="shop"']
    kinds = await scene.kinds()
    assert [kind for kind in kinds if kind.startswith("silence.")] == [
        "silence.set",
        "silence.removed",
    ]
    assert any("silenced until" in note.text for note in scene.recorder.told)


async def test_a_run_that_fails_removes_it_too(begin: Begin) -> None:
    board = Board()
    scene = await begun(begin, board, Progress.FAILED)
    await scene.advance(seconds=20)
    assert await scene.state() is RunState.ROLLED_BACK
    assert (board.held, len(board.removed)) == ({}, 1)


@pytest.mark.parametrize("loses", [False, True])
async def test_a_crash_leaves_none_behind(begin: Begin, loses: bool) -> None:
    board = Board(loses=loses)
    scene = await begun(begin, board, *_SLOW)
    await scene.daemon.crash()
    board.loses = False
    await scene.daemon.start()
    await scene.advance(seconds=30)
    assert await scene.state() is RunState.SUCCEEDED
    assert (board.held, len(board.removed)) == ({}, 1)


async def test_an_alertmanager_that_is_down_keeps_nobody_waiting(begin: Begin) -> None:
    board = Board(down=True)
    scene = await begun(begin, board)
    assert await scene.state() is RunState.SUCCEEDED
    assert any("going on without: no connection" in note.text for note in scene.recorder.told)
    # It may have been set all the same: it is looked for until it would have ended by itself.
    await scene.advance(minutes=10)
    assert "silence.expired" not in await scene.kinds()
    await scene.advance(minutes=6)
    assert (await scene.kinds())[-1] == "silence.expired"


async def test_removal_is_tried_until_it_works(begin: Begin) -> None:
    board = Board()
    scene = await begun(begin, board, *_SLOW)
    board.down = True
    await scene.advance(minutes=1)
    assert await scene.state() is RunState.SUCCEEDED
    assert len(board.held) == 1
    board.down = False
    await scene.advance(minutes=2)
    assert (board.held, len(board.removed)) == ({}, 1)


async def test_who_is_asked_sees_what_will_be_silenced(begin: Begin) -> None:
    source = runbook(setting("a", 1), silence=SILENCE, mode="approve")
    scene = await begin(source, silencer=Board(), fire=False)
    await scene.fire(namespace="shop")
    view = await scene.daemon.journal.view((await scene.run()).id)
    assert view is not None
    assert view.approval is not None
    assert view.approval.asked_because.endswith(
        '; silences alertname=~"Pod.*", namespace="shop" for 15m at most'
    )


async def test_an_alert_without_the_label_gets_none(begin: Begin) -> None:
    board = Board()
    before = metrics.SILENCES.labels(result="refused")._value.get()
    scene = await begin(runbook(setting("a", 1), silence=SILENCE), silencer=board)
    assert await scene.state() is RunState.SUCCEEDED
    assert board.held == {}
    assert metrics.SILENCES.labels(result="refused")._value.get() == before + 1
