"""The session's control plane with our definitions installed."""

import pytest

from tests.engine.conftest import begin
from tests.resources.making import CRDS
from tests.servers.kubernetes import ControlPlane
from tests.servers.waiting import eventually

__all__ = ["begin"]


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """The control plane, which knows our resources."""
    install(control_plane)
    return control_plane


def install(control_plane: ControlPlane) -> None:
    """Apply the definitions as a user does, and wait until they are served."""
    control_plane.kubectl("apply", "--filename", str(CRDS))
    for name in ("runbooks", "remediationpolicies"):

        def served(path: str = f"/apis/remediator.dev/v1alpha1/{name}") -> bool:
            return control_plane.api("GET", path).status == 200

        eventually(served, what=f"{name} to be served")
