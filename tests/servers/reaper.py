"""Kills the servers of a test process that died without stopping them, even by `kill -9`.

A child of the test process that reads lines from a pipe: `+PID` to watch the process group of a
server, `-PID` to forget it. The pipe ends when the test process does, however it ends; then what
is still watched is killed. (`PR_SET_PDEATHSIG` would not do: it fires when the *thread* that
started the server ends, and tests start servers from worker threads too.)
"""

import atexit
import os
import signal
import subprocess
import sys
import threading

_lock = threading.Lock()
_running: "tuple[int, subprocess.Popen[bytes]] | None" = None


def watch(pid: int) -> None:
    """From now on the process group `pid` dies with this process."""
    _tell(f"+{pid}\n")


def forget(pid: int) -> None:
    """The process group has been stopped; its number may become somebody else's."""
    _tell(f"-{pid}\n")


def _tell(line: str) -> None:
    global _running  # noqa: PLW0603 - one reaper for each process, started when first needed
    with _lock:
        if _running is None or _running[0] != os.getpid():  # a fork must not share its parent's
            reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__],
                stdin=subprocess.PIPE,
                start_new_session=True,  # out of reach of Ctrl-C
            )
            _running = (os.getpid(), reaper)
            atexit.register(_dismiss, reaper, os.getpid())
        pipe = _running[1].stdin
        assert pipe is not None
        pipe.write(line.encode())
        pipe.flush()


def _dismiss(reaper: "subprocess.Popen[bytes]", owner: int) -> None:
    if os.getpid() == owner:
        reaper.communicate()


def _reap() -> None:
    watched: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            watched.add(pid)
        else:
            watched.discard(pid)
    for pid in watched:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    _reap()
