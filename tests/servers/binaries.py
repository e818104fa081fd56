"""Where the program of each test server is, and what puts it there.

Standard library only: `install` runs before there is a virtual environment.
"""

import hashlib
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

INSTALL_COMMAND = "make servers"
"""The command that installs what is missing; every error that misses a program names it."""

_GO_MODULES = Path(__file__).parent / "go"
_NPM_PACKAGES = Path(__file__).parent / "npm"

KUBERNETES_VERSION = "1.36.3"
_KUBERNETES_LDFLAGS = tuple(
    f"-X k8s.io/{package}.{name}={value}"
    for package in ("component-base/version", "client-go/pkg/version")
    for name, value in {
        "gitVersion": f"v{KUBERNETES_VERSION}",
        "gitMajor": "1",
        "gitMinor": "36",
        "gitTreeState": "clean",
    }.items()
)


class BinaryMissing(RuntimeError):
    """A server's program is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class GoBuild:
    """Programs built together out of one `go.mod` of ours, verified by its `go.sum`."""

    name: str
    title: str
    packages: Mapping[str, str]
    """Program name → Go package."""
    minutes: int
    """Of a cold build on two cores, as announced."""
    ldflags: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where `go.mod` and `go.sum` are."""
        return _GO_MODULES / self.name

    @property
    def flags(self) -> list[str]:
        """What `go build` is given besides the packages: small, reproducible programs."""
        return ["-trimpath", "-ldflags", " ".join(("-s", "-w", *self.ldflags))]

    @property
    def bin(self) -> Path:
        """The cache folder of this exact build; another version or flag is another folder."""
        digest = hashlib.sha256(platform.machine().encode())
        digest.update("\0".join(self.flags).encode())
        for file in sorted(self.folder.glob("go.*")) + sorted(self.folder.glob("*.go")):
            digest.update(file.read_bytes())
        return cache() / "servers" / f"{self.name}-{digest.hexdigest()[:16]}" / "bin"


@dataclass(frozen=True)
class NpmInstall:
    """A program out of one `package-lock.json` of ours, which holds versions and hashes."""

    name: str
    title: str

    @property
    def folder(self) -> Path:
        """Where `package.json` and `package-lock.json` are."""
        return _NPM_PACKAGES / self.name

    @property
    def bin(self) -> Path:
        """The cache folder of exactly these packages; other versions are another folder."""
        digest = hashlib.sha256((self.folder / "package-lock.json").read_bytes())
        place = cache() / "servers" / f"{self.name}-{digest.hexdigest()[:16]}"
        return place / "node_modules" / ".bin"


@dataclass(frozen=True)
class Binary:
    """One program that the tests start, or ask as an oracle."""

    name: str
    names: tuple[str, ...] = ()
    """What it is called on `PATH`; a program that we build is never taken from there."""
    folders: tuple[str, ...] = ()
    """Globs of folders, beside `PATH`, in which Debian keeps it."""
    build: GoBuild | NpmInstall | None = None

    @property
    def variable(self) -> str:
        """The environment variable that points at a program already there."""
        return "REMEDIATOR_TEST_" + self.name.upper().replace("-", "_")


@dataclass(frozen=True)
class ServerSet:
    """What is installed together because it is used together."""

    binaries: tuple[Binary, ...]
    packages: tuple[str, ...] = ()
    """Debian packages."""
    units: tuple[str, ...] = ()
    """The services that those packages bring, which stay off: tests start servers by hand."""
    builds: tuple[GoBuild | NpmInstall, ...] = ()


def cache() -> Path:
    """The folder for what we build: it survives `make clean`, and costs minutes to fill."""
    if chosen := os.environ.get("REMEDIATOR_TEST_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "remediator"


_KUBERNETES = GoBuild(
    name="kubernetes",
    title=f"Kubernetes {KUBERNETES_VERSION}",
    packages={
        program: f"k8s.io/kubernetes/cmd/{program}"
        for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    },
    minutes=14,
    ldflags=_KUBERNETES_LDFLAGS,
)
_ETCD = GoBuild("etcd", "etcd 3.6.8", {"etcd": "go.etcd.io/etcd/server/v3"}, minutes=2)
_YAML_LANGUAGE_SERVER = NpmInstall("yaml-language-server", "yaml-language-server 1.20.0")
_KWOK = GoBuild("kwok", "kwok 0.7.0", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}, minutes=3)
_PROMQL = GoBuild("promql", "Prometheus's engine 3.16", {"promqloracle": "."}, minutes=2)

