"""Debian packages: only those missing, and without starting the services that they bring."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .step import StepFailed, run

_POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's switch: while it exits with 101, a package's scripts start no service."""


def install(packages: Sequence[str], units: Sequence[str] = ()) -> None:
    """Installs `packages`, and leaves `units` neither running nor enabled."""
    wanted = [package for package in packages if not installed(package)]
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise StepFailed(
            f"this is not a Debian system, so {', '.join(wanted)} cannot be installed here",
            remedy="install those servers yourself; REMEDIATOR_TEST_… variables point at them",
        )
    print(f"servers: installing Debian packages: {' '.join(wanted)}", flush=True)
    apt = _as_root(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"
    )
    run([*apt, "update"], remedy="check the network and the package sources, then run this again")
    with _no_service_starts():
        run(
            [*apt, "install", "--yes", "--no-install-recommends", *wanted],
            remedy="run that command by hand to see what stops it, then run this again",
        )
    if Path("/run/systemd/system").is_dir() and units:
        run(_as_root("systemctl", "disable", "--quiet", *units), remedy="disable them by hand")


def installed(package: str) -> bool:
    """Whether dpkg has the package installed (not merely its configuration)."""
    if shutil.which("dpkg-query") is None:
        return False
    result = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout == "installed"


@contextmanager
def _no_service_starts() -> Iterator[None]:
    if _POLICY.exists():  # a container image's own policy, which stays
        yield
        return
    with TemporaryDirectory() as folder:
        policy = Path(folder) / _POLICY.name
        policy.write_text("#!/bin/sh\nexit 101\n")
        run(
            _as_root("install", "--mode=755", str(policy), str(_POLICY)),
            remedy="run this as root, or as a user who may use sudo",
        )
    try:
        yield
    finally:
        run(_as_root("rm", "--force", str(_POLICY)), remedy=f"remove {_POLICY} by hand")


def _as_root(*argv: str) -> list[str]:
    if os.geteuid() == 0:
        return list(argv)
    if shutil.which("sudo") is None:
        raise StepFailed(
            "Debian packages are missing, and this is neither root nor is there sudo",
            remedy="run `make servers` once as root",
        )
    return ["sudo", *argv]
