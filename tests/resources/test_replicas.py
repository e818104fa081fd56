"""Proves that every replica takes up a resource, and that one of them writes its status; another
when that one is gone."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediator.journal.opening import postgres_access
from remediator.journal.postgres import migrate
from tests.resources.making import accepted, runbook
from tests.resources.test_story import settings
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.kubernetes import ADMIN, ControlPlane
from tests.servers.waiting import eventually


@pytest.fixture
def pair(
    cluster: ControlPlane, namespace: str, postgres_dsn: str, tmp_path: Path
) -> Iterator[list[RemediatorProcess]]:
    """Two daemons on one database."""
    asyncio.run(migrate.upgrade(postgres_access(postgres_dsn, None), datetime.now(UTC)))
    given = {
        **settings(cluster, [namespace]),
        "kubernetes": {"kubeconfig": str(cluster.kubeconfig(ADMIN))},
        "journal": postgres_dsn,
        "audit": {"signing_key_file": f"{tmp_path}/key", "anchor_file": f"{tmp_path}/heads"},
    }
    with ExitStack() as stack:
        yield [
            stack.enter_context(RemediatorProcess(tmp_path / name, given)) for name in ("a", "b")
        ]


def _names(daemon: RemediatorProcess) -> set[str]:
    return {one["name"] for one in daemon.api("/api/v1/runbooks")["items"]}


def _written(daemon: RemediatorProcess) -> float:
    series = 'remediator_resource_status_writes_total{kind="Runbook",result="written"}'
    return daemon.metrics().get(series, 0)


def test_all_take_it_up_and_one_writes(
    cluster: ControlPlane, namespace: str, pair: list[RemediatorProcess]
) -> None:
    cluster.apply(runbook("a", namespace))
    eventually(
        lambda: accepted(cluster, namespace, "a")["status"] == "True", what="it to be accepted"
    )
    for daemon in pair:
        eventually(lambda d=daemon: _names(d) == {f"{namespace}/a"}, what="both to have it")  # type: ignore[misc]
    assert sorted(_written(daemon) > 0 for daemon in pair) == [False, True]
    writer, other = sorted(pair, key=_written, reverse=True)
    writer.kill()
    cluster.apply(runbook("b", namespace))
    eventually(
        lambda: accepted(cluster, namespace, "b")["status"] == "True",
        60.0,
        what="the other to take the duty over",
    )
    assert _written(other) > 0
