"""One daemon per journal file: an advisory lock that the kernel drops when its process dies."""

import fcntl
import os
from pathlib import Path

from remediator.journal.errors import InUse


class FileLock:
    """A held lock on `<journal>.lock`, which also names the holder's process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, journal: Path) -> "FileLock":
        """Lock the journal for this process.

        Raises:
            InUse: another process holds it; the text names it.
            OSError: the lock file can't be made.
        """
        path = journal.with_name(journal.name + ".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise InUse(
                f"the journal {journal} is in use by another remediator (process {holder}); stop"
                " that one, or give this one another `journal` in the settings",
                holder,
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back; the file stays, since removing it would race with the next holder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
