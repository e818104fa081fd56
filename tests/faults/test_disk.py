"""A disk that is full, read-only, or broken, under the SQLite journal.

While it lasts, notifications are answered 503 (so Alertmanager keeps them and comes again), the
daemon is not ready and says so by its metric, what is read goes on, and no change is begun whose
intent can't be written. When the disk takes writes again all goes on by itself; what became of a
change that was in hand is not forgotten meanwhile, even where nobody could find out again.
"""

import os
import secrets
from collections.abc import Callable

import pytest

from tests.crash import bodies
from tests.crash.fixtures import MakeRig
from tests.crash.rig import Rig
from tests.crash.strace import COMMIT, PAGE, Strace
from tests.faults.books import UNDO, book
from tests.faults.room import Room
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.process import ServerFailed
from tests.servers.rest import request
from tests.servers.waiting import eventually

MakeRoomy = Callable[..., Rig]


@pytest.fixture
def roomy(make_rig: MakeRig, room: Room) -> MakeRoomy:
    """A rig whose journal is on the room's disk; the rest of its files is elsewhere."""

    def make(runbook: str) -> Rig:
        journal = room.disk / "remediator.db"
        return make_rig(runbook, journal=journal, place=room)

    return make


def _post(rig: Rig, case: str) -> int:
    """Something that needs room: most of it can't be made smaller."""
    body = bodies.notification(bodies.alert(case, "firing", noise=secrets.token_hex(20_000)))
    return request("POST", rig.daemon.webhook, body).status


def _not_ready(rig: Rig) -> bool:
    return request("GET", f"{rig.daemon.url}/-/ready").status == 503


def _unwritable(rig: Rig, case: str) -> None:
    """What is seen of a daemon that can read and not write."""
    assert _post(rig, case) == 503
    eventually(lambda: _not_ready(rig), what="the daemon to say that it is not ready")
    assert rig.daemon.metrics()["remediator_journal_up"] == 0
    assert rig.run_of()["state"] == "awaiting_approval"
    question = rig.daemon.api(f"/api/v1/runs/{rig.run_of()['id']}")["approval"]["id"]
    said = rig.daemon.post(f"/api/v1/runs/{rig.run_of()['id']}/approve", {"approval_id": question})
    assert said.status == 503, "a yes that can't be kept was not given"
    assert rig.ledger() == []


def _goes_on(rig: Rig) -> None:
    carried = rig.carry("before", {"awaiting_approval": rig.approve}, lives=0)
    assert carried.run["state"] == "succeeded", carried
    rig.send("after", "firing")
    carried = rig.carry("after", {"awaiting_approval": rig.approve}, lives=0)
    assert carried.run["state"] == "succeeded", carried
    assert rig.ledger() == ["do before", "do after"]
    rig.check_whole()


def test_a_full_disk_is_waited_for(roomy: MakeRoomy, room: Room) -> None:
    rig = roomy(book("approve"))
    rig.send("before", "firing")
    rig.until("awaiting_approval")
    room.fill()
    _unwritable(rig, "during")
    assert "the disk is full; make room, remediator goes on by itself" in rig.daemon.log.read_text()
    room.make_room()
    eventually(lambda: not _not_ready(rig), what="readiness, with nobody's help")
    _goes_on(rig)


@pytest.mark.parametrize("error", ["EROFS", "EIO"])
def test_a_disk_that_takes_no_more_is_waited_for(make_rig: MakeRig, error: str) -> None:
    rig = make_rig(book("approve"))
    rig.send("before", "firing")
    rig.until("awaiting_approval")
    broken = Strace(rig.daemon.process.pid, rig.folder, fail={PAGE: error, COMMIT: error})
    try:
        _unwritable(rig, "during")
    finally:
        broken.close()
    eventually(lambda: not _not_ready(rig), what="readiness, with nobody's help")
    _goes_on(rig)


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
def test_a_change_whose_outcome_finds_no_room(roomy: MakeRoomy, room: Room, checked: bool) -> None:
    """The command itself fills the disk: its intent is on record, and its outcome can't be."""
    rig = roomy(book(checked=checked))
    rig.fills(room.filler)
    rig.send("full", "firing")
    eventually(rig.ledger, what="the change")
    eventually(lambda: _not_ready(rig), what="the outcome to find no room")
    assert rig.run_of()["state"] == "applying"
    assert _post(rig, "during") == 503
    room.make_room()
    carried = rig.carry("full", lives=0)
    assert carried.run["state"] == "succeeded", carried
    assert rig.ledger() == ["do full"]
    rig.check_whole()


def test_an_undo_whose_outcome_finds_no_room(roomy: MakeRoomy, room: Room) -> None:
    rig = roomy(book(checked=False, tail=f"{UNDO}verify: {{resolved_within: 1s}}\n"))
    rig.send("full", "firing")
    eventually(rig.ledger, what="the change")
    rig.fills(room.filler)
    eventually(lambda: len(rig.ledger()) == 2, what="the way back")
    eventually(lambda: _not_ready(rig), what="the outcome to find no room")
    room.make_room()
    carried = rig.carry("full", lives=0)
    assert carried.run["state"] == "rolled_back", carried
    assert rig.ledger() == ["do full", "undo full"]
    rig.check_whole()


def test_a_read_only_disk_at_the_start_is_told(roomy: MakeRoomy, room: Room) -> None:
    rig = roomy(book("approve"))
    rig.send("before", "firing")
    rig.until("awaiting_approval")
    rig.daemon.kill()
    room.mount("ro")
    with pytest.raises(ServerFailed):
        rig.daemon.start()
    assert "read-only" in _last_word(rig.daemon).lower()
    assert "Traceback" not in rig.daemon.log_tail()
    room.mount("rw")
    rig.daemon.start()
    _goes_on(rig)


def _last_word(daemon: RemediatorProcess) -> str:
    return daemon.log_tail(1)


def test_the_disk_is_full_at_the_start(roomy: MakeRoomy, room: Room) -> None:
    rig = roomy(book("approve"))
    rig.send("before", "firing")
    rig.until("awaiting_approval")
    rig.daemon.kill()
    room.fill()
    with pytest.raises(ServerFailed):
        rig.daemon.start()
    assert os.strerror(28) in _last_word(rig.daemon) or "disk is full" in _last_word(rig.daemon)
    assert "Traceback" not in rig.daemon.log_tail()
    room.make_room()
    rig.daemon.start()
    _goes_on(rig)
