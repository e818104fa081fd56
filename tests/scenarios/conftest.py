"""`scene(runbooks, …)` sets up an installation of this test's own, and takes it down again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.scenarios.scene import Scene
from tests.servers.kubernetes import ControlPlane

SceneFactory = Callable[..., Scene]


@pytest.fixture
def scene(tmp_path: Path, control_plane: ControlPlane, namespace: str) -> Iterator[SceneFactory]:
    """Options are those of `Scene`."""
    with ExitStack() as stack:

        def set_up(*arguments: object, **options: object) -> Scene:
            here = Scene(stack, tmp_path, control_plane, namespace, *arguments, **options)  # type: ignore[arg-type] # passed on as they are
            stack.callback(lambda: print(here.daemon.log_tail()))  # pytest shows it on failure
            return here

        yield set_up
