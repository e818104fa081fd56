"""The real registry: runbooks are compiled against the actions that ship."""

import pytest

from remediator.plugin import registry as plugins
from remediator.plugin.registry import Registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Every plugin that ships."""
    return plugins.load(third_party=False)
