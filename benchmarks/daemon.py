"""`remediator serve` as the benchmarks run it, and what the kernel says of a process.

The real command with the real settings; only the no-op action comes on top, by an entry point in a
folder on its path.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import traffic
from benchmarks.noop import APPLIED
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.process import Process, free_port
from tests.servers.rest import answers

_ROOT = Path(__file__).resolve().parents[1]
_READY_WITHIN_S = 120.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Limits that count the past would hold nearly every run of a benchmark.
AUTO: Mapping[str, Any] = {
    "mode": "auto",
    "cooldown": "0s",
    "rate": {"per_runbook": [], "total": []},
    "storm": {"opened": None},
    "breaker": {"failures": None},
    "flapping": {"treated": None},
}


class Daemon(RemediatorProcess):
    """One daemon with authentication on, and everything else at its default."""

    def __init__(
        self,
        folder: Path,
        runbooks: Mapping[str, str],
        *,
        journal: str = "",
        **settings: Any,
    ) -> None:
        """`journal` is a URL; without one, SQLite in the folder."""
        self.applied = folder / "applied"
        given = {
            "senders": {"default": {"bearer_token": traffic.TOKEN}},
            "log": {"format": "json", "level": "info"},
            **({"journal": journal} if journal else {}),
            **settings,
        }
        path = os.pathsep.join([str(_plugins(folder)), str(_ROOT)])
        super().__init__(
            folder,
            given,
            runbooks,
            env={"PYTHONPATH": path, APPLIED: str(self.applied)},
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def environment(self) -> dict[str, str]:
        """What its process sees; for whoever starts the command by itself."""
        return {**os.environ, **(self._env or {})}

    def close(self) -> None:
        """Stop it, if it runs, and give its port back."""
        self.stop()

    def applies(self) -> dict[str, int]:
        """Name → when its first apply began, in nanoseconds of the monotonic clock."""
        found: dict[str, int] = {}
        for line in self.applied.read_text().splitlines():
            name, _, at = line.partition(" ")
            found.setdefault(name, int(at))
        return found


@contextmanager
def baseline(kind: str, folder: Path) -> Iterator[int]:
    """Run one of `baselines`; gives its port."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    process = Process(
        kind,
        [sys.executable, "-m", "benchmarks.baselines", kind, str(port), folder / "baseline.db"],
        log=folder / f"{kind}.log",
        ready=lambda: answers(f"http://127.0.0.1:{port}/-/ready"),
        env={"PYTHONPATH": str(_ROOT)},
    )
    process.start(_READY_WITHIN_S)
    try:
        yield port
    finally:
        process.stop()


def resident_mb(pid: int) -> float:
    """Return what the process holds in memory, in MB."""
    return _status_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the most that it has held since `forget_peak`, in MB."""
    return _status_mb(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Count the peak from here on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_s(pid: int) -> float:
    """Return the processor time that the process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def open_files(pid: int) -> int:
    """Return how many files and sockets it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    """Return how many threads it has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(f"/proc/{pid}/status has no {name}")


def _plugins(folder: Path) -> Path:
    """Make a folder that looks like an installed distribution with one entry point."""
    root = folder / "plugins"
    info = root / "remediator_benchmark-0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: remediator-benchmark\nVersion: 0\n"
    )
    (info / "entry_points.txt").write_text("[remediator.plugins]\nnoop = benchmarks.noop:Noop\n")
    return root
