"""Runs one command for the daemon, and never lets it outlive the daemon. A program, no library.

`process` starts this file with Python's `-I -S`; it imports nothing of ours, so that it is up in
a few milliseconds. It is the leader of a session and process group of its own; the command and all
that it starts belong to that group. Over one socket comes the request, then at most one `T`; back
goes one line, `exit CODE` (negative: the signal) or `error ERRNO`.

- The command ends: say how, then kill what it left behind in the group, and ourselves with it.
- `T`: SIGTERM to the group, after the grace SIGKILL.
- The socket closes, because the daemon gave up or is dead: SIGKILL to the group at once.

The last one is why this program exists. After `kill -9` the daemon's successor looks whether the
change is in place; a command that were still at work would then be run a second time beside the
first. `PR_SET_PDEATHSIG` would do for the command alone but not for its children, and needs code
between fork and exec of a process with threads. The group is killed by its own leader while that
is alive, so no recycled process id is ever signalled. Where somebody kills this program itself, the
daemon sees the socket close without an answer, and kills the group in its place.

Request: four bytes length, then `grace_s`, `cwd`, the number of arguments, the arguments, and the
environment as `NAME=value`, all separated by NUL.
"""

import os
import select
import signal
import sys
import time

_REQUEST_HEAD_BYTES = 4


def main() -> None:
    """Serve one request on the inherited socket whose number is the only argument."""
    channel = int(sys.argv[1])
    os.set_inheritable(channel, False)
    _close_all_but(channel)
    request = _receive(channel)
    grace_s, cwd, argument_count = float(request[0]), request[1], int(request[2])
    arguments = request[3 : 3 + argument_count]
    environment = dict(item.split(b"=", 1) for item in request[3 + argument_count :])
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    wake, wake_write = os.pipe()
    for end in (wake, wake_write):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        os.chdir(cwd)
        child = os.posix_spawn(
            arguments[0],
            arguments,
            environment,
            # Python ignores SIGPIPE and SIGXFSZ, we some more, whoever started the daemon perhaps
            # others; a command expects what a shell would give it.
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )
    except OSError as error:
        _say(channel, f"error {error.errno}")
        return
    _watch(channel, wake, child, grace_s)


def _close_all_but(channel: int) -> None:
    """Close what the daemon had open and not marked as its own; uvloop closes nothing."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - pathlib would treble our start-up time
        if int(name) > 2 and int(name) != channel:
            _close(int(name))


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return  # it was the one that listed the others


def _watch(channel: int, wake: int, child: int, grace_s: float) -> None:
    kill_at: float | None = None
    listening = [wake, channel]
    while True:
        left_s = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        ready, _, _ = select.select(listening, [], [], left_s)
        if wake in ready:
            os.read(wake, 512)
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                _say(channel, f"exit {os.waitstatus_to_exitcode(status)}")
                break
        if channel in ready:
            if not _told(channel):
                break
            if kill_at is None:
                kill_at = time.monotonic() + grace_s
                os.killpg(0, signal.SIGTERM)
        if kill_at is not None and time.monotonic() >= kill_at:
            break
    os.killpg(0, signal.SIGKILL)


def _told(channel: int) -> bytes:
    try:
        return os.read(channel, 1)
    except ConnectionError:
        return b""


def _receive(channel: int) -> list[bytes]:
    size = int.from_bytes(_exactly(channel, _REQUEST_HEAD_BYTES))
    return _exactly(channel, size).split(b"\0")


def _exactly(channel: int, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        more = os.read(channel, size - len(got))
        if not more:
            sys.exit(0)  # the daemon gave up before it had asked for anything
        got += more
    return bytes(got)


def _say(channel: int, line: str) -> None:
    try:
        os.write(channel, f"{line}\n".encode())
    except OSError:
        return  # the daemon is gone; nobody is left to tell


if __name__ == "__main__":
    main()
