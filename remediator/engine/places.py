"""The pace of one notifier: when the whole of it, and each of its places, takes the next note.

A place is what has a pace of its own, a channel say. Owned by a courier; all in memory, since a new
daemon may begin a new pace.
"""

from collections import OrderedDict, deque
from datetime import timedelta

from remediator.model.clock import Clock

# Runs whose place is not free, and places: the ones looked at longest ago are found again.
_MOST_HELD = 5000
_MOST_PLACES = 1000


class Places:
    """When what may go.

    Args:
        clock: the daemon's.
        apart_s: between the beginnings of two deliveries to one place.
        window: how long a first message counts towards a storm.
    """

    def __init__(self, clock: Clock, apart_s: float, window: timedelta) -> None:
        self._clock = clock
        self._apart_s = apart_s
        self._window_s = window.total_seconds()
        self._not_before = clock.monotonic()
        self._free_at: OrderedDict[str, float] = OrderedDict()
        self._firsts: dict[str, deque[float]] = {}
        self._held: OrderedDict[str, tuple[str, bool]] = OrderedDict()

    # --- the whole

    @property
    def pause_s(self) -> float:
        """How long nothing at all goes out."""
        return self._not_before - self._clock.monotonic()

    def hold_all(self, span: timedelta) -> None:
        """Send nothing for so long."""
        until = self._clock.monotonic() + span.total_seconds()
        self._not_before = max(self._not_before, until)

    # --- one place

    def free(self, place: str) -> bool:
        """Whether a note may go there now."""
        return self._free_at.get(place, 0.0) <= self._clock.monotonic()

    def begin(self, place: str, *, first: bool = False) -> None:
        """Count a delivery that begins now, and whether it is a run's first message."""
        if self._apart_s:
            self.hold(place, timedelta(seconds=self._apart_s))
        if first:
            self._firsts.setdefault(place, deque()).append(self._clock.monotonic())

    def hold(self, place: str, span: timedelta) -> None:
        """Send nothing there for so long."""
        until = self._clock.monotonic() + span.total_seconds()
        self._free_at[place] = max(self._free_at.get(place, 0.0), until)
        self._free_at.move_to_end(place)
        while len(self._free_at) > _MOST_PLACES:
            self._free_at.popitem(last=False)

    def firsts(self, place: str) -> int:
        """How many runs had their first message there within the window, or wait to have it."""
        seen = self._firsts.get(place, deque())
        while seen and seen[0] <= self._clock.monotonic() - self._window_s:
            seen.popleft()
        if not seen:
            self._firsts.pop(place, None)
        return len(seen) + sum(first and at == place for at, first in self._held.values())

    # --- runs whose place is not free

    def keep(self, run_id: str, place: str, *, first: bool) -> None:
        """Do not look at a run's notes before its place is free."""
        self._held[run_id] = (place, first)
        self._held.move_to_end(run_id)
        while len(self._held) > _MOST_HELD:
            self._held.popitem(last=False)

    def let_go(self, place: str) -> None:
        """Look at all runs of a place again: something else is to become of their notes."""
        for run_id in [run for run, (at, _) in self._held.items() if at == place]:
            del self._held[run_id]

    def held(self) -> list[str]:
        """Return the runs that need not be looked at now; those whose place is free are let go."""
        now = self._clock.monotonic()
        free = {at for at, _ in self._held.values() if self._free_at.get(at, 0.0) <= now}
        for place in free:
            self.let_go(place)
        return list(self._held)

    def next_free_s(self) -> float | None:
        """In how many seconds the first place is free that somebody waits for; None: nobody."""
        waited_for = {at for at, _ in self._held.values()}
        if not waited_for:
            return None
        first = min(self._free_at.get(place, 0.0) for place in waited_for)
        return max(0.0, first - self._clock.monotonic())
