"""What the fault tests ask pytest for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.fixtures import make_rig
from tests.faults.room import Room

__all__ = ["make_rig"]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A small disk that only this test sees."""
    with Room(tmp_path / "room") as started:
        yield started
