"""`fleet` is one running replica on an own database; tests add more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.replicas.fleet import Fleet


@pytest.fixture
def fleet(tmp_path: Path, postgres_dsn: str) -> Iterator[Fleet]:
    """One replica, on a database of its own."""
    with Fleet(tmp_path, postgres_dsn) as made:
        made.migrate()
        made.first.start()
        yield made
