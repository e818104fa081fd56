"""SIGSTOP: the daemon stands still, the world goes on, and it wakes up later than it was to.

On SQLite there is no lease that somebody else could take: it just goes on. It looks at the world
before it judges a time to be over, so that what got well meanwhile is well; what had its time (an
approval) is over, also for a yes that came meanwhile; and nothing is done twice.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.crash import bodies
from tests.crash.fixtures import MakeRig
from tests.crash.rig import Rig
from tests.faults.books import UNDO, book
from tests.servers.rest import Response, request
from tests.servers.waiting import eventually

STEP_TIMEOUT_S = 2
APPLY_S = 5
"""What an apply gets at the least, whatever is left of its step's time."""


@contextmanager
def _frozen(rig: Rig, at_least_s: float) -> Iterator[None]:
    """The daemon alone, not the commands that it has started."""
    until = time.monotonic() + at_least_s
    os.kill(rig.daemon.process.pid, signal.SIGSTOP)
    try:
        yield
        eventually(lambda: time.monotonic() > until, at_least_s + 5, what="its time to be over")
    finally:
        os.kill(rig.daemon.process.pid, signal.SIGCONT)


def test_what_got_well_meanwhile_is_well(make_rig: MakeRig) -> None:
    rig = make_rig(book(settles=True, timeout=f"{STEP_TIMEOUT_S}s", tail=UNDO))
    rig.send("slow", "firing")
    eventually(rig.ledger, what="the change")
    with _frozen(rig, STEP_TIMEOUT_S + 0.5):
        (rig.folder / "ready").touch()
    carried = rig.carry("slow", lives=0)
    assert carried.run["state"] == "succeeded", carried
    assert rig.ledger() == ["do slow"]
    rig.check_whole()


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
def test_a_command_that_ended_meanwhile_has_ended(make_rig: MakeRig, checked: bool) -> None:
    timeout = f"{STEP_TIMEOUT_S}s"
    rig = make_rig(book(checked=checked, takes_s=1, timeout=timeout, tail=UNDO))
    rig.send("slow", "firing")
    eventually(lambda: rig.begun("slow"), interval_s=0.01, what="the command to begin")
    with _frozen(rig, APPLY_S + 1.5):
        eventually(rig.ledger, what="the command to end")
    carried = rig.carry("slow", lives=0)
    assert carried.run["state"] == "succeeded", carried
    assert rig.ledger() == ["do slow"]
    rig.check_whole()


def test_a_yes_that_is_heard_too_late_is_none(make_rig: MakeRig) -> None:
    rig = make_rig(book("approve", tail="approval: {timeout: 2s}\n"))
    rig.send("late", "firing")
    rig.until("awaiting_approval")
    run = rig.run_of()
    question = rig.daemon.api(f"/api/v1/runs/{run['id']}")["approval"]["id"]
    said: list[Response] = []
    with _frozen(rig, 2.5):
        path = f"/api/v1/runs/{run['id']}/approve"
        clicking = threading.Thread(
            target=lambda: said.append(rig.daemon.post(path, {"approval_id": question}))
        )
        clicking.start()
    clicking.join(10)
    assert [one.status for one in said] == [409], said
    carried = rig.carry("late", lives=0)
    assert carried.run["state"] == "expired", carried
    assert rig.ledger() == []
    rig.check_whole()


def test_a_notification_that_was_sent_again_is_one(make_rig: MakeRig) -> None:
    rig = make_rig(book())
    body = bodies.notification(bodies.alert("again", "firing"))
    with _frozen(rig, 1):
        for _ in range(3):
            # The kernel takes it, and the sender hears nothing in its time.
            with pytest.raises(TimeoutError):
                request("POST", rig.daemon.webhook, body, timeout_s=0.2)
    carried = rig.carry("again", lives=0)
    assert carried.run["state"] == "succeeded", carried
    assert len(rig.daemon.items("/api/v1/runs")) == 1
    assert rig.ledger() == ["do again"]
    rig.check_whole()
