"""deploy/host/remediator-host does the few things that it knows, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy/host/remediator-host"


class Machine:
    """A machine whose commands only write down that they were called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log"
        self._log.touch()
        self.command("sudo")
        (folder / "units").write_text("rsyslog.service\n")

    def command(self, name: str, *, prints: str = "", status: int = 0) -> None:
        """Put a command in the way of the real one."""
        path = self._folder / name
        lines = [
            "#!/bin/sh",
            f'echo {name} "$@" >> {self._log}',
            f"echo '{prints}'",
            f"exit {status}",
        ]
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o755)

    def asked(self, line: str | None) -> int:
        """Return the exit status for what came over ssh."""
        environment = {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "REMEDIATOR_HOST_UNITS": str(self._folder / "units"),
        }
        if line is not None:
            environment["SSH_ORIGINAL_COMMAND"] = line
        done = subprocess.run(
            ["/bin/sh", SCRIPT], env=environment, capture_output=True, timeout=20, check=False
        )
        return done.returncode

    @property
    def done(self) -> list[str]:
        """What was called, in order."""
        return self._log.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("line", "does"),
    [
        ("journal-vacuum", "sudo -n /usr/bin/journalctl --vacuum-size=500M"),
        ("chrony-restart", "sudo -n /usr/bin/systemctl restart chronyd.service"),
        ("unit-restart rsyslog.service", "sudo -n /usr/bin/systemctl restart rsyslog.service"),
    ],
)
def test_a_word_does_its_one_thing(machine: Machine, line: str, does: str) -> None:
    assert machine.asked(line) == 0
    assert machine.done == [does]


@pytest.mark.parametrize(
    "line",
    [
        None,
        "",
        "sh",
        "journal-vacuum; reboot",
        "journal-vacuum --vacuum-size=1",
        "unit-restart",
        "unit-restart sshd.service",
        "unit-restart rsyslog.service sshd.service",
        "unit-restart rsyslog.service; reboot",
        "unit-restart $(reboot)",
        "unit-restart --now",
        "unit-restart rsyslog.service\nsshd.service",
        "unit-restart ",
        "unit-is-active sshd.service",
    ],
)
def test_anything_else_is_refused_and_does_nothing(machine: Machine, line: str | None) -> None:
    assert machine.asked(line) == 64
    assert machine.done == []


@pytest.mark.parametrize(("status", "answer"), [(0, 0), (3, 1), (4, 1)])
def test_whether_a_unit_is_active_is_yes_or_no(machine: Machine, status: int, answer: int) -> None:
    machine.command("systemctl", status=status)
    assert machine.asked("unit-is-active rsyslog.service") == answer


@pytest.mark.parametrize(("size", "answer"), [("500\t/var/log/journal", 0), ("4000\tx", 1)])
def test_whether_the_journal_is_small_is_yes_or_no(
    machine: Machine, size: str, answer: int
) -> None:
    machine.command("du", prints=size)
    assert machine.asked("journal-is-small") == answer


@pytest.mark.parametrize(("said", "answer"), [("yes", 0), ("no", 1)])
def test_whether_the_clock_is_set_is_yes_or_no(machine: Machine, said: str, answer: int) -> None:
    machine.command("timedatectl", prints=said)
    assert machine.asked("clock-is-set") == answer


def test_every_word_of_a_runbook_is_known() -> None:
    script = SCRIPT.read_text()
    words = {
        line.split()[1]
        for path in ROOT.glob("runbooks/node-*.yaml")
        if not path.name.endswith(".test.yaml")
        for line in path.read_text().splitlines()
        if line.strip().startswith(("do: ", "done: "))
    }
    assert {"journal-vacuum", "unit-restart", "clock-is-set"} <= words
    for word in words:
        assert f"\n{word})" in script or f"\n{word}\\ *)" in script
