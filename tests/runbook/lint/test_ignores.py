"""Proves comments that silence a finding: where they stand, that they say why, that each is used,
and that nothing else in a file is taken for one."""

from pathlib import Path

import pytest

from remediator.cli import checking
from remediator.runbook import document
from remediator.runbook.findings import Severity
from remediator.runbook.lint import catalogue, ignores
from tests.runbook.lint.linting import REGISTRY, runbook

UNDO = "on_failure: {undo: false}"
WHY = "remediator: ignore no-undo it is known"


def checked(source: str, folder: Path) -> checking.Checked:
    file = folder / "a.yaml"
    file.write_text(source)
    return checking.check(checking.Wanted([file]), REGISTRY)


@pytest.mark.parametrize(
    "source",
    [
        runbook(f"{UNDO}  # {WHY}"),
        runbook(f"# {WHY}", UNDO),
        runbook(f"# {WHY}", "# and more words", "", UNDO),
        f"# {WHY}\n" + runbook(UNDO),
        f"# a file\n# {WHY}\n\n" + runbook(UNDO),
        f"#remediator:ignore no-undo it is known\n{runbook(UNDO)}",
        runbook("on_failure:", f"  undo: false # {WHY}"),
        runbook("on_failure:", f"  # {WHY}", "  undo: false"),
        runbook(name="other") + f"---\n# {WHY}\n" + runbook(UNDO, "match: ['alertname=\"B\"']"),
    ],
)
def test_a_comment_silences_one_finding(source: str, tmp_path: Path) -> None:
    found = checked(source, tmp_path)
    assert found.findings == []
    (silenced,) = found.silenced
    assert silenced.finding.code == "no-undo"
    assert silenced.reason == "it is known"


@pytest.mark.parametrize(
    "source",
    [
        runbook(f"wait_for: 1m  # {WHY}", UNDO),
        runbook(UNDO, f"# {WHY}", "wait_for: 1m"),
        f"# {WHY}\n" + runbook(name="b") + "---\n" + runbook(UNDO, "match: ['alertname=\"B\"']"),
        runbook(f"# {WHY.replace('no-undo', 'no-verify')}", UNDO),
    ],
)
def test_a_comment_elsewhere_silences_nothing_and_is_told(source: str, tmp_path: Path) -> None:
    found = checked(source, tmp_path)
    assert sorted(one.code for one in found.findings) == ["no-undo", "unused-ignore"]
    assert list(found.silenced) == []


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("ignore", "it names no finding"),
        ("ignore no-undo", "it does not say why no-undo may be ignored"),
        ("ignore no-undoo it is known", 'there is no finding "no-undoo"'),
        ("disable no-undo it is known", '"remediator: disable" means nothing here'),
    ],
)
def test_a_comment_that_can_not_be_read_is_told(comment: str, message: str, tmp_path: Path) -> None:
    found = checked(runbook(f"{UNDO}  # remediator: {comment}"), tmp_path)
    told = {one.code: one for one in found.findings}
    assert told.keys() == {"no-undo", "bad-ignore"}
    assert told["bad-ignore"].message == message
    line = next(n for n, text in enumerate(runbook(UNDO).splitlines(), 1) if "undo" in text)
    assert (told["bad-ignore"].line, told["bad-ignore"].column) == (line, 28)


@pytest.mark.parametrize(
    "value",
    [
        f"docs: '# {WHY}'",
        f'docs: "a # {WHY}"',
        f"docs: |\n  # {WHY}\n  more",
        "docs: a#remediator:ignore no-undo it is known",
    ],
)
def test_a_text_that_looks_like_one_is_none(value: str, tmp_path: Path) -> None:
    found = checked(runbook(value, UNDO), tmp_path)
    assert [one.code for one in found.findings] == ["no-undo"]


def test_an_error_can_not_be_ignored(tmp_path: Path) -> None:
    source = runbook("mood: good  # remediator: ignore unknown-key we like it")
    found = checked(source, tmp_path)
    told = {one.code: one for one in found.findings}
    assert told["unknown-key"].severity is Severity.ERROR
    assert "keeps the file from loading" in told["unused-ignore"].message


def test_settings_and_policies_have_such_comments_too(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(
        "listen: 127.0.0.1:0\n"
        "slack:  # remediator: ignore settings people answer in the CLI\n"
        "  bot_token: xoxb-1\n  channel: C0123456789\n"
    )
    found = checking.check(checking.Wanted([config]), REGISTRY)
    assert found.findings == []
    assert [one.reason for one in found.silenced] == ["people answer in the CLI"]


def test_a_file_without_the_word_costs_nothing() -> None:
    docs = document.parse(runbook(UNDO), "a.yaml")
    assert ignores.read(docs, catalogue.codes()) == ([], [])
