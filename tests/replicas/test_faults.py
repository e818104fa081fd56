"""Breaks the database of real daemons and the way to it.

| fault | what must hold |
|---|---|
| the server crashes and comes back | senders are answered 503 meanwhile; nobody is declared dead |
| one replica is cut off | it changes nothing more; another takes over; healed, it joins anew |
| every connection is killed, again and again | what was answered 200 is on record, once |
| each answer takes long | it is slower, and nothing else |

After each: what was acknowledged is on record, no change was made twice, no run is stuck, the audit
chain verifies, and the daemons have recovered by themselves.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.crash import bodies
from tests.replicas.fleet import Fleet
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.link import Link
from tests.servers.postgres import Postgres
from tests.servers.rest import answers, request
from tests.servers.waiting import eventually

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture
def breakable() -> Iterator[Postgres]:
    """A PostgreSQL of this test's own."""
    with Postgres() as started:
        yield started


def _ready(replica: RemediatorProcess) -> bool:
    return answers(f"{replica.url}/-/ready")


def _not_ready(replica: RemediatorProcess) -> bool:
    return not _ready(replica)


def _whole(fleet: Fleet, cases: list[str]) -> None:
    for replica in fleet.replicas:
        eventually(partial(_ready, replica), what="every replica to be ready")
    eventually(
        lambda: {r["state"] for r in fleet.first.items("/api/v1/runs")} == {"succeeded"},
        what="all runs to succeed",
    )
    assert sorted(fleet.rig.ledger()) == sorted(f"do {case}" for case in cases)
    fleet.check_whole()


def _send(fleet: Fleet, case: str) -> None:
    """As Alertmanager does: again after a 503 or a broken connection."""

    def acknowledged() -> bool:
        fleet.rig.send(case, "firing")  # an OSError for what is to be sent again
        return True

    eventually(acknowledged, 60, what=f"{case} to be acknowledged")


def _starts(fleet: Fleet) -> int:
    kinds = [record["kind"] for record in fleet.first.items("/api/v1/audit")]
    return kinds.count("daemon.started")


def test_the_server_crashes_and_comes_back(tmp_path: Path, breakable: Postgres) -> None:
    with Fleet(tmp_path, breakable.create_database()) as fleet:
        fleet.migrate()
        fleet.first.start()
        fleet.add()
        run = fleet.in_hand("during")
        breakable.process.stop()
        for replica in fleet.replicas:
            eventually(partial(_not_ready, replica), what="it to say that it is not ready")
            answer = request(
                "POST", replica.webhook, bodies.notification(bodies.alert("lost", "firing"))
            )
            assert answer.status == 503, answer.text
            assert request("GET", f"{replica.url}/-/healthy").status == 200
        breakable.process.start()
        fleet.well()
        fleet.succeeds(run, fleet.first, 60)
        _send(fleet, "after")
        _whole(fleet, ["during", "after"])
        assert _starts(fleet) == 2, "nobody was declared dead for the server's absence"


def test_a_replica_that_is_cut_off_is_replaced_and_comes_back(
    tmp_path: Path, postgres: Postgres
) -> None:
    dsn = postgres.create_database()
    with closing(Link(postgres.port)) as link, Fleet(tmp_path, dsn) as fleet:
        fleet.migrate()
        direct = fleet.first.settings
        fleet.first.settings = {
            **direct,
            "journal": dsn.replace(str(postgres.port), str(link.port)),
        }
        fleet.first.start()
        run = fleet.in_hand("cut")
        fleet.first.settings = direct
        survivor = fleet.add()
        began = time.monotonic()
        eventually(
            lambda: time.monotonic() - began > 4 and _ready(survivor), what="a lease of contact"
        )
        link.cut()
        eventually(
            lambda: "run.freed" in [r["kind"] for r in survivor.items("/api/v1/audit")],
            what="the run to be taken over",
        )
        fleet.well()
        fleet.succeeds(run, survivor)
        eventually(partial(_not_ready, fleet.first), what="the cut one to say that it is not ready")
        link.heal()
        eventually(lambda: _ready(fleet.first), 60, what="the cut one to come back")
        _whole(fleet, ["cut"])


def test_connections_that_are_killed_again_and_again(tmp_path: Path, postgres: Postgres) -> None:
    dsn = postgres.create_database()
    with Fleet(tmp_path, dsn) as fleet:
        fleet.migrate()
        fleet.well()
        fleet.first.start()
        done = threading.Event()

        def kill() -> None:
            while not done.wait(0.15):
                postgres.psql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
                    dsn,
                )

        killing = threading.Thread(target=kill)
        killing.start()
        cases = [f"case-{number}" for number in range(30)]
        try:
            for case in cases:
                _send(fleet, case)
        finally:
            done.set()
            killing.join()
        _whole(fleet, cases)


def test_a_server_that_takes_long_is_waited_for(tmp_path: Path, postgres: Postgres) -> None:
    dsn = postgres.create_database()
    with closing(Link(postgres.port, delay_s=0.03)) as link, Fleet(tmp_path, dsn) as fleet:
        fleet.migrate()
        fleet.first.settings = {
            **fleet.first.settings,
            "journal": dsn.replace(str(postgres.port), str(link.port)),
        }
        fleet.well()
        fleet.first.start()
        cases = [f"case-{number}" for number in range(3)]
        for case in cases:
            _send(fleet, case)
        _whole(fleet, cases)
        assert _starts(fleet) == 1


def test_the_error_names_no_password(tmp_path: Path, postgres: Postgres) -> None:
    dsn = postgres.create_database()
    password = dsn.split(":")[2].split("@")[0]
    with Fleet(tmp_path, dsn) as fleet:
        fleet.migrate()
        fleet.first.start()
        assert password not in fleet.first.command("audit", "verify").stdout
        assert password not in fleet.first.command("config").stdout
        assert password not in fleet.first.log.read_text()
