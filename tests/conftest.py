"""Fixtures that every test may use: the real servers, started once and only when asked for."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.servers.fixtures"]

_SIMULATED = Path(__file__).parent / "simulated" / "kubernetes" / "actions"
_SERVERS = frozenset(
    {
        "control_plane",
        "alertmanager_factory",
        "alertmanager_cluster_factory",
        "prometheus_factory",
        "postgres",
        "chromium",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a real server, so that `make quick` can leave it out."""
    for item in items:
        if _SIMULATED in item.path.parents:
            continue  # its control plane is none
        if _SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
