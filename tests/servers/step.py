"""One step of the installation: a command that runs, and what to say when it does not."""

import shlex
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

_HEARTBEAT_S = 30
_KEPT_LINES = 25


class StepFailed(RuntimeError):
    """A step of the installation failed; the message says which, how, and what to do."""

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(f"{what}\n  what to do: {remedy}")


def run(
    argv: Sequence[str],
    *,
    remedy: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Runs a long command quietly: a line every half minute, its last lines when it fails."""
    started = said = monotonic()
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=cwd
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            kept.append(line.rstrip())
            if monotonic() - said > _HEARTBEAT_S:
                said = monotonic()
                print(f"servers:   {said - started:.0f} s: {kept[-1]}", flush=True)
    if process.returncode:
        raise StepFailed(
            f"`{shlex.join(argv)}` ended with {process.returncode}; its last lines:\n"
            + "\n".join(f"    {line}" for line in kept),
            remedy=remedy,
        )


def capture(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, remedy: str) -> str:
    """What a short command prints."""
    result = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=cwd, check=False)
    if result.returncode:
        raise StepFailed(
            f"`{shlex.join(argv)}` ended with {result.returncode}: {result.stderr.strip()}",
            remedy=remedy,
        )
    return result.stdout.strip()
