"""The shipped runbooks do what their tests say: one item for each test file."""

from pathlib import Path

import pytest

from remediator.plugin import registry as plugins
from remediator.rehearsal import report, suite

ROOT = Path(__file__).resolve().parents[1]
TESTS = sorted(ROOT.glob("runbooks/**/*.test.yaml"))
REGISTRY = plugins.load(third_party=False)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name.removesuffix(".test.yaml"))
def test_a_runbook_does_what_its_test_says(path: Path) -> None:
    outcome = suite.run([path], REGISTRY)
    assert outcome.well, "\n".join(line.text for line in report.failures(outcome))


def test_there_are_runbooks_with_tests() -> None:
    assert TESTS
