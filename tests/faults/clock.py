"""A wall clock that a test sets while the daemon runs: libfaketime, loaded into it alone.

The clock that never goes back is left as it is, as when a machine's time is set.
"""

import subprocess
from functools import cache
from pathlib import Path

from tests.servers.binaries import find

_ASK = ("-m", "now", "env")


class WallClock:
    """Says what the real one says until it is set."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """From now on it is so far ahead of the real one; behind it, if negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be started with, to see it."""
        return {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "NO_FAKE_STAT": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else threads that wait for Python's lock by that clock are woken at once, and spin.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


@cache
def _library() -> str:
    """Where the library is, which Debian's `faketime` knows."""
    said = subprocess.run([find("faketime"), *_ASK], capture_output=True, text=True, check=True)
    return next(
        line.removeprefix("LD_PRELOAD=")
        for line in said.stdout.splitlines()
        if line.startswith("LD_PRELOAD=")
    )
