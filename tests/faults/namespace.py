"""Doing something in the namespaces of another process, without becoming it.

A thread of its own enters them, does the work, and ends. Files and sockets that it opens stay where
they were opened, whoever uses them afterwards. Needs root.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")

_CLONE_FS = 0x200
_LIBC = ctypes.CDLL(None, use_errno=True)

Kind = Literal["mnt", "net"]


def within(pid: int, kind: Kind, work: Callable[[], T]) -> T:
    """What `work` returns, or raises, in that namespace of the process."""
    done: list[T] = []
    failed: list[BaseException] = []

    def enter_and_work() -> None:
        try:
            if kind == "mnt":  # threads share their root; this one gets its own
                _call("unshare", _CLONE_FS)
            namespace = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _call("setns", namespace, 0)
            finally:
                os.close(namespace)
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=enter_and_work)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _call(name: str, *arguments: int) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}; it needs root")
