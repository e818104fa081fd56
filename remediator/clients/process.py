"""Local commands: started without a shell, bounded in time and output, dead when the daemon is.

Owns what may be started (`exec.allow`), what a command sees of the daemon's environment, and that
nothing of it survives: on timeout or cancellation its process group gets SIGTERM, then SIGKILL;
when the daemon dies, SIGKILL at once (see `guard`). Only a process that leaves the group on
purpose, as daemons do with `setsid`, stays. Decides nothing about exit statuses; `actions.exec`
calls it.
"""

import asyncio
import contextlib
import errno
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from remediator.clients import guard
from remediator.clients.errors import Refused, Unavailable
from remediator.settings import ExecSettings

OUTPUT_BYTES = 64 * 1024
"""Kept of each output, from its end, where what went wrong stands; a journal row stays small."""
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL: time to drop a lock file, not to finish the work."""
# An orphan that left the group may hold the output open; what is in the pipe by then is read.
_DRAIN_S = 0.5
# The kernel takes about 2 MiB of arguments and environment together.
_REQUEST_BYTES = 4 * 1024 * 1024
_MASK = "***"
_SECRET_PART = re.compile(
    r"(SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTHORIZATION|COOKIE|JWT|BEARER)S?$"
    r"|^(PWD|PAT|DSN|WEBHOOK|CREDS?|CONNECTIONSTRING|CONNSTR)$|KEYS?$|(?<!COM)(?<!BY)PASS$"
)
# Values of these may be shown: they say where something is, and nobody hides a secret in them.
_PLAIN = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|USER|LOGNAME|SHELL|TERM|PWD|OLDPWD|KUBECONFIG|XDG_.*"
    r"|(.*_)?(FILE|PATH|DIR|NAME|SOCK|HOST|HOSTNAME|PORT|ADDR|REGION|ZONE|NAMESPACE|PROFILE|CONTEXT"
    r"|CLUSTER|ENVIRONMENT|ENV|MODE|LEVEL|DEBUG|TIMEOUT|PROXY|DOMAIN|VERSION|ACCESS_KEY_ID)"
)
_USER_INFO = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#\s]*)@")
# Shorter values would mask half of any text, and are no secrets worth the name.
_SHORTEST_SECRET = 4
_SHORTEST_UNKNOWN = 8
# Names that point at a secret are none themselves: TOKEN_FILE, AWS_ACCESS_KEY_ID, SECRET_NAME.
_POINTER = frozenset({"FILE", "PATH", "DIR", "NAME", "ID", "SOCK"})


def looks_secret(name: str) -> bool:
    """Whether an environment variable of this name likely holds a secret: `DB_PASSWORD`."""
    parts = name.upper().split("_")
    if parts[-1] == "AUTH" or parts[-2:] in (["SECRET", "ID"], ["CONNECTION", "STRING"]):
        return True
    if parts[-1] in _POINTER or parts in (["PWD"], ["OLDPWD"]):
        return False
    return any(_SECRET_PART.search(part) for part in parts)


def passwords(value: str) -> list[str]:
    """Return what stands for user and password in the URLs of a text, and each password alone."""
    found = []
    for user_info in _USER_INFO.findall(value):
        _, colon, password = user_info.partition(":")
        if colon and password:
            found += [user_info, password, unquote(password)]
    return found


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended.

    Args:
        exit_code: its exit status; negative for the signal that ended it; None when it was ended
            because its time was over, or nobody saw how it ended.
        timed_out: whether its time was over.
        stdout: what it wrote, the last `OUTPUT_BYTES`; values of secret variables are masked.
        stderr: likewise.
        truncated: whether there was more of either.
        elapsed_s: from start to end.
    """

    exit_code: int | None
    timed_out: bool
    stdout: str
    stderr: str
    truncated: bool
    elapsed_s: float


