"""The pages of the shipped runbooks are what is made from them and their tests."""

import runpy
from pathlib import Path

import pytest

from remediator.rehearsal import files

ROOT = Path(__file__).resolve().parents[2]
MADE = runpy.run_path(str(ROOT / "docs/runbook_pages.py"))
LIBRARY = MADE["shipped"]()
NAMES = [one.name for one in LIBRARY.runbooks]
FOLDER = ROOT / "docs/runbooks"
HINT = "run: python docs/pages.py"


@pytest.mark.parametrize("runbook", LIBRARY.runbooks, ids=NAMES)
def test_a_page_is_what_its_runbook_and_its_test_say(runbook: object) -> None:
    name = getattr(runbook, "name", "")
    assert (FOLDER / f"{name}.md").read_text() == MADE["page"](runbook, LIBRARY), HINT


def test_the_index_names_each_alert() -> None:
    index = (FOLDER / "README.md").read_text()
    assert index == MADE["index"](LIBRARY), HINT
    assert (
        "| `KubePodCrashLooping` | [kube-pod-crash-looping](kube-pod-crash-looping.md) |" in index
    )


def test_there_is_no_page_without_its_runbook() -> None:
    pages = {path.stem for path in FOLDER.glob("*.md")}
    assert pages == {*NAMES, "README"}, HINT


@pytest.mark.parametrize("runbook", LIBRARY.runbooks, ids=NAMES)
def test_every_runbook_has_a_test_that_says_when_nothing_is_changed(runbook: object) -> None:
    test = files.tested_by(Path(getattr(runbook, "file", "")))
    assert test is not None
    assert len(files.load(test, LIBRARY.registry, LIBRARY.nearby).cases) >= 2
