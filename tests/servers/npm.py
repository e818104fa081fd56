"""Installing programs out of npm packages, pinned by a lock that holds versions and hashes."""

import shutil
from pathlib import Path

from .binaries import SETS, NpmInstall, locate
from .step import StepFailed, run

_FILES = ("package.json", "package-lock.json")


def install(packages: NpmInstall, folder: Path) -> None:
    """Installs the packages into `folder`; no script of theirs is run."""
    found = next((locate(one) for one in SETS["node"].binaries if one.name == "npm"), None)
    if found is None:
        raise StepFailed("there is no `npm` on PATH", remedy="name the set `node` before `editor`")
    for name in _FILES:
        shutil.copy(packages.folder / name, folder / name)
    run(
        [str(found), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"],
        cwd=folder,
        remedy="check that the npm registry can be reached, and run this again",
    )
