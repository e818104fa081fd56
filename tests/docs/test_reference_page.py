"""The reference of the language is what the models say."""

import runpy
from pathlib import Path

from remediator.plugin import registry as plugins
from remediator.runbook import cel_text
from remediator.runbook.schema import RunbookSpec, StepSpec

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/runbook-reference.md"
MADE = runpy.run_path(str(ROOT / "docs/reference_page.py"))


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == MADE["page"](), "run: python docs/pages.py"


def test_every_key_action_and_function_stands_there() -> None:
    text = PAGE.read_text()
    for model in (RunbookSpec, StepSpec):
        for name, field in model.model_fields.items():
            key = field.alias or name
            assert f"| `{key}` |" in text or f"| `{key}*` |" in text
    for name in plugins.load(third_party=False).operations:
        assert f"### {name}\n" in text


def test_what_is_said_of_functions_is_said_of_those_that_there_are() -> None:
    assert MADE["FUNCTIONS"].keys() == cel_text.FUNCTIONS
