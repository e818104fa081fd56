"""Proves with real daemons on one PostgreSQL that any of them does for all: a replica that is
killed, frozen or stopped loses nothing and doubles nothing, and people may answer anywhere.
"""

import signal
import time
from pathlib import Path

import pytest

from tests.crash import legal
from tests.replicas.fleet import Fleet
from tests.servers.rest import answers, request
from tests.servers.waiting import eventually

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

# The lease, with the looks that lie between.
_TAKE_OVER_WITHIN_S = 5.0
_LEASE_S = 3.0


def _in_contact(fleet: Fleet) -> None:
    """Until the last replica may say that others are dead: a whole lease after its start."""
    replica = fleet.replicas[-1]
    began = time.monotonic()
    eventually(
        lambda: answers(f"{replica.url}/-/ready") and time.monotonic() - began > 1.2 * _LEASE_S,
        what="a lease of contact",
    )


def test_a_replica_takes_up_what_a_killed_one_had_in_hand(fleet: Fleet) -> None:
    run = fleet.in_hand("killed")
    survivor = fleet.add()
    _in_contact(fleet)
    fleet.well()
    fleet.first.kill()
    assert fleet.succeeds(run, survivor) < _TAKE_OVER_WITHIN_S
    assert fleet.rig.ledger() == ["do killed"]
    records = survivor.items(f"/api/v1/audit?run_id={run['id']}")
    legal.check(records)
    assert "run.freed" in [record["kind"] for record in records]
    fleet.check_whole()


def test_a_replica_that_was_paused_too_long_stops_its_work_and_joins_anew(fleet: Fleet) -> None:
    run = fleet.in_hand("paused")
    survivor = fleet.add()
    _in_contact(fleet)
    paused = fleet.first.process
    paused.signal(signal.SIGSTOP)
    eventually(lambda: "run.freed" in _kinds(fleet, run["id"]), what="the run to be taken over")
    fleet.well()
    fleet.succeeds(run, survivor)
    paused.signal(signal.SIGCONT)
    eventually(lambda: "was declared dead" in fleet.first.log.read_text(), what="it to notice")
    eventually(lambda: _starts(fleet) == 3, what="it to join as a new node")
    eventually(lambda: answers(f"{fleet.first.url}/-/ready"), what="it to be ready again")
    assert paused.running
    assert fleet.rig.ledger() == ["do paused"]
    fleet.rig.send("after", "firing")  # at the one that came back
    fleet.check_whole()


def test_a_replica_that_stops_in_order_hands_over_at_once(fleet: Fleet) -> None:
    run = fleet.in_hand("stopped")
    survivor = fleet.add()
    fleet.well()
    fleet.first.process.signal(signal.SIGTERM)
    fleet.succeeds(run, survivor)
    eventually(lambda: not fleet.first.process.running, what="it to end")
    assert fleet.first.process.exit_code == 0
    assert fleet.rig.ledger() == ["do stopped"]
    fleet.check_whole()


def test_any_replica_takes_the_alert_and_any_the_answer(tmp_path: Path, postgres_dsn: str) -> None:
    with Fleet(tmp_path, postgres_dsn, mode="approve") as fleet:
        fleet.migrate()
        fleet.first.start()
        other = fleet.add()
        fleet.well()
        fleet.rig.send("asked", "firing")
        run = fleet.rig.run_of()
        eventually(lambda: fleet.state(run, other) == "awaiting_approval", what="the question")
        view = request("GET", f"{other.url}/api/v1/runs/{run['id']}").json()
        seen = {"approval_id": view["approval"]["id"]}
        answers_of_both = [
            replica.post(f"/api/v1/runs/{run['id']}/approve", seen).status
            for replica in (other, fleet.first)
        ]
        assert answers_of_both[0] == 200
        fleet.succeeds(run, fleet.first)
        assert fleet.rig.ledger() == ["do asked"]
        decided = [kind for kind in _kinds(fleet, run["id"]) if kind == "approval.decision"]
        assert len(decided) == 2  # both are on record, and one of them counted
        fleet.check_whole()


def test_two_replicas_share_the_work_of_many_alerts(fleet: Fleet) -> None:
    fleet.well()
    other = fleet.add()
    cases = [f"case-{number}" for number in range(40)]
    for number, case in enumerate(cases):
        fleet.rig.daemon = fleet.replicas[number % 2]
        fleet.rig.send(case, "firing")
    fleet.rig.daemon = fleet.first
    eventually(
        lambda: [r["state"] for r in other.items("/api/v1/runs")] == ["succeeded"] * len(cases),
        what="all runs to succeed",
    )
    assert sorted(fleet.rig.ledger()) == sorted(f"do {case}" for case in cases)
    fleet.check_whole()


def _kinds(fleet: Fleet, run_id: str) -> list[str]:
    replica = fleet.replicas[-1]
    return [r["kind"] for r in replica.items(f"/api/v1/audit?run_id={run_id}")]


def _starts(fleet: Fleet) -> int:
    records = fleet.replicas[-1].items("/api/v1/audit")
    return sum(record["kind"] == "daemon.started" for record in records)
