"""One server process: started with its log in a file, awaited, and stopped by process id."""

import abc
import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from . import reaper

_ATTEMPTS = 4
_LOG_TAIL_LINES = 25
_PORT_TAKEN = ("address already in use", "Address already in use")


class ServerFailed(RuntimeError):
    """A server did not come up, or did not end; the message holds the end of its log."""


class PortTaken(ServerFailed):
    """Somebody else bound the port between our choosing it and the server's start."""


class Server(abc.ABC):
    """What a test starts and stops, itself or by `with`."""

    @abc.abstractmethod
    def start(self) -> None:
        """Starts the server, and returns when it is ready for use."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Stops the server; harmless when it was not started."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Process:
    """A child process in a process group of its own, which dies with this process."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
    ) -> None:
        """`ready` is asked again and again after the start; OSError means "not yet".

        `user` is whom the process runs as, when it must not be root.
        """
        self.name = name
        self.argv = [str(argument) for argument in argv]
        self.log = log
        self._ready = ready
        self._env = env
        self._stop_signal = stop_signal
        self._user = user
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id (and the process group's)."""
        assert self._child is not None, f"{self.name} is not running"
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What the process ended with, negative for a signal; None while it runs."""
        return None if self._child is None else self._child.poll()

    def start(self, timeout_s: float = 60.0) -> None:
        """Starts the process and returns when it is ready; on failure nothing is left behind."""
        assert not self.running, f"{self.name} is running already"
        with self.log.open("ab") as log:
            log_from = log.tell()
            self._child = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(self._env or {})},
                start_new_session=True,
                user=self._user,
                group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )
        reaper.watch(self._child.pid)
        try:
            self._wait_ready(timeout_s, log_from)
        except BaseException:
            self.kill()
            raise

    def _wait_ready(self, timeout_s: float, log_from: int) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            if not self.running:
                said = self.log.read_bytes()[log_from:].decode(errors="replace")
                kind = PortTaken if any(text in said for text in _PORT_TAKEN) else ServerFailed
                raise kind(self._failure("ended instead of coming up"))
            try:
                if self._ready():
                    return
            except OSError:
                pass  # not listening yet
            if time.monotonic() > deadline:
                raise ServerFailed(self._failure(f"was not ready after {timeout_s:g} s"))
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process group: SIGHUP to reload, SIGSTOP to freeze."""
        if self.running:
            os.killpg(self.pid, number)

    def ask_to_stop(self) -> None:
        """The polite signal alone, so that several servers can end at the same time."""
        self.signal(self._stop_signal)

    def stop(self, grace_s: float = 10.0) -> None:
        """The polite signal, and SIGKILL for what has not ended after `grace_s`."""
        self.ask_to_stop()
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(grace_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash; a process that was never started, or has ended, is left alone."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # its children too, if it left any
        child.wait()
        reaper.forget(child.pid)

    def log_tail(self) -> str:
        """The end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-_LOG_TAIL_LINES:])

    def _failure(self, what: str) -> str:
        return f"{self.name} {what}; the end of {self.log}:\n{self.log_tail()}"


def launch(make: Callable[[], Process], timeout_s: float = 60.0) -> Process:
    """Starts what `make` returns; when a port was taken meanwhile, `make` chooses others."""
    for _ in range(_ATTEMPTS - 1):
        process = make()
        try:
            process.start(timeout_s)
        except PortTaken:
            continue
        return process
    process = make()
    process.start(timeout_s)
    return process


def free_port() -> int:
    """A loopback port that nobody uses now, below those that outgoing connections take."""
    for _ in range(1000):
        port = random.randrange(20_000, 32_000)  # noqa: S311 - not a secret
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("no free port between 20000 and 32000 on 127.0.0.1")
