"""The real control plane and the simulation, side by side."""

import pytest

from tests.servers.kubernetes import ControlPlane
from tests.simulated.kubernetes.pair import Pair


@pytest.fixture
def pair(control_plane: ControlPlane, namespace: str) -> Pair:
    """Both, each with an empty namespace of this test's own."""
    return Pair(control_plane, namespace)
