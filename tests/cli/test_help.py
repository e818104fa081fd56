"""Proves that help is complete and quick: it imports nothing heavy, and names every command."""

import subprocess
import sys

import pytest

from remediator.cli import COMMANDS
from tests.cli.commands import ROOT, environment, remediator

HEAVY = ("pydantic", "aiohttp", "rich", "ruamel", "structlog", "cel_expr_python", "remediator.app")


def test_help_lists_every_command_of_the_contract() -> None:
    shown = remediator("--help")
    assert shown.returncode == 0
    listed = [
        line.split()[0]
        for line in shown.stdout.partition("Commands:")[2].splitlines()
        if line[2:3].strip()
    ]
    assert listed == list(COMMANDS)
    assert set(listed) == {
        "serve",
        "new",
        "demo",
        "check",
        "test",
        "simulate",
        "replay",
        "record",
        "run",
        "runs",
        "approve",
        "deny",
        "snooze",
        "approvals",
        "incidents",
        "pause",
        "resume",
        "audit",
        "db",
        "schema",
        "actions",
        "config",
        "notify",
        "rbac",
        "policy",
        "override",
        "report",
        "promote",
        "breaker",
    }


def test_help_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "remediator", "--help"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "remediator.cli" in imported
    assert not [name for name in imported if name.startswith(HEAVY)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    shown = remediator(command, "--help")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"Usage: remediator {command}")


def test_an_unknown_command_names_the_nearest() -> None:
    shown = remediator("aprove")
    assert shown.returncode == 2
    assert shown.stderr.splitlines()[-1] == (
        "Error: there is no command 'aprove'; did you mean approve?"
    )


def test_version() -> None:
    assert remediator("--version").stdout == "remediator 0.1.0\n"
