"""Pages of lists: newest first, with the last id as the cursor of the next page."""

from collections.abc import Callable, Sequence

from remediator.journal.values import Page, T

# A page is held in memory and rendered whole.
MAX_ITEMS = 1000


def bounded(limit: int) -> int:
    """Return a page size between 1 and the largest."""
    return max(1, min(limit, MAX_ITEMS))


def page_of(items: Sequence[T], limit: int, id_of: Callable[[T], str]) -> Page[T]:
    """Make a page of at most `limit` items; one item more means that another page follows."""
    kept = tuple(items[:limit])
    return Page(items=kept, next=id_of(kept[-1]) if len(items) > limit else None)
