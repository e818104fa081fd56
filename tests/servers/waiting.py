"""Waiting for the world to change, with a failure that says what was waited for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_NOT_YET = (AssertionError, OSError, LookupError)
"""What a predicate may raise while the answer is not there yet."""


class NeverHappened(AssertionError):
    """What was waited for did not happen in time."""


def eventually(
    predicate: Callable[[], T], timeout_s: float = 30.0, *, what: str, interval_s: float = 0.05
) -> T:
    """The first true answer of `predicate`; `what` completes "waited 10 s for …"."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer: T | BaseException
        try:
            answer = predicate()
        except _NOT_YET as problem:
            answer = problem
        if answer and not isinstance(answer, BaseException):
            return answer
        if time.monotonic() >= deadline:
            raise NeverHappened(f"waited {timeout_s:g} s for {what}; the last answer: {answer!r}")
        time.sleep(interval_s)


async def eventually_async(
    predicate: Callable[[], T | Awaitable[T]],
    timeout_s: float = 30.0,
    *,
    what: str,
    interval_s: float = 0.05,
) -> T:
    """`eventually` for a test whose event loop must go on; the predicate may be a coroutine."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer: T | BaseException
        try:
            given = predicate()
            answer = await given if isinstance(given, Awaitable) else given
        except _NOT_YET as problem:
            answer = problem
        if answer and not isinstance(answer, BaseException):
            return answer
        if time.monotonic() >= deadline:
            raise NeverHappened(f"waited {timeout_s:g} s for {what}; the last answer: {answer!r}")
        await asyncio.sleep(interval_s)
