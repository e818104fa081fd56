"""The simulation in the place of the real control plane, for the actions' own tests."""

from collections.abc import AsyncIterator

import pytest

from remediator.clients.kubernetes import Kubernetes
from tests.actions.contract import Bench
from tests.simulated.kubernetes.stand_in import StandIn


@pytest.fixture
def control_plane() -> StandIn:
    """A simulated cluster of this test's own."""
    return StandIn()


@pytest.fixture
def namespace(control_plane: StandIn) -> str:
    """A namespace in it."""
    made = control_plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    assert made.status == 201
    return "shop"


@pytest.fixture
async def client(control_plane: StandIn) -> AsyncIterator[Kubernetes]:
    """A client of it."""
    made = control_plane.client()
    yield made
    await made.close()


@pytest.fixture
def bench(client: Kubernetes) -> Bench:
    """A context with that client."""
    return Bench(client)
