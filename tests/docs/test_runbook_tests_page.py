"""The example of docs/runbook-tests.md passes, and fails as the page says."""

import re
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from remediator.plugin import registry as plugins
from remediator.rehearsal import report, schema, suite

PAGE = (Path(__file__).resolve().parents[2] / "docs/runbook-tests.md").read_text()
RUNBOOK, TESTS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(OUTPUT,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
REGISTRY = plugins.load(third_party=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's two files, in the working directory."""
    (tmp_path / "shop-restart.yaml").write_text(RUNBOOK)
    (tmp_path / "shop-restart.test.yaml").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_example_passes() -> None:
    outcome = suite.run([Path("shop-restart.yaml")], REGISTRY)
    assert (outcome.passed, outcome.failed, outcome.broken) == (2, 0, 0)


def test_the_example_fails_as_the_page_says(folder: Path) -> None:
    changed = TESTS.replace("awaiting_approval", "succeeded", 1)
    (folder / "shop-restart.test.yaml").write_text(changed)
    outcome = suite.run([Path("shop-restart.yaml")], REGISTRY)
    found = [line.text for line in report.failures(outcome)]
    assert "\n".join(found).strip() == OUTPUT.strip()


def test_the_example_is_valid_by_the_schema() -> None:
    value = YAML(typ="safe", pure=True).load(TESTS)
    jsonschema.Draft202012Validator(schema.json_schema()).validate(value)


def test_every_key_of_a_test_file_is_on_the_page() -> None:
    models = (
        schema.TestFile,
        schema.TestCase,
        schema.Event,
        schema.Expectation,
        schema.RunExpected,
    )
    for model in models:
        for name in model.model_fields:
            assert re.search(rf"`[^`]*\b{name}\b[^`]*`", PAGE), f"{name} is not on the page"
