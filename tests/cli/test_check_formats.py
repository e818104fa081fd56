"""Proves what other programs read of `check`: JSON, SARIF by its own schema, GitHub's commands."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from remediator.cli import check_formats, checking, sarif
from remediator.plugin import registry as plugins
from remediator.runbook.findings import Edit, Finding, Fix, Severity
from remediator.runbook.lint import catalogue
from remediator.runbook.lint.ignores import Silenced
from tests.cli.commands import remediator

REGISTRY = plugins.load(third_party=False)
SCHEMA = json.loads(Path(__file__).with_name("sarif-schema-2.1.0.json").read_text())
RUNBOOK = """\
name: example
description: An example.
match: ['alertname="Example"']
if: ${{ labels.tier == "web" }}
steps:
  - id: restart
    action: kubernetes.rollout_restart
    with: {namespace: shop, deployment: api}
on_failure: {undo: false}  # remediator: ignore no-undo a restart can't be taken back
"""


def finding(**more: object) -> Finding:
    given: dict[str, object] = {
        "file": "a.yaml",
        "line": 3,
        "column": 5,
        "severity": Severity.WARNING,
        "code": "no-verify",
        "message": "m",
    }
    return Finding(**{**given, **more})  # type: ignore[arg-type]


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> checking.Checked:
    monkeypatch.chdir(tmp_path)
    Path("run books").mkdir()
    Path("run books/a.yaml").write_text(RUNBOOK)
    return checking.check(checking.Wanted([Path("run books")]), REGISTRY)


def test_sarif_is_valid_and_says_everything(checked: checking.Checked, tmp_path: Path) -> None:
    log = sarif.of(checked, "1.2.3", tmp_path)
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    (run,) = log["runs"]
    results = {one["ruleId"]: one for one in run["results"]}
    assert results.keys() == {"no-verify", "deprecated-condition", "no-undo"}
    for one in run["results"]:
        assert run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] == one["ruleId"]
    (place,) = results["deprecated-condition"]["locations"]
    assert place["physicalLocation"]["artifactLocation"] == {
        "uri": "run%20books/a.yaml",
        "uriBaseId": "SRCROOT",
    }
    assert place["physicalLocation"]["region"] == {
        "startLine": 4,
        "startColumn": 5,
        "endLine": 4,
        "endColumn": 32,
    }
    (silenced,) = results["no-undo"]["suppressions"]
    assert silenced["justification"] == "a restart can't be taken back"
    assert "suppressions" not in results["no-verify"]


def test_a_fix_in_sarif_mends_the_text(checked: checking.Checked, tmp_path: Path) -> None:
    log = sarif.of(checked, "1.2.3", tmp_path)
    (fix,) = next(r for r in log["runs"][0]["results"] if "fixes" in r)["fixes"]
    text = RUNBOOK
    replacements = fix["artifactChanges"][0]["replacements"]
    for one in sorted(replacements, key=lambda r: -r["deletedRegion"]["charOffset"]):
        start = one["deletedRegion"]["charOffset"]
        end = start + one["deletedRegion"]["charLength"]
        text = text[:start] + one["insertedContent"]["text"] + text[end:]
    assert text == RUNBOOK.replace('${{ labels.tier == "web" }}', 'labels.tier == "web"')


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("end", [None, (3, 9), (4, 1), (2, 1)])
def test_any_finding_is_valid_sarif(severity: Severity, end: tuple[int, int] | None) -> None:
    fix = Fix("write x", (Edit(0, 0, "# é\n"),))
    one = finding(
        severity=severity, end=end, fix=fix, file="/elsewhere/ü %.yaml", code="no-such-code"
    )
    seen = checking.Checked(1, 1, [one], [Silenced(finding(), "because")])
    jsonschema.Draft4Validator(SCHEMA).validate(sarif.of(seen, "0.1.0", Path("/here")))


def test_the_command_writes_sarif(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RUNBOOK)
    ran = remediator("check", "a.yaml", "-o", "sarif", cwd=tmp_path)
    assert ran.returncode == 1
    jsonschema.Draft4Validator(SCHEMA).validate(json.loads(ran.stdout))


def unescaped(command: str) -> tuple[str, dict[str, str], str]:
    """Read a workflow command as GitHub's runner does (ActionCommand.cs)."""
    found = re.fullmatch(r"::(\w+) (.*?)::(.*)", command)
    assert found is not None, command

    def data(text: str) -> str:
        return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")

    properties = {}
    for one in found[2].split(","):
        name, _, value = one.partition("=")
        properties[name] = data(value.replace("%3A", ":").replace("%2C", ","))
    return found[1], properties, data(found[3])


@pytest.mark.parametrize(
    "text", ["50% of a,b: c", "two\r\nlines", "::error::x", "%0A is no line", "100%25"]
)
def test_whatever_is_said_reaches_github_as_it_is(text: str) -> None:
    one = finding(message=text, file=f"dir,{text[:3]}/a:b%.yaml", end=(3, 9), hint="do: this, 5%")
    line, _ = check_formats.github(checking.Checked(1, 1, [one]))
    level, properties, message = unescaped(line)
    assert level == "warning"
    assert message == f"{text}; do: this, 5%"
    assert properties == {
        "file": one.file,
        "line": "3",
        "col": "5",
        "endLine": "3",
        "endColumn": "9",
        "title": "remediator no-verify",
    }


@pytest.mark.parametrize(
    ("severity", "level"),
    [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "notice")],
)
def test_github_has_levels_of_its_own(severity: Severity, level: str) -> None:
    line, _ = check_formats.github(checking.Checked(1, 1, [finding(severity=severity)]))
    assert line.startswith(f"::{level} ")


def test_json_has_ends_fixes_and_what_is_ignored(checked: checking.Checked) -> None:
    told = check_formats.to_json(checked)
    by_code = {one["code"]: one for one in told["findings"]}
    condition = by_code["deprecated-condition"]
    assert (condition["end_line"], condition["end_column"]) == (4, 32)
    assert condition["fix"] == "take away the ${{ }}"
    assert told["ignored"][0]["reason"] == "a restart can't be taken back"


def test_the_text_says_where_a_code_is_explained(checked: checking.Checked) -> None:
    *findings, page, summary = check_formats.text(checked)
    assert len(findings) == 2
    for code in ("deprecated-condition", "no-verify"):
        assert f"docs/findings.md#{code}" in page
    assert summary == "1 file, 1 runbook: 2 warnings (1 finding ignored)"


def test_explain_prints_the_page_of_a_code() -> None:
    ran = remediator("check", "--explain", "no-verify")
    assert ran.returncode == 0
    assert ran.stdout == f"no-verify\n\n{catalogue.codes()['no-verify'].text}\n"
    wrong = remediator("check", "--explain", "no-verfy")
    assert wrong.returncode == 1
    assert 'did you mean "no-verify"?' in wrong.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--fail-on", "error"], 0),
        (["--fail-on", "never"], 0),
        (["--fail-on", "info"], 1),
        (["--severity", "error"], 1),
    ],
)
def test_what_fails_is_chosen(tmp_path: Path, options: list[str], code: int) -> None:
    (tmp_path / "a.yaml").write_text(RUNBOOK)
    ran = remediator("check", "a.yaml", *options, cwd=tmp_path)
    assert ran.returncode == code
    assert ("[no-verify]" in ran.stdout) == ("--severity" not in options)
