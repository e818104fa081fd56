"""The wall clock is set forward and back while the daemon runs.

Forward: what waits for a time finds it over. An approval that nobody gave expires, a delay ends; a
change in hand is not given up for it. Back: what comes is treated as ever, a yes counts, what waits
for a time waits no longer for it, and a change in hand gets no longer than its step allows. Nothing
is done twice, and the audit chain, whose order is its numbers, verifies with times that went back.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.crash.fixtures import MakeRig
from tests.crash.rig import Rig
from tests.faults.books import UNDO, book
from tests.faults.clock import WallClock
from tests.servers.waiting import eventually

HOUR_S = 3600
DAY_S = 24 * HOUR_S
STEP_TIMEOUT_S = 3

MakeTimed = Callable[[str], Rig]


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path / "ahead")


@pytest.fixture
def timed(make_rig: MakeRig, clock: WallClock) -> MakeTimed:
    """A rig whose daemon sees the clock."""
    # A clock that was set back is found with the housekeeping.
    settings = {"audit": {"anchor_every": "200ms"}}
    return lambda runbook: make_rig(runbook, env=clock.environment, settings=settings)


def _sees(rig: Rig, ahead_s: int) -> bool:
    """Whether the daemon does see it."""
    last = rig.daemon.items("/api/v1/audit")[-1]["at"]
    off = datetime.fromisoformat(last) - datetime.now(UTC) - timedelta(seconds=ahead_s)
    return abs(off) < timedelta(minutes=2)


def test_forward_ends_what_waits_for_a_time(timed: MakeTimed, clock: WallClock) -> None:
    rig = timed(book("approve", tail="wait_for: 10m\napproval: {timeout: 30m}\n"))
    rig.send("forward", "firing")
    rig.until("pending")
    clock.set(HOUR_S)
    asked = rig.until("awaiting_approval")
    clock.set(2 * HOUR_S)
    assert rig.until("expired")["id"] == asked["id"]
    assert rig.ledger() == []
    assert _sees(rig, 2 * HOUR_S)
    rig.check_whole()


@pytest.mark.parametrize("ahead_s", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_a_change_in_hand_is_not_given_up(timed: MakeTimed, clock: WallClock, ahead_s: int) -> None:
    rig = timed(book(settles=True, tail=UNDO))
    rig.send("settles", "firing")
    eventually(rig.ledger, what="the change")
    clock.set(ahead_s)
    rig.send("news", "resolved")  # something that the daemon writes at the new time
    eventually(lambda: _sees(rig, ahead_s), what="the new time to be on record")
    looks = rig.looks()
    eventually(lambda: rig.looks() > looks + 2, what="it to be looked at several times")
    assert rig.run_of()["state"] == "applying"
    (rig.folder / "ready").touch()
    rig.until("succeeded")
    assert rig.ledger() == ["do settles"]
    rig.check_whole()


def test_back_gives_a_change_no_longer_than_its_time(timed: MakeTimed, clock: WallClock) -> None:
    rig = timed(book(settles=True, timeout=f"{STEP_TIMEOUT_S}s", tail=UNDO))
    rig.send("never", "firing")
    eventually(rig.ledger, what="the change")
    clock.set(-DAY_S)
    eventually(lambda: len(rig.ledger()) == 2, 4 * STEP_TIMEOUT_S, what="the way back")
    (rig.folder / "ready").touch()
    rig.until("rolled_back")
    assert rig.ledger() == ["do never", "undo never"]
    rig.check_whole()


@pytest.mark.parametrize("behind_s", [HOUR_S, DAY_S], ids=["hour", "day"])
def test_back_a_yes_counts_and_what_comes_is_treated(
    timed: MakeTimed, clock: WallClock, behind_s: int
) -> None:
    rig = timed(book("approve"))
    rig.send("before", "firing")
    rig.until("awaiting_approval")
    clock.set(-behind_s)
    for case in ("before", "after"):
        carried = rig.carry(case, {"awaiting_approval": rig.approve}, lives=0)
        assert carried.run["state"] == "succeeded", carried
    assert _sees(rig, -behind_s)
    rig.daemon.restart()
    carried = rig.carry("restarted", {"awaiting_approval": rig.approve}, lives=0)
    assert carried.run["state"] == "succeeded", carried
    assert rig.ledger() == ["do before", "do after", "do restarted"]
    rig.check_whole()


def test_back_makes_nothing_wait_longer_than_it_was_to(timed: MakeTimed, clock: WallClock) -> None:
    rig = timed(book(tail=f"{UNDO}wait_for: 2s\nverify: {{resolved_within: 1s}}\n"))
    rig.send("waits", "firing")
    rig.until("pending")
    clock.set(-HOUR_S)
    rig.until("rolled_back")
    assert rig.ledger() == ["do waits", "undo waits"]
    rig.check_whole()


def test_back_makes_a_watch_no_longer(timed: MakeTimed, clock: WallClock) -> None:
    rig = timed(book(tail=f"{UNDO}verify: {{resolved_within: 3s}}\n"))
    rig.send("watched", "firing")
    rig.until("verifying")
    clock.set(-HOUR_S)
    rig.until("rolled_back", timeout_s=20)
    assert rig.ledger() == ["do watched", "undo watched"]
    rig.check_whole()