def check_allowed(program: str, allowed: Collection[str]) -> None:
    """Check that a program may be started.

    Args:
        allowed: `exec.allow` of the settings.

    Raises:
        Refused: it is not among them; the message names the key.
    """
    if program not in allowed:
        raise Refused(
            f"{program!r} may not be started: add its absolute path to exec.allow in the "
            "settings, or use another program"
        )


class ProcessRunner:
    """Starts local commands. One for each daemon; how many run at once is the callers' number."""

    def __init__(
        self,
        settings: ExecSettings,
        environment: Mapping[str, str] | None = None,
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        """Make a runner.

        Args:
            settings: what may be started, and what it sees.
            environment: the daemon's; None: the process's own.
            grace_s: between SIGTERM and SIGKILL.
        """
        known = os.environ if environment is None else environment
        self._allowed = frozenset(settings.allow)
        self._base = {name: known[name] for name in settings.environment if name in known}
        self._grace_s = grace_s
        self._running: set[socket.socket] = set()
        self.host = settings.host or socket.gethostname()
        """What targets call this machine."""

    async def close(self) -> None:
        """End at once what still runs."""
        for channel in self._running:
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)

    def check(self, program: str) -> None:
        """Check that a program may be started.

        Raises:
            Refused: it is not in the settings; the message names the key.
        """
        check_allowed(program, self._allowed)

    async def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str,
        timeout_s: float,
    ) -> Finished:
        """Run one command to its end.

        Args:
            command: the program's absolute path and its arguments; no shell sees them.
            environment: variables beside those of `exec.environment`; they win.
            cwd: the working directory.
            timeout_s: after this the command and its children are ended.

        Raises:
            Refused: it may not or can't be started.
            Unavailable: the machine can't start it now (processes, memory).
        """
        self.check(command[0])
        variables = {**self._base, **environment}
        secrets = _secrets(self._base, environment)
        request = _request(command, variables, cwd, self._grace_s)
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            out, err = (stack.enter_context(_Tail(secrets)) for _ in range(2))
            ours, theirs = socket.socketpair()
            stack.callback(ours.close)
            ours.setblocking(False)
            with theirs:
                process = await _start(theirs, out, err)
            self._running.add(ours)
            try:
                line, timed_out = await _converse(ours, request, timeout_s, self._grace_s)
                if not line and not timed_out:
                    _kill_group(process.pid)
            finally:
                self._running.discard(ours)
                ours.close()  # a guard that still lives kills its group at once
                await process.wait()
            await _drained((out, err))
            return Finished(
                exit_code=None if timed_out else _exit_code(line, command[0], cwd),
                timed_out=timed_out,
                stdout=out.text(),
                stderr=err.text(),
                truncated=out.truncated or err.truncated,
                elapsed_s=time.monotonic() - began,
            )


async def _start(channel: socket.socket, out: "_Tail", err: "_Tail") -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            guard.__file__,
            str(channel.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out.write_end,
            stderr=err.write_end,
            pass_fds=(channel.fileno(),),
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"no command can be started: {error.strerror}", None) from None
    finally:
        out.started()
        err.started()


async def _converse(
    channel: socket.socket, request: bytes, timeout_s: float, grace_s: float
) -> tuple[bytes, bool]:
    """Send the request and return the guard's answer, and whether time was over before it."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(channel, request)
            return await _answer(channel), False
    except TimeoutError:
        await _terminate(channel, grace_s)
        return b"", True
    except asyncio.CancelledError:
        await _terminate(channel, grace_s)
        raise


async def _terminate(channel: socket.socket, grace_s: float) -> None:
    """Ask the guard to end the command with grace; the caller closes the channel, which kills."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(grace_s + 1):
            await loop.sock_sendall(channel, b"T")
            await _answer(channel)


