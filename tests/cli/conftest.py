"""One daemon for all tests of the command line; each test uses an item of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import Box, serving


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Return a box whose daemon runs."""
    made = Box.make(tmp_path_factory.mktemp("box") / "b")
    with serving(made):
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Box:
    """Return a box of this test's own, whose daemon does not run."""
    return Box.make(tmp_path / "b")
