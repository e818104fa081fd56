"""`remediator test`: text, JSON, JUnit XML, coverage, exit codes."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from click.testing import CliRunner, Result

from remediator.cli import main

RUNBOOK = """\
name: shop
description: Restart the shop.
match: ['alertname="ShopDown"']
mode: auto
steps:
  - {id: restart, action: exec, with: {command: [/bin/shopctl], plan_text: restart the shop}}
"""
TESTS = """\
world: {exec: [{command: [/bin/shopctl]}]}
tests:
  - name: it is restarted
    timeline: [{firing: {alertname: ShopDown}}]
    expect: [{at: 1m, runs: [{state: succeeded}], exec: [[shopctl]]}]
"""
FAILING = """\
  - name: nothing happens
    timeline: [{firing: {alertname: ShopDown}}]
    expect: [{at: 1m, exec: []}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a runbook and a test that passes, which is the working directory."""
    (tmp_path / "shop.yaml").write_text(RUNBOOK)
    (tmp_path / "shop.test.yaml").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["test", *args])


@pytest.mark.usefixtures("folder")
def test_a_dot_stands_for_each_test_that_passes() -> None:
    result = run("shop.yaml")
    assert result.exit_code == 0
    assert result.output.startswith("shop.test.yaml .\n\n1 passed in ")


@pytest.mark.usefixtures("folder")
def test_each_has_a_line_when_asked() -> None:
    result = run("-v", ".")
    assert "shop.test.yaml::it is restarted PASSED (" in result.output


@pytest.mark.usefixtures("folder")
def test_what_happened_is_told_when_asked() -> None:
    lines = run("--story", ".").output.splitlines()
    assert "PASSED shop.test.yaml::it is restarted" in lines
    assert "              shop: step restart done: restart the shop: done" in lines


def test_a_failure_shows_the_difference_and_the_story(folder: Path) -> None:
    (folder / "shop.test.yaml").write_text(TESTS + FAILING)
    result = run("shop.test.yaml")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == "shop.test.yaml .F"
    assert "FAILED shop.test.yaml::nothing happens" in lines
    assert "  shop.test.yaml:8:29: at 1m: exec: none was expected" in lines
    assert "    + /bin/shopctl" in lines
    assert '          0s  > fires: alertname="ShopDown"' in lines
    assert lines[-1].startswith("1 failed, 1 passed in ")
    assert "\x1b[" not in result.output


def test_a_file_with_faults_fails_and_the_others_go_on(folder: Path) -> None:
    (folder / "bad.test.yaml").write_text("tests: []\n")
    result = run(".")
    assert result.exit_code == 1
    assert "bad.test.yaml E\n" in result.output
    assert "bad.test.yaml:1:8: error: tests: " in result.output
    assert "1 file with faults, 1 passed" in result.output


def test_a_runbook_without_a_test_is_named(folder: Path) -> None:
    (folder / "other.yaml").write_text(RUNBOOK.replace("name: shop", "name: other"))
    result = run(".")
    assert result.exit_code == 0
    assert "no test: other.yaml; write other.test.yaml beside it" in result.output
    assert run("other.yaml").exit_code == 1
    assert "no test was found" in run("other.yaml").output


def test_too_little_coverage_fails(folder: Path) -> None:
    assert run("shop.yaml", "--fail-under", "100").exit_code == 0
    (folder / "other.yaml").write_text(RUNBOOK.replace("name: shop", "name: other"))
    result = run(".", "--fail-under", "1")
    assert result.exit_code == 1
    assert "remediator: other: its tests cover 0%, under 1%" in result.output


@pytest.mark.usefixtures("folder")
def test_coverage_is_a_table() -> None:
    result = run("shop.yaml", "--coverage")
    assert "shop      100% 2/2\n" in result.output


@pytest.mark.usefixtures("folder")
def test_a_choice_that_nothing_fits_fails() -> None:
    result = run("shop.yaml", "-k", "no such name")
    assert result.exit_code == 1
    assert "no test was found, 1 left out" in result.output


def test_scripts_get_json_and_nothing_else(folder: Path) -> None:
    (folder / "shop.test.yaml").write_text(TESTS + FAILING)
    result = run("shop.yaml", "-o", "json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert (found["passed"], found["failed"]) == (1, 1)
    (failure,) = found["tests"][1]["failures"]
    assert failure["found"] == ["/bin/shopctl"]
    assert failure["line"] == 8
    assert found["coverage"]["runbooks"][0]["percent"] == 100.0


def test_ci_gets_junit_xml(folder: Path) -> None:
    (folder / "shop.test.yaml").write_text(
        TESTS + FAILING.replace("nothing happens", '"nothing happens \\x02"')
    )
    (folder / "bad.test.yaml").write_text("tests: []\n")
    assert run(".", "--junit", "out.xml").exit_code == 1
    root = Xml.parse(folder / "out.xml").getroot()  # noqa: S314 - our own
    assert root.attrib["tests"] == "3"
    assert (root.attrib["failures"], root.attrib["errors"]) == ("1", "1")
    broken, suite = root
    assert broken[0][0].tag == "error"
    assert [case.attrib["name"] for case in suite] == ["it is restarted", "nothing happens �"]
    assert "none was expected" in suite[1][0].attrib["message"]
    assert "+ /bin/shopctl" in (suite[1][0].text or "")


@pytest.mark.usefixtures("folder")
def test_a_path_that_is_not_there_is_a_mistake_of_usage() -> None:
    assert run("nowhere.yaml").exit_code == 2
    assert run().exit_code == 2


@pytest.mark.parametrize("output", [(), ("-o", "json"), ("--junit", "j.xml")])
def test_a_secret_in_an_address_is_not_told(
    output: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    look = "action: http.check, with: {url: 'http://api/healthz?api_key=hunter2hunter2'}"
    Path("shop.yaml").write_text(
        "name: shop\ndescription: d\nmatch: ['alertname=\"ShopDown\"']\n"
        f"steps: [{{id: a, {look}}}]\n"
    )
    Path("shop.test.yaml").write_text(TESTS.replace(", exec: [[shopctl]]", ""))
    result = CliRunner().invoke(main, ["test", ".", *output])
    assert result.exit_code == 1
    told = result.output + (Path("j.xml").read_text() if "--junit" in output else "")
    assert "api_key=" in told
    assert "hunter2" not in told
