"""Notifications that come twice, in another order, and again long after.

Each is answered 200 and is on record as often as it came; an episode is one incident and one run
whatever peers repeat; what comes late about an episode that is over starts nothing, and a new
episode does.
"""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.crash import bodies
from tests.crash.fixtures import MakeRig
from tests.crash.rig import Rig
from tests.faults.books import book
from tests.servers.rest import request
from tests.servers.waiting import eventually

SEED = 20261126
SENDERS = 6
CASES = [f"case-{number}" for number in range(30)]
EARLIER = "2026-11-24T11:59:59.986Z"
"""What the other of two Alertmanagers may say of the start."""
NEXT_START, NEXT_END = "2026-11-24T13:00:00Z", "2026-11-24T13:30:00Z"


def _ended(rig: Rig, count: int) -> None:
    eventually(
        lambda: len([r for r in rig.daemon.items("/api/v1/runs") if r["ended_at"]]) == count,
        what=f"{count} runs to end",
    )


def _post(rig: Rig, sent: list[bytes]) -> None:
    """From several senders at once, each in the order that it was given."""

    def post(body: bytes) -> None:
        eventually(lambda: rig.post(body, again=True), what="the notification to be taken")

    with ThreadPoolExecutor(SENDERS) as pool:
        for done in [pool.submit(post, body) for body in sent]:
            done.result()


def _episode(case: str) -> list[bytes]:
    firing = bodies.notification(bodies.alert(case, "firing"))
    peer = bodies.notification(bodies.alert(case, "firing", starts_at=EARLIER))
    over = bodies.notification(bodies.alert(case, "resolved"))
    together = bodies.notification(*(bodies.alert(one, "firing") for one in (case, CASES[0])))
    return [firing, firing, peer, together, over, over]


def _next_episode(case: str) -> bytes:
    return bodies.notification(bodies.alert(case, "firing", starts_at=NEXT_START))


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_duplicates_in_any_order_make_one_run_each(make_rig: MakeRig, seed: int) -> None:
    rig = make_rig(book(checked=False))
    shuffled = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    # First every case fires; then come repeats, late news and ends in any order.
    _post(rig, [bodies.notification(bodies.alert(case, "firing")) for case in CASES])
    rest = [body for case in CASES for body in _episode(case)]
    shuffled.shuffle(rest)
    _post(rig, rest)
    _ended(rig, len(CASES))
    incidents = rig.daemon.items("/api/v1/incidents")
    assert sorted(one["labels"]["case"] for one in incidents) == sorted(CASES)
    assert {one["status"] for one in incidents} == {"resolved"}

    again = [body for case in CASES for body in _episode(case)]
    rig.daemon.restart()
    _post(rig, again)  # all of it, replayed to a daemon that has just started
    assert len(rig.daemon.items("/api/v1/runs")) == len(CASES)
    received = [r for r in rig.daemon.items("/api/v1/audit") if r["kind"] == "notification"]
    assert len(received) == len(CASES) + len(rest) + len(again), "each is on record as it came"
    made = rig.ledger()
    assert set(made) <= {f"do {case}" for case in CASES}
    rig.check_whole()

    _post(rig, [_next_episode(case) for case in CASES for _ in range(2)])
    _ended(rig, 2 * len(CASES))
    assert len(rig.daemon.items("/api/v1/incidents")) == 2 * len(CASES)
    for case in CASES:
        assert rig.ledger(case)[len([m for m in made if m == f"do {case}"]) :] == [f"do {case}"]


def test_the_end_before_the_beginning(make_rig: MakeRig) -> None:
    """A *resolved* that overtook its *firing*: the *firing* is late news, and nothing is done."""
    rig = make_rig(book())
    firing = bodies.notification(bodies.alert("late", "firing"))
    over = bodies.notification(bodies.alert("late", "resolved"))
    assert request("POST", rig.daemon.webhook, over).json()["alerts"] == {"unknown_resolved": 1}
    assert request("POST", rig.daemon.webhook, firing).json()["alerts"] == {"stale": 1}
    assert rig.daemon.items("/api/v1/runs") == []
    assert rig.ledger() == []
    rig.check_whole()
