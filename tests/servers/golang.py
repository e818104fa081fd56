"""Building programs out of Go modules, with a Go that is new enough.

A Go that is too old (Debian 12's is 1.19) still downloads the new one: the toolchain is itself a
module, `golang.org/toolchain`, verified by the checksum database like every other.
"""

import functools
import json
import os
import platform
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from . import debian
from .binaries import GoBuild
from .step import StepFailed, capture, run

_REMEDY = (
    "check that the Go module proxy can be reached and that the disk has 8 GB free, "
    "then run this again: what is already compiled is kept"
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def build(recipe: GoBuild, programs: list[str], folder: Path) -> None:
    """Compiles `programs` of the recipe into `folder`."""
    # A program is called after its package, unless the package ends in a version (etcd's does).
    target = f"{folder}/" if len(programs) > 1 else f"{folder}/{programs[0]}"
    run(
        [_suitable_go(_needed(recipe)), "build", "-v", *recipe.flags, "-o", target]
        + [recipe.packages[program] for program in programs],
        env={**_environment(), "GOFLAGS": "-mod=readonly"},
        cwd=recipe.folder,
        remedy=_REMEDY,
    )


def _needed(recipe: GoBuild) -> str:
    text = (recipe.folder / "go.mod").read_text()
    match = re.search(r"^go (\d+\.\d+\.\d+)$", text, re.MULTILINE)
    assert match, f"{recipe.folder}/go.mod has no `go` line with three figures"
    return match[1]


def _environment() -> dict[str, str]:
    """The user's, so that their proxy and caches hold, but nothing that alters the result."""
    changed = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
    return {**os.environ, **changed}


@functools.cache
def _suitable_go(needed: str) -> str:
    """A `go` of at least version `needed`: the one on PATH, or one that it downloads."""
    if shutil.which("go") is None:
        debian.install(["golang-go"])
    go = shutil.which("go")
    remedy = f"install Go {needed} or newer by hand, put it first on PATH, and run this again"
    if go is None:
        raise StepFailed("there is no `go` on PATH", remedy=remedy)
    with TemporaryDirectory() as name:  # a folder without any go.mod
        nowhere = Path(name)
        version = capture([go, "env", "GOVERSION"], env=_environment(), cwd=nowhere, remedy=remedy)
        if _figures(version) >= _figures(needed):
            return go
        print(f"servers: {version} is older than {needed}: downloading that", flush=True)
        module = f"golang.org/toolchain@v0.0.1-go{needed}.linux-{_architecture()}"
        answer = capture(
            [go, "mod", "download", "-json", module],
            env=_environment(),
            cwd=nowhere,
            remedy=remedy,
        )
    return _runnable(Path(json.loads(answer)["Dir"]))


def _runnable(toolchain: Path) -> str:
    """The `go` of a downloaded toolchain; a module is unpacked without its execute bits."""
    for folder in (toolchain / "bin", *(toolchain / "pkg" / "tool").iterdir()):
        for program in folder.iterdir():
            program.chmod(0o555)
    return str(toolchain / "bin" / "go")


def _architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def _figures(version: str) -> tuple[int, ...]:
    """`go1.26.8` and `1.26.0` as figures; a development version counts as too old."""
    match = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part or 0) for part in match.groups()) if match else (0,)
