"""Proves the demo: the whole story really happens, with and without a person at a terminal, and
nothing is left behind; a person's no is respected."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.commands import environment, until

_WITHIN_S = 180.0


def _start(tmp: Path, *arguments: str, **more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return] # streams differ by test
        # Whoever runs the tests in the background ignores SIGINT, and a child inherits that.
        ["env", "--default-signal=INT", sys.executable, "-m", "remediator", "demo", *arguments],
        cwd=tmp,
        env=environment(TMPDIR=str(tmp)),
        text=True,
        **more,
    )


def _children_of(folder: Path) -> list[str]:
    """Return the command lines of living processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        if f"{folder}/remediator-" in line:
            found.append(line)
    return found


def test_without_a_terminal(tmp_path: Path) -> None:
    demo = _start(
        tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = demo.communicate(timeout=_WITHIN_S)
    assert demo.returncode == 0, out + err
    assert err == ""
    assert "\x1b" not in out, "no colours in a pipe"
    story = [
        "Act 1: the checkout becomes slow",
        "CheckoutSlow fires",
        "workers 2 → 6",
        "20 of 21 allow it",
        "no terminal to ask on, so the demo approves by itself",
        "approved by local",
        "95% of orders within",
        "CheckoutSlow is resolved",
        "the run has succeeded",
        "Act 2: a repair that does not help",
        "cache on → off",
        "all 21 allow it; mode auto",
        "it did not help within 4s",
        "the run is rolled back",
        "the price cache is on, as it was before",
        "pager",
        "the chain is whole",
        "the audit chain is broken: record",
        "All of that really happened",
    ]
    flat = re.sub(r"\s+", " ", out)
    at = 0
    for part in story:
        found = flat.find(part, at)
        assert found >= 0, f"{part!r} is not told, or not in its place:\n{out}"
        at = found
    assert max(map(len, out.splitlines())) <= 88
    assert list(tmp_path.iterdir()) == []
    assert _children_of(tmp_path) == []


@dataclass
class Terminal:
    """A pseudo-terminal with the demo on it."""

    process: subprocess.Popen[str]
    master: int
    text: str = field(default="")

    def read_until(self, part: str) -> None:
        """Read on until a text has come, or the end."""
        deadline = time.monotonic() + _WITHIN_S
        while part not in self.text:
            assert time.monotonic() < deadline, self.text
            if not self.read():
                break
        assert part in self.text, self.text

    def read(self) -> bool:
        """Read what there is within a second; False at the end."""
        if not select.select([self.master], [], [], 1.0)[0]:
            return self.process.poll() is None
        try:
            more = os.read(self.master, 65536)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.text += more.decode(errors="replace")
        return bool(more)

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        while self.read():
            pass
        return self.process.wait(_WITHIN_S)


@contextmanager
def _terminal(tmp: Path) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    demo = _start(tmp, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    try:
        yield Terminal(demo, master)
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGTERM)
            demo.wait(_WITHIN_S)
        os.close(master)


def test_a_person_says_yes(tmp_path: Path) -> None:
    with _terminal(tmp_path) as terminal:
        terminal.read_until("Approve? [Y/n]")
        assert "\x1b[" in terminal.text, "colours on a terminal"
        os.write(terminal.master, b"what?\n")
        until(lambda: terminal.read() and terminal.text, lambda t: t.count("Approve?") == 2)
        os.write(terminal.master, b"y\n")
        assert terminal.end() == 0, terminal.text
    assert "All of that really happened" in terminal.text
    assert list(tmp_path.iterdir()) == []


def test_a_person_says_no(tmp_path: Path) -> None:
    with _terminal(tmp_path) as terminal:
        terminal.read_until("Approve? [Y/n]")
        os.write(terminal.master, b"n\n")
        assert terminal.end() == 1, terminal.text
    assert "denied by local" in terminal.text
    assert "no: nothing was changed, and the checkout stays slow" in terminal.text
    assert "Traceback" not in terminal.text
    assert list(tmp_path.iterdir()) == []
    assert _children_of(tmp_path) == []


def test_interrupted_it_cleans_up(tmp_path: Path) -> None:
    with _terminal(tmp_path) as terminal:
        terminal.read_until("Approve? [Y/n]")
        assert len(_children_of(tmp_path)) >= 2, "the shop and the daemon"
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 1, terminal.text
    assert "Traceback" not in terminal.text
    assert list(tmp_path.iterdir()) == []
    assert _children_of(tmp_path) == []
