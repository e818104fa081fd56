"""A runbook's mode is changed in its file, and nothing else of the text."""

import pytest

from remediator.cli.failure import Failure
from remediator.cli.promoting import with_mode

BLOCK = """\
# Ours.
name: a
description: A.
match: ['alertname="A"']
mode: observe   # until it has shown what it would do
steps:
  - {id: s, action: exec}   # the only one
"""


def test_comments_and_layout_stay() -> None:
    assert with_mode(BLOCK, "a.yaml", "a", "approve") == BLOCK.replace("observe ", "approve ", 1)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_stay(quote: str) -> None:
    source = BLOCK.replace("observe ", f"{quote}observe{quote} ")
    assert f"mode: {quote}auto{quote}   # until" in with_mode(source, "a.yaml", "a", "auto")


def test_a_missing_mode_is_written_before_the_steps() -> None:
    source = "".join(line for line in BLOCK.splitlines(True) if not line.startswith("mode"))
    assert with_mode(source, "a.yaml", "a", "auto") == source.replace(
        "steps:", "mode: auto\nsteps:"
    )


def test_only_the_named_runbook_of_a_file_is_changed() -> None:
    two = BLOCK + "---\n" + BLOCK.replace("name: a", "name: b")
    after = with_mode(two, "a.yaml", "b", "approve")
    first, second = after.split("---\n")
    assert first == BLOCK
    assert second == BLOCK.replace("name: a", "name: b").replace("observe ", "approve ", 1)


def test_a_mapping_on_one_line() -> None:
    source = "{name: a, mode: observe, steps: [{id: s, action: exec}]}\n"
    assert with_mode(source, "a.yaml", "a", "approve") == source.replace("observe", "approve")
    without = source.replace("mode: observe, ", "")
    assert with_mode(without, "a.yaml", "a", "auto") == source.replace("observe", "auto")


def test_what_cannot_be_changed_in_place_is_said() -> None:
    source = BLOCK.replace("mode: observe", 'mode: "obser\\u0076e"')
    with pytest.raises(Failure, match=r"a\.yaml:5: write `mode: auto` there by hand"):
        with_mode(source, "a.yaml", "a", "auto")
