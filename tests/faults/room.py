"""A place of its own for a daemon: a small disk, in a mount namespace that only it sees.

The kernel takes the disk away with the last process in there, so nothing is left behind however a
test ends. Needs root.
"""

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.faults.namespace import within
from tests.scenarios.daemon import Place
from tests.servers.binaries import find
from tests.servers.process import Process, Server

T = TypeVar("T")

_HOLD = 'mount -t tmpfs -o "size=$2" faults "$1" && exec sleep infinity'
SIZE = "4m"
"""A new journal is a quarter of it."""


class Room(Server, Place):
    """Holds the namespace while a test runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.disk = folder / "disk"
        """Where the disk is, for those inside."""
        self.disk.mkdir()
        self._process = Process(
            "room",
            [find("unshare"), "--mount", "sh", "-c", _HOLD, "sh", self.disk, SIZE],
            log=folder / "room.log",
            ready=self._mounted,
        )

    def start(self) -> None:
        """Returns when the disk is there."""
        self._process.start()

    def stop(self) -> None:
        """Ends the holder; whoever is still inside keeps the disk until then."""
        self._process.kill()

    @property
    def enter(self) -> list[str]:
        """What is put before a command, so that it runs inside."""
        target = f"--target={self._process.pid}"
        return [str(find("nsenter")), target, "--mount", f"--wd={Path.cwd()}", "--"]

    def run(self, work: Callable[[], T]) -> T:
        """Inside; the work ends there."""
        return within(self._process.pid, "mnt", work)

    # --- faults ---------------------------------------------------------------------------

    def fill(self) -> None:
        """Not a byte more finds room."""

        def write() -> None:
            with contextlib.suppress(OSError), self.filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

        self.run(write)

    def make_room(self) -> None:
        """There is room again."""
        self.run(self.filler.unlink)

    def mount(self, options: str) -> None:
        """Mounts the disk again, `ro` or `rw`."""
        argv = [*self.enter, str(find("mount")), "-o", f"remount,{options}", str(self.disk)]
        subprocess.run(argv, check=True)

    @property
    def filler(self) -> Path:
        """What takes all the room."""
        return self.disk / "filler"

    def _mounted(self) -> bool:
        mounts = Path(f"/proc/{self._process.pid}/mountinfo").read_text()
        return f" {self.disk} " in mounts
