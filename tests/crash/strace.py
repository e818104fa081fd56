"""`strace`, attached to a running daemon: kills it at an exact system call, or lets calls fail,
with no hook in it.

Linux delivers the signal on the way into the call, so what the call would have done does not
happen: at `pwrite64` the page of a transaction that is being committed is not written, at
`fdatasync` all pages are written and nobody has been told yet. SQLite makes both only where it
commits (write-ahead log, `synchronous=FULL`), in the journal's one writer thread; strace counts
calls by thread, so the n-th is the same commit whatever the other threads and children do.
"""

import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.binaries import find
from tests.servers.waiting import eventually

COMMIT = "fdatasync"
PAGE = "pwrite64"
_CALL = re.compile(rf"^(\d+)\s+({COMMIT}|{PAGE})\(")


class Strace:
    """Attached at construction; `close` lets go of a process that lives still."""

    def __init__(
        self,
        pid: int,
        folder: Path,
        *,
        kill_at: int | None = None,
        call: str = COMMIT,
        fail: Mapping[str, str] | None = None,
    ) -> None:
        """Kills `pid` at its `kill_at`-th `call` from now on; None only counts.

        The calls named by `fail` do nothing and return that error: `{PAGE: "EIO"}`.
        """
        self._trace = folder / "strace.txt"
        self._said = folder / "strace.log"
        argv: list[str | Path] = [
            *(find("strace"), "-f", "-p", str(pid), "-o", self._trace),
            *("-e", f"trace={COMMIT},{PAGE}", "-e", "signal=none"),
        ]
        if kill_at is not None:
            argv += ["-e", f"inject={call}:signal=KILL:when={kill_at}"]
        for failing, error in (fail or {}).items():
            argv += ["-e", f"inject={failing}:error={error}"]
        with self._said.open("wb") as said:
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        try:
            eventually(self._attached, 10, what=f"strace to attach to process {pid}")
        except AssertionError as error:
            self.close()
            raise AssertionError(
                f"{error}\n{self._said.read_text()}\nTracing needs root, or "
                "sysctl kernel.yama.ptrace_scope=0"
            ) from None

    def close(self) -> None:
        """Detach. The process goes on as if nothing had been."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        self._child.wait(10)

    def pages_by_commit(self) -> Sequence[int]:
        """How many pages each commit wrote, in order; to be asked after `close`."""
        calls = [match.groups() for match in map(_CALL.match, self._lines()) if match]
        writers = {thread for thread, call in calls if call == COMMIT}
        found, pages = [], 0
        for thread, call in calls:
            if thread not in writers:
                continue
            if call == PAGE:
                pages += 1
            else:
                found.append(pages)
                pages = 0
        return found

    def _attached(self) -> bool:
        if "attached" in self._said.read_text():
            return True  # and perhaps has killed it already
        assert self._child.poll() is None, "strace ended"
        return False

    def _lines(self) -> list[str]:
        return self._trace.read_text(errors="replace").splitlines()