SETS: Mapping[str, ServerSet] = {
    "kubernetes": ServerSet(
        tuple(Binary(name, build=b) for b in (_KUBERNETES, _ETCD, _KWOK) for name in b.packages),
        builds=(_KUBERNETES, _ETCD, _KWOK),
    ),
    "monitoring": ServerSet(
        (
            Binary("alertmanager", ("prometheus-alertmanager", "alertmanager")),
            Binary("amtool", ("amtool",)),
            Binary("prometheus", ("prometheus",)),
            Binary("promtool", ("promtool",)),
            Binary("promqloracle", build=_PROMQL),
        ),
        packages=("prometheus", "prometheus-alertmanager"),
        units=("prometheus.service", "prometheus-alertmanager.service"),
        builds=(_PROMQL,),
    ),
    "postgres": ServerSet(
        tuple(
            Binary(name, (name,), folders=("/usr/lib/postgresql/*/bin",))
            for name in ("initdb", "postgres", "psql")
        ),
        packages=("postgresql",),
        units=("postgresql.service",),
    ),
    "docker": ServerSet(
        (
            Binary("dockerd", ("dockerd",), folders=("/usr/sbin",)),
            Binary("docker", ("docker",)),
            Binary("busybox", ("busybox",)),
        ),
        packages=("docker.io", "busybox-static"),
        units=("docker.service", "docker.socket", "containerd.service"),
    ),
    "faults": ServerSet(
        (
            Binary("strace", ("strace",)),
            Binary("faketime", ("faketime",)),
            Binary("ip", ("ip",), folders=("/usr/sbin",)),
            Binary("unshare", ("unshare",)),
            Binary("nsenter", ("nsenter",)),
            Binary("mount", ("mount",)),
        ),
        packages=("strace", "faketime", "iproute2", "util-linux", "mount"),
    ),
    "models": ServerSet(
        (Binary("spin", ("spin",)), Binary("gcc", ("gcc", "cc"))),
        packages=("spin", "gcc", "libc6-dev"),
    ),
    "browser": ServerSet(
        (Binary("chromium", ("chromium",)),),
        packages=("chromium", "fonts-lato", "fonts-noto-color-emoji"),
    ),
    "node": ServerSet(
        (Binary("node", ("node", "nodejs")), Binary("npm", ("npm",))),
        packages=("nodejs", "npm"),
    ),
    "editor": ServerSet(
        (Binary("yaml-language-server", build=_YAML_LANGUAGE_SERVER),),
        builds=(_YAML_LANGUAGE_SERVER,),
    ),
}

_BINARIES = {binary.name: binary for group in SETS.values() for binary in group.binaries}


def find(name: str) -> Path:
    """The program `name`, or `BinaryMissing` with the command that installs it."""
    binary = _BINARIES[name]
    if found := locate(binary):
        return found
    raise BinaryMissing(
        f"{name} is not on this machine: run `{INSTALL_COMMAND}`, "
        f"or set {binary.variable} to the program's path"
    )


def locate(binary: Binary) -> Path | None:
    """Environment variable, then `KUBEBUILDER_ASSETS` and our cache, or else `PATH`."""
    if chosen := os.environ.get(binary.variable):
        if _runs(Path(chosen)):
            return Path(chosen)
        raise BinaryMissing(f"{binary.variable}={chosen} is not a program that can be run")
    if binary.build:
        folders = [binary.build.bin]
        if assets := os.environ.get("KUBEBUILDER_ASSETS"):
            folders.insert(0, Path(assets))
        return next((f / binary.name for f in folders if _runs(f / binary.name)), None)
    folders = [Path(f) for f in os.environ.get("PATH", "").split(os.pathsep) if f]
    for pattern in binary.folders:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), key=_version, reverse=True)
    return next((f / n for n in binary.names for f in folders if _runs(f / n)), None)


def _runs(path: Path) -> bool:
    return path.is_file() and shutil.which(path) is not None


def _version(folder: Path) -> tuple[int, ...]:
    """The figures in a path such as /usr/lib/postgresql/15/bin, so that 15 beats 9."""
    return tuple(int(part) for part in folder.parts if part.isdecimal())
