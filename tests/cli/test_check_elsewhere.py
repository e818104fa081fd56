"""Proves `check` where others run it: as a hook of pre-commit, and as an Action of GitHub, whose
scripts are run here as its runner runs them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from ruamel.yaml import YAML

from remediator import cli
from tests.cli.commands import ROOT, environment
from tests.runbook.lint.linting import runbook

ACTION = YAML(typ="safe", pure=True).load((ROOT / "action.yml").read_text())
HOOKS = YAML(typ="safe", pure=True).load((ROOT / ".pre-commit-hooks.yaml").read_text())
SARIF = json.loads((ROOT / "tests/cli/sarif-schema-2.1.0.json").read_text())
BAD = runbook("if: ${{ has(labels.x) }}")


def run(words: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command where `remediator` is on the PATH."""
    path = os.pathsep.join(
        [env.pop("front", ""), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    return subprocess.run(
        words,
        cwd=folder,
        env=environment(PATH=path, **env),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def parses(line: str) -> None:
    """Prove that a command line of ours is one: its name, its options and their values."""
    words = shlex.split(line)
    assert words[0] == "remediator"
    context = click.Context(cli.main)
    command = cli.main.get_command(context, words[1])
    assert isinstance(command, click.Command), line
    with command.make_context(words[1], words[2:], parent=context) as parsed:
        assert parsed.params is not None


# ------------------------------------------------------------------------------ pre-commit


def repository(folder: Path, hook: Mapping[str, Any], text: str) -> None:
    """Make a repository whose hook is ours, with the commands that are installed here."""
    (folder / "runbooks").mkdir()
    (folder / "runbooks/a.yaml").write_text(text)
    local = {**hook, "language": "system"}
    config = {"repos": [{"repo": "local", "hooks": [local]}]}
    (folder / ".pre-commit-config.yaml").write_text(json.dumps(config))
    for words in (["git", "init", "-q"], ["git", "add", "."]):
        assert run(words, folder).returncode == 0


def pre_commit(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the hooks over all files, as CI does."""
    home = folder.parent / "pre-commit"
    shim = folder.parent / "bin"
    shim.mkdir(exist_ok=True)
    script = shim / "remediator"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m remediator "$@"\n')
    script.chmod(0o755)
    words = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--verbose"]
    return run(words, folder, front=str(shim), PRE_COMMIT_HOME=str(home))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: str(hook["id"]))
def test_each_hook_is_a_command_of_ours(hook: Mapping[str, Any]) -> None:
    parses(" ".join([hook["entry"], *hook["args"]]))
    assert hook["language"] == "python"
    assert re.search(hook["files"], "runbooks/a.yaml")


def test_pre_commit_takes_our_hooks() -> None:
    checked = run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml"], ROOT
    )
    assert checked.returncode == 0, checked.stdout


def test_the_hook_stops_what_check_finds(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    folder.mkdir()
    repository(folder, HOOKS[0], BAD)
    ran = pre_commit(folder)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "[deprecated-condition]" in ran.stdout
    (folder / "runbooks/a.yaml").write_text(runbook())
    ran = pre_commit(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_hook_that_mends_fails_once_and_leaves_it_mended(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    folder.mkdir()
    repository(folder, HOOKS[1], BAD)
    ran = pre_commit(folder)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "files were modified by this hook" in ran.stdout
    assert (folder / "runbooks/a.yaml").read_text() == runbook("if: has(labels.x)")
    assert run(["git", "add", "."], folder).returncode == 0
    assert pre_commit(folder).returncode == 0


# ---------------------------------------------------------------------------------- action


class Runner:
    """What GitHub's runner gives to the steps of a composite action."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.temp = folder / "temp"
        self.output, self.path = folder / "output", folder / "path"
        self.work.mkdir()
        self.temp.mkdir()
        self.output.touch()
        self.path.touch()

    def step(
        self, name: str, source: Path = ROOT, **inputs: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one step with these inputs, as `bash` of the runner does."""
        (step,) = [one for one in ACTION["runs"]["steps"] if one["name"] == name]
        given = {k: str(v.get("default", "")) for k, v in ACTION["inputs"].items()} | {
            key.replace("_", "-"): value for key, value in inputs.items()
        }
        env = {}
        for key, value in step.get("env", {}).items():
            asked = re.fullmatch(r"\$\{\{ (inputs|github)\.([\w-]+) \}\}", value)
            assert asked is not None, value
            env[key] = str(source) if asked[1] == "github" else given[asked[2]]
        assert step["shell"] == "bash"
        script = self.temp / "script.sh"
        script.write_text(step["run"])
        front = os.pathsep.join(self.path.read_text().split())
        return run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            self.work,
            front=front,
            RUNNER_TEMP=str(self.temp),
            GITHUB_OUTPUT=str(self.output),
            GITHUB_PATH=str(self.path),
            PIP_NO_INDEX="1",
            **env,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the step that installs, with the dependencies that are here: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("action")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "remediator", source / "remediator")
    (source / ".ci").mkdir()
    for name in ("requirements.lock", ".ci/build-requirements.lock"):
        assert (ROOT / name).is_file()
        (source / name).touch()
    runner = Runner(folder)
    ran = runner.step("Install remediator", source, python=_python(folder))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("remediator ")
    return folder


def _python(folder: Path) -> str:
    """Return a Python whose environments find the dependencies that are installed here."""
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\n"{sys.executable}" "$@" && '
        f'echo "{sysconfig.get_paths()["purelib"]}" > '
        f'"$3"/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/here.pth\n'
    )
    python.chmod(0o755)
    return str(python)


@pytest.fixture
def runner(installed: Path, tmp_path: Path) -> Runner:
    found = Runner(tmp_path)
    found.path.write_text((installed / "path").read_text())
    (found.temp / "remediator").symlink_to(installed / "temp/remediator")
    (found.work / "run books").mkdir()
    return found


def test_what_is_installed_holds_the_pages_of_findings(installed: Path) -> None:
    program = installed / "temp/remediator/bin/remediator"
    told = run([str(program), "check", "--explain", "no-verify"], installed)
    assert told.stdout.startswith("no-verify\n\nwarning: ")
    pages = list((installed / "temp/remediator/lib").glob("**/lint/pages/*.md"))
    assert len(pages) >= 12


def test_the_action_annotates_counts_and_writes_sarif(runner: Runner) -> None:
    (runner.work / "run books/a.yaml").write_text(BAD)
    ran = runner.step(
        "Check the runbooks", paths="run books/\n\n", sarif_file="found.sarif", severity="warning"
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert ran.stdout.startswith("::warning file=run books/a.yaml,line=6,col=5,")
    assert runner.output.read_text() == "errors=0\nwarnings=1\n"
    jsonschema.Draft4Validator(SARIF).validate(
        json.loads((runner.work / "found.sarif").read_text())
    )
    ran = runner.step("Check the runbooks", paths="run books/", fail_on="never")
    assert ran.returncode == 0


def test_the_action_passes_settings_and_rules(runner: Runner) -> None:
    (runner.work / "run books/a.yaml").write_text(runbook("mode: auto"))
    (runner.work / "my rules.yaml").write_text(
        "groups: [{name: a, rules: [{alert: Other, expr: up == 0}]}]\n"
    )
    (runner.work / "settings.yaml").write_text("policy: {mode: observe}\n")
    ran = runner.step(
        "Check the runbooks", paths="run books/", rules="my rules.yaml", config="settings.yaml"
    )
    assert ran.returncode == 1
    assert "no-such-alert" in ran.stdout
    assert "policy-refuses" in ran.stdout


def test_nothing_in_an_input_is_run(runner: Runner) -> None:
    (runner.work / "run books/a.yaml").write_text(runbook())
    ran = runner.step("Check the runbooks", paths="$(touch ran)`touch ran`; touch ran")
    assert ran.returncode != 0
    assert not (runner.work / "ran").exists()
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"], "an input in a script would be run"


TEST = """\
tests:
  - name: a restart that finds nothing fails
    timeline: [{at: 0s, firing: {alertname: Example}}]
    expect: [{at: 1m, runs: [{state: failed}]}]
"""


def test_the_action_runs_the_tests(runner: Runner) -> None:
    (runner.work / "run books/a.yaml").write_text(runbook())
    ran = runner.step("Test the runbooks", paths="run books/")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "no test is run" in ran.stdout
    (runner.work / "run books/a.test.yaml").write_text(TEST)
    ran = runner.step("Test the runbooks", paths="run books/", junit_file="junit.xml")
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "<testsuite" in (runner.work / "junit.xml").read_text()


def test_every_input_is_used_and_told_of() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])
    told = (ROOT / "docs/findings.md").read_text()
    for name, given in ACTION["inputs"].items():
        assert given["description"].endswith("."), name
        assert f"`{name}`" in told, name
