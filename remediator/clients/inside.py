"""Whether the code that runs is a stand-in's own, on its way to the real connection. See `seal`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_here: ContextVar[bool] = ContextVar("inside_a_stand_in", default=False)


@contextmanager
def let() -> Iterator[None]:
    """Let what runs in here through the seal; only our own code may, with plain values."""
    token = _here.set(True)
    try:
        yield
    finally:
        _here.reset(token)


def now() -> bool:
    """Whether a stand-in's own code runs."""
    return _here.get()
