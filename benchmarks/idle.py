"""An idle daemon with the runbooks and settings that are shipped: memory, start, processor time."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.daemon import Daemon, cpu_s, resident_mb
from benchmarks.measure import Bench, Figure, Measured, Target

_ROOT = Path(__file__).resolve().parents[1]
_SETTLE_S = 5.0


def idle(bench: Bench) -> Measured:
    """What it holds and uses when nothing happens, and how long it takes to be ready."""
    rounds, look_s = bench.size(5, 1), bench.size(30, 1)
    runbooks = {
        file.stem: file.read_text()
        for file in sorted(_ROOT.glob("runbooks/**/*.yaml"))
        if not file.name.endswith(".test.yaml")
    }
    starts, memory, cpu = [], [], []
    with closing(Daemon(bench.folder / "daemon", runbooks)) as daemon:
        for number in range(rounds):
            began = time.monotonic()
            with _serving(daemon) as pid:
                starts.append(time.monotonic() - began)
                if number < bench.size(2, 1):
                    time.sleep(0.1 if bench.quick else _SETTLE_S)
                    memory.append(resident_mb(pid))
                    before = cpu_s(pid)
                    time.sleep(look_s)
                    cpu.append((cpu_s(pid) - before) / look_s * 100)
    return Measured(
        [
            Figure("resident memory", memory, "MB", Target(at_most=120)),
            Figure("start to ready", starts, "s", Target(at_most=1.5)),
            Figure("processor time", cpu, "%", Target(at_most=0.5)),
        ],
        notes=["Start to ready: from the command to its line «remediator listens on …»."],
    )


@contextmanager
def _serving(daemon: Daemon) -> Iterator[int]:
    """Run the command itself from its start to the line that it prints when it is ready; gives its
    process id."""
    daemon.write_settings()
    with (
        daemon.log.open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", "remediator", "serve", "--config", str(daemon.config)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=daemon.environment,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("remediator listens on"), daemon.log_tail()
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)
