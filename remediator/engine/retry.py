"""When to try again: exponential back-off with a ceiling. Pure."""

from datetime import timedelta

# A step that is tried every five minutes is as good as waiting; longer gaps only hide it.
_CEILING = timedelta(minutes=5)


def next_delay(attempt: int, backoff: timedelta, after: timedelta | None = None) -> timedelta:
    """Return how long to wait after a failed attempt.

    Args:
        attempt: the attempt that failed, from 1.
        backoff: the delay after the first attempt; doubles each time.
        after: what the server asked for; never tried earlier than that.
    """
    doubled: timedelta = min(backoff * (1 << min(attempt - 1, 16)), _CEILING)
    return max(doubled, after) if after else doubled
