"""When to try again: exponential back-off with a ceiling. Pure."""

from datetime import timedelta

# A step that is tried every five minutes is as good as waiting; longer gaps only hide it.
_CEILING = timedelta(minutes=5)
# A server that asks for days is mistaken, and a run holds its lock while it waits.
_LONGEST_ASKED_FOR = timedelta(minutes=15)


def next_delay(attempt: int, backoff: timedelta, after: timedelta | None = None) -> timedelta:
    """Return how long to wait after a failed attempt.

    Args:
        attempt: the attempt that failed, from 1.
        backoff: the delay after the first attempt; doubles each time.
        after: what the server asked for; not tried earlier than that, up to a quarter of an hour.
    """
    doubled: timedelta = min(backoff * (1 << min(attempt - 1, 16)), _CEILING)
    return max(doubled, min(after, _LONGEST_ASKED_FOR)) if after else doubled
