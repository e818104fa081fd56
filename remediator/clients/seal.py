"""A second line behind the stand-ins that only read: what plugins start or open by themselves.

While it is sealed, this process starts no program, writes to no file and connects to nobody,
except from inside of a stand-in. By Python's audit events, so that it holds for every thread and
library; not for native code that goes past them. A plugin that tries gets a PermissionError.

Owns the state of the whole process; for commands that do one thing and end, never for the daemon.
"""

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from remediator.clients import inside
from remediator.clients.readonly import Ledger

_STARTS = frozenset(
    {
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "pty.spawn",
    }
)
_ALTERS = frozenset(
    {
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.setxattr",
        "os.removexattr",
        "os.symlink",
        "os.truncate",
        "os.utime",
    }
)
_REACHES = frozenset({"socket.connect", "socket.sendto"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NULL = os.devnull


class _Seal:
    """The one seal of this process; an audit hook can't be taken away again."""

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        self.reachable: frozenset[object] = frozenset()
        self.hooked = False


_seal = _Seal()


@contextmanager
def sealed(ledger: Ledger, reachable: Collection[object] = ()) -> Iterator[None]:
    """Seal the process for a while; what is stopped is put down in the ledger.

    Args:
        reachable: addresses that anybody may connect to: a journal's server.
    """
    if not _seal.hooked:
        sys.addaudithook(_hook)
        _seal.hooked = True
    _seal.ledger, _seal.reachable = ledger, frozenset(reachable)
    try:
        yield
    finally:
        _seal.ledger = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    ledger = _seal.ledger
    if ledger is None:
        return
    if event in _STARTS:
        what = f"{event} {args[0] if args else ''}"
    elif event in _REACHES:
        if _reachable(args[1] if len(args) > 1 else None):
            return
        what = f"{event} {args[1]}"
    elif event in _ALTERS or (event == "open" and _writes(args)):
        what = f"{event} {args[0]}"
    else:
        return
    if inside.now():
        return
    error = ledger.withhold(what[:200], "an action may not do that by itself")
    raise PermissionError(str(error))


def _reachable(address: object) -> bool:
    if isinstance(address, tuple):
        return address[:2] in _seal.reachable
    return address in _seal.reachable


def _writes(args: tuple[Any, ...]) -> bool:
    path, mode, flags = (*args, None, None, None)[:3]
    if path == _NULL or isinstance(path, int):
        return False
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITES)
