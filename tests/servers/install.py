"""Installs the tests' servers: `python3 -m tests.servers.install [--list] SET...`.

Debian packages for what Debian has; Go modules and npm packages for what it has too old or not at
all. What is already there costs nothing, so this runs at the start of every `make test`. Standard
library only.
"""

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from . import debian, golang, npm
from .binaries import SETS, BinaryMissing, GoBuild, NpmInstall, ServerSet, locate
from .step import StepFailed


def main(arguments: list[str] | None = None) -> int:
    """Installs the sets that are named; 0 when every one of their programs can be run."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.servers.install", description=__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--list", action="store_true", help="print where each program is")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.sets if name not in SETS]:
        parser.error(f"no set named {', '.join(unknown)}; there are {', '.join(SETS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left half done
    try:
        sets = [SETS[name] for name in options.sets]
        install(sets)
        if options.list:
            _print_list(sets or SETS.values())
    except (StepFailed, BinaryMissing) as failure:
        print(f"servers: {failure}", file=sys.stderr)
        return 1
    return 0


def install(sets: Iterable[ServerSet]) -> None:
    """Installs what is missing from `sets`, Debian packages first because they are quick."""
    sets = list(sets)
    wanting = [s for s in sets if s.packages and _missing(s)]
    debian.install(
        packages=[p for s in wanting for p in s.packages],
        units=[u for s in wanting for u in s.units],
    )
    for build in [b for s in sets for b in s.builds]:
        if isinstance(build, GoBuild):
            _build(build)
        else:
            _install(build)
    if missing := [name for s in sets for name in _missing(s)]:
        raise StepFailed(
            f"still missing after the installation: {', '.join(missing)}",
            remedy="look at the messages above; `--list` shows the variable that names a program",
        )


def _missing(group: ServerSet) -> list[str]:
    return [binary.name for binary in group.binaries if locate(binary) is None]


def _missing_programs(build: GoBuild | NpmInstall) -> list[str]:
    of_this_build = [b for group in SETS.values() for b in group.binaries if b.build is build]
    return [binary.name for binary in of_this_build if locate(binary) is None]


def _build(build: GoBuild) -> None:
    """Builds the programs that are missing and moves each into the cache whole, or not at all."""
    if not _missing_programs(build):
        return
    build.bin.mkdir(parents=True, exist_ok=True)
    with _alone(build.bin.parent / "lock"):
        programs = _missing_programs(build)
        if not programs:
            return  # the process that we waited for has built them
        print(
            f"servers: building {build.title} from Go modules: about {build.minutes} minutes on "
            f"two cores the first time, cached afterwards in {build.bin}",
            flush=True,
        )
        started = time.monotonic()
        with TemporaryDirectory(dir=build.bin.parent, prefix="building-") as folder:
            golang.build(build, programs, Path(folder))
            for program in programs:
                (Path(folder) / program).replace(build.bin / program)
        print(f"servers: {build.title} built in {time.monotonic() - started:.0f} s", flush=True)


def _install(packages: NpmInstall) -> None:
    """Installs npm packages into the cache whole, or not at all."""
    if not _missing_programs(packages):
        return
    place = packages.bin.parent
    place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(place.parent / "lock"):
        if not _missing_programs(packages):
            return  # the process that we waited for has installed them
        print(f"servers: installing {packages.title} with npm", flush=True)
        with TemporaryDirectory(dir=place.parent, prefix="installing-") as folder:
            npm.install(packages, Path(folder))
            (Path(folder) / "node_modules").replace(place)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One build at a time: a second `make test` waits and then finds the programs ready."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _print_list(sets: Iterable[ServerSet]) -> None:
    for binary in (b for group in sets for b in group.binaries):
        print(f"{binary.name:24} {binary.variable:40} {locate(binary) or 'missing'}")


if __name__ == "__main__":
    sys.exit(main())
