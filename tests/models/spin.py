"""Spin, run over a model: exhaustively, and with what it found read back."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.binaries import find

# A search that runs into one of these bounds says so, and is then not complete.
_DEPTH = 200_000
_HASH_BITS = 24
_TIMEOUT_S = 3600  # each test has a shorter one of its own


@dataclass(frozen=True)
class Found:
    """What a search found."""

    output: str

    @property
    def errors(self) -> int:
        """How many errors; the search stops at the first."""
        match = re.search(r"errors: (\d+)", self.output)
        assert match, self.output
        return int(match[1])

    @property
    def complete(self) -> bool:
        """Whether every state that can be reached was looked at."""
        return not re.search(r"not completed|too small|out of memory|aborted", self.output)

    @property
    def states(self) -> int:
        """How many different states were looked at."""
        match = re.search(r"(\d+) states, stored", self.output)
        assert match, self.output
        return int(match[1])

    @property
    def violated(self) -> str:
        """What did not hold: an assertion's text, or `acceptance cycle`; empty if all did."""
        told = r"(?m)^pan:1: (?:assertion violated )?(.+?) \(at depth"
        match = re.search(told, self.output)
        return match[1].strip() if match else ""


def search(model: Path, folder: Path, *macros: str, endless: bool = False) -> Found:
    """Look at every state of a model.

    Args:
        model: the Promela file.
        folder: where the verifier is made; an error's trail is left there.
        macros: `NAME` or `NAME=value`.
        endless: check the model's temporal property, under weak fairness, and not its assertions
            alone.
    """
    defines = [f"-D{macro}" for macro in macros]
    _run(folder, find("spin"), *defines, "-a", model)
    kind = ["-DNFAIR=3"] if endless else ["-DSAFETY"]
    _run(folder, find("gcc"), "-O2", "-w", "-DCOLLAPSE", *kind, "-o", "pan", "pan.c")
    # The end of a run, after which nothing moves, is no fault: that it comes is a property.
    how = ["-a", "-f"] if endless else ["-E"]
    return Found(_run(folder, folder / "pan", *how, f"-m{_DEPTH}", f"-w{_HASH_BITS}"))


def _run(folder: Path, *argv: str | Path) -> str:
    result = subprocess.run(
        argv,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    assert result.returncode == 0, f"{argv}\n{result.stdout}"
    return result.stdout
