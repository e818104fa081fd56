"""A stage for each test."""

from pathlib import Path

import pytest

from tests.rehearsal.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """An empty folder."""
    return Stage(tmp_path)
