"""Every recipe of the cookbook is clean under `remediator check`, and does what it says."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from remediator import cli
from remediator.plugin import registry as plugins
from remediator.rehearsal import report, suite
from remediator.runbook import policy_file

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/cookbook.md").read_text()
STORIES = Path(__file__).parent / "cookbook"
REGISTRY = plugins.load(third_party=False)
RECIPES = {
    block.split("\n", 1)[0].removeprefix("name: "): block
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
}
(POLICY,) = re.findall(r"^```yaml policy\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "payments.policy").write_text(POLICY)
    return tmp_path


def test_each_recipe_has_a_story_and_each_story_a_recipe() -> None:
    assert len(RECIPES) >= 15
    assert {f"{name}.test.yaml" for name in RECIPES} == {one.name for one in STORIES.iterdir()}


def test_the_policy_of_the_page_is_good() -> None:
    assert [rule.name for rule in policy_file.parse(POLICY, "policy.yaml").rules] == ["payments"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_clean(folder: Path, name: str) -> None:
    (folder / f"{name}.yaml").write_text(RECIPES[name])
    done = CliRunner().invoke(cli.main, ["check", f"{name}.yaml", "--severity", "warning"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_does_what_it_says(folder: Path, name: str) -> None:
    (folder / f"{name}.yaml").write_text(RECIPES[name])
    story = STORIES / f"{name}.test.yaml"
    (folder / story.name).write_text(story.read_text())
    outcome = suite.run([folder / story.name], REGISTRY)
    told = "\n".join(line.text for line in report.failures(outcome))
    assert (outcome.failed, outcome.broken) == (0, 0), told
    assert outcome.passed >= 1