def _kill_group(leader: int) -> None:
    """Kill what a guard has left behind that was itself killed, and so could not.

    While anything of its group lives, no other process or group can get its number.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


async def _answer(channel: socket.socket) -> bytes:
    """Read until the guard is gone, and with it the whole process group."""
    loop = asyncio.get_running_loop()
    line = b""
    with contextlib.suppress(ConnectionError):
        while more := await loop.sock_recv(channel, 64):
            line += more
    return line


def _request(
    command: Sequence[str], variables: Mapping[str, str], cwd: str, grace_s: float
) -> bytes:
    pairs = [f"{name}={value}" for name, value in variables.items()]
    items = [str(grace_s), cwd, str(len(command)), *command, *pairs]
    if any("\0" in item for item in items):
        raise Refused("a command's arguments and environment can't hold a NUL character")
    body = b"\0".join(os.fsencode(item) for item in items)
    if len(body) > _REQUEST_BYTES:
        raise Refused(f"the command and its environment are {len(body)} bytes, which is too long")
    return len(body).to_bytes(4) + body


def _exit_code(line: bytes, program: str, cwd: str) -> int | None:
    word, _, number = line.decode().strip().partition(" ")
    if word == "exit":
        return int(number)
    if word != "error":
        return None  # the guard was killed: nobody saw the end
    code = int(number)
    if not Path(cwd).is_dir():
        raise Refused(f"{program} can't be started in {cwd}: {os.strerror(code)}")
    if code in (errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ETXTBSY):
        raise Unavailable(f"{program} can't be started now: {os.strerror(code)}", None)
    raise Refused(f"{program} can't be started: {os.strerror(code)}")


def _secrets(base: Mapping[str, str], given: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return what must not be shown, the longest first.

    Of the daemon's variables all that are not known to be plain: operators pass secrets on under
    any name. What a runbook gives is in the journal anyway, unless its name says otherwise.
    """
    found = {v for name, v in {**base, **given}.items() if looks_secret(name)}
    found |= {p for v in (*base.values(), *given.values()) for p in passwords(v)}
    unknown = {v for n, v in base.items() if n not in given and not _PLAIN.fullmatch(n.upper())}
    found = {v for v in found if len(v) >= _SHORTEST_SECRET}
    found |= {v for v in unknown if len(v) >= _SHORTEST_UNKNOWN}
    return tuple(sorted((os.fsencode(v) for v in found), key=len, reverse=True))


async def _drained(tails: Sequence["_Tail"]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            for tail in tails:
                await tail.ended.wait()


class _Tail:
    """One output of a command: a pipe, of which the end is kept.

    A pipe and not asyncio's stream: those wait for every holder of the pipe, and an orphan that
    left the process group would hold us for ever.
    """

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = secrets
        self._longest = max((len(s) for s in secrets), default=0)
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()
        self._cut = False
        self.ended = asyncio.Event()
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self._read)

    def __enter__(self) -> "_Tail":
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        self.started()

    def started(self) -> None:
        """Close our copy of the end that the command writes to."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    @property
    def truncated(self) -> bool:
        """Whether there was more than `text` returns."""
        return self._cut or len(self._masked()) > OUTPUT_BYTES

    def text(self) -> str:
        """Return what was kept, secrets masked, undecodable bytes replaced."""
        return self._masked()[-OUTPUT_BYTES:].decode(errors="replace")

    def _masked(self) -> bytes:
        kept = bytes(self._kept[-(OUTPUT_BYTES + self._longest) :])
        for secret in self._secrets:
            kept = kept.replace(secret, _MASK.encode())
        if self._cut:
            # Up to here the rest of a secret may stand whose beginning was cut off.
            kept = kept[max(0, self._longest - 1) :]
        return kept

    def _read(self) -> None:
        try:
            more = os.read(self._read_end, OUTPUT_BYTES)
        except BlockingIOError:
            return
        if not more:
            self._loop.remove_reader(self._read_end)
            self.ended.set()
            return
        self._kept += more
        bound = OUTPUT_BYTES + self._longest
        if len(self._kept) > bound:
            self._cut = True
            if len(self._kept) > 4 * bound:  # cut now and then, not with every read
                del self._kept[:-bound]
