"""`make_rig`, for this folder's tests and those of the faults."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.rig import Rig

MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    """`make_rig(runbook, …)` starts a daemon with a small world, stopped after the test.

    Each has a folder of its own; the options are those of `Rig`.
    """
    rigs: list[Rig] = []

    def make(runbook: str, **options: object) -> Rig:
        rig = Rig(tmp_path / str(len(rigs)), runbook, **options)  # type: ignore[arg-type] # passed on as they are
        rigs.append(rig)
        rig.daemon.start()
        return rig

    yield make
    for rig in rigs:
        rig.daemon.stop()
