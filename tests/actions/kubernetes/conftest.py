"""A client and a bench on the session's control plane."""

from collections.abc import AsyncIterator

import pytest

from remediator.clients.kubernetes import Kubernetes
from remediator.settings import KubernetesSettings
from tests.actions.contract import Bench
from tests.servers.kubernetes import ControlPlane


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Kubernetes]:
    """A client with the admin's rights."""
    made = Kubernetes(KubernetesSettings(kubeconfig=control_plane.kubeconfig()))
    yield made
    await made.close()


@pytest.fixture
def bench(client: Kubernetes) -> Bench:
    """A context with that client."""
    return Bench(client)
