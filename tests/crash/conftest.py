"""`make_rig(runbook)` starts a daemon with a small world; it is stopped after the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.rig import Rig

MakeRig = Callable[[str], Rig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    """Each with a folder of its own."""
    rigs: list[Rig] = []

    def make(runbook: str) -> Rig:
        rig = Rig(tmp_path / str(len(rigs)), runbook)
        rigs.append(rig)
        rig.daemon.start()
        return rig

    yield make
    for rig in rigs:
        rig.daemon.stop()
