"""Proves with two real daemons on one PostgreSQL that an override is one: two people at two
replicas start one run, whichever replica carries it on, and both say the same of it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.replicas.fleet import Fleet
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.rest import request
from tests.servers.waiting import eventually

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

POLICY = {
    "mode": "auto",
    "cooldown": "0s",
    "rate": {"per_runbook": [], "total": ["1/1h"]},
    "override": {"people": ["local"], "guardrails": ["rate"], "expires": "5m"},
}


def verdict(replica: RemediatorProcess, run: str) -> dict[str, Any]:
    """What a replica says of a run's rate now."""
    told = request("GET", f"{replica.url}/api/v1/runs/{run}/verdicts").json()
    (step,) = told["steps"]
    found: dict[str, Any] = next(one for one in step["verdicts"] if one["rule"] == "rate")
    return found


def refused(replica: RemediatorProcess) -> Mapping[str, Any]:
    """The only run that a guardrail ended, once it has."""
    url = f"{replica.url}/api/v1/runs?state=suppressed"
    eventually(lambda: request("GET", url).json()["items"], what="a refusal")
    (run,) = request("GET", url).json()["items"]
    found: Mapping[str, Any] = run
    return found


def test_two_people_at_two_replicas_start_one_run(tmp_path: Path, postgres_dsn: str) -> None:
    with Fleet(tmp_path, postgres_dsn, settings={"policy": POLICY}) as fleet:
        fleet.migrate()
        fleet.first.start()
        fleet.add()
        fleet.well()
        fleet.succeeds(fleet.in_hand("first"), fleet.replicas[1])
        fleet.rig.send("second", "firing")
        run = refused(fleet.replicas[1])
        assert {verdict(one, run["id"])["ruling"] for one in fleet.replicas} == {"refuse"}

        def override(replica: RemediatorProcess) -> Any:
            body = {"guardrail": "rate", "reason": "customers wait"}
            return request("POST", f"{replica.url}/api/v1/runs/{run['id']}/override", body)

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(override, fleet.replicas))
        assert sorted(answer.status for answer in answers) == [201, 409]
        started = next(answer.json() for answer in answers if answer.status == 201)
        fleet.succeeds({"id": started["id"]}, fleet.replicas[0])
        assert fleet.rig.ledger() == ["do first", "do second"]
        records = fleet.replicas[1].items("/api/v1/audit")
        used = [one for one in records if one["kind"] == "override.used"]
        assert [one["run_id"] for one in used] == [started["id"]]
        fleet.check_whole()
