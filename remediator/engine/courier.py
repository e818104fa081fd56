"""The notes of one notifier: which goes next, when, and what becomes of it.

Owns what is in hand. The pace, and the patience that the other side asks for, hold for the whole
courier or for one place of it (`places`), not for one note; where many runs begin at once, one
message tells of them all (`storms`). What was delivered stays in hand until the journal has it, and
nothing else of that run goes out meanwhile: a journal that can't be written must not make us tell
people again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from remediator.engine import retry, within
from remediator.engine.hint import Hint
from remediator.engine.places import Places
from remediator.engine.ports import ContextFor
from remediator.engine.storms import Storms
from remediator.journal.protocol import Journal
from remediator.journal.values import JournalUnavailable, OutboxItem, Overloaded
from remediator.model.clock import Clock
from remediator.model.views import Note, RunView
from remediator.observe import logs, metrics
from remediator.plugin.notifier import Notifier, Refused, Undelivered

log = logs.get(__name__)

# Deliveries in hand at once; also the most that a crash can make us tell again.
_AT_ONCE = 16
_DELIVER_WITHIN_S = 30.0
_FIRST_RETRY = timedelta(seconds=2)
_SLOWEST_LOOK = timedelta(seconds=2)
# A journal that is back is found so late; later than that its runs' next notes would be stale.
_SLOWEST_RECORD = timedelta(seconds=30)
# Looks into the outbox in a row: with what they find, deliveries are begun before the next.
_LOOKS_AT_ONCE = 20
# What was queued about when this node took the duty may have been told by who had it before; by
# so much the clocks of two replicas may differ.
_CLOCKS_APART = timedelta(minutes=1)

DUTY = "notes:{}"
"""One node at a time delivers a notifier's notes, in order and at the pace that it asks for."""

NOBODY = "nobody"
"""Whose notes no configured notifier takes."""

Write = Callable[[], Awaitable[None]]
Instead = Callable[[OutboxItem, str], Note | None]
Decorate = Callable[[RunView], RunView]
"""Adds what the settings know of every run: its links."""
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose notes a courier takes: one notifier's, or all but some."""

    notifier: str = ""
    besides: Sequence[str] = ()


class Courier:
    """Delivers one notifier's notes; without a notifier, gives up those that nobody takes."""

    def __init__(
        self,
        journal: Journal,
        notifier: Notifier | None,
        wanted: Wanted,
        context_for: ContextFor,
        clock: Clock,
        instead: Instead,
        decorate: Decorate,
    ) -> None:
        self.hint = Hint()
        self.name = wanted.notifier or NOBODY
        self._journal = journal
        self._notifier = notifier
        self._wanted = wanted
        self._context_for = context_for
        self._clock = clock
        self._instead = instead
        self._decorate = decorate
        self._paced = notifier is not None and bool(notifier.apart or notifier.storm)
        bar = notifier.storm if notifier else None
        apart_s = notifier.apart.total_seconds() if notifier else 0.0
        self._places = Places(clock, apart_s, bar.within if bar else timedelta())
        self._storms = (
            Storms(journal, notifier, bar, self._places, context_for, clock)
            if notifier and bar
            else None
        )
        self._on_duty_since: datetime | None = None
        self._in_hand: dict[Key, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        if notifier is not None:
            # From the start, so that the first refusal is an increase.
            for result in ("delivered", "retried", "refused", "shared"):
                metrics.NOTES.labels(notifier=self.name, result=result)

    @property
    def in_hand(self) -> int:
        """How many of its notes are being delivered, or wait to be recorded as delivered."""
        return len(self._in_hand)

    async def run(self) -> None:
        """Deliver until `stop`; when cancelled, deliveries in hand are dropped."""
        try:
            while not self._stopping.is_set():
                pause = timedelta(seconds=self._places.pause_s)
                if pause <= timedelta():
                    pause = await self._look()
                await self.hint.wait(self._clock, pause)
        except BaseException:
            await self._drop()
            raise

    async def stop(self, within_s: float) -> None:
        """Take up nothing new; what is in hand may finish for so long. Idempotent."""
        self._stopping.set()
        self.hint.poke()
        if self._in_hand:
            await asyncio.wait(self._in_hand.values(), timeout=within_s)
            for run_id, notifier in self._in_hand:
                log.warning(
                    "stopped inside a delivery; it may be told again",
                    run_id=run_id,
                    notifier=notifier,
                )
        await self._drop()

    async def _drop(self) -> None:
        tasks = list(self._in_hand.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- which goes next ------------------------------------------------------------------

    async def _look(self) -> timedelta:
        """Take up what is due; returns how long there is nothing to do unless something happens."""
        if not self._journal.on_duty(DUTY.format(self.name)):
            self._on_duty_since = None
            return _SLOWEST_LOOK
        try:
            if self._on_duty_since is None:
                if self._storms is not None:
                    await self._storms.load()
                self._on_duty_since = self._clock.now()
            return timedelta() if await self._take_up() else await self._until_next()
        except (JournalUnavailable, Overloaded) as error:
            log.warning("the outbox can't be read", notifier=self.name, error=_said(error))
            self._places.hold_all(_SLOWEST_LOOK)
            return _SLOWEST_LOOK

    async def _take_up(self) -> int:
        """Begin to deliver what is due and may go now; returns how many."""
        begun = 0
        for _ in range(_LOOKS_AT_ONCE if self._paced else 1):
            # What was in hand when the journal is asked may come back as if it still waited.
            busy = set(self._in_hand)
            if len(busy) >= _AT_ONCE:
                break
            due = await self._journal.outbox_due(
                at=self._clock.now(),
                limit=_AT_ONCE + len(busy),
                notifier=self._wanted.notifier,
                besides=self._wanted.besides,
                but=self._places.held(),
            )
            fresh = [item for item in due if _key(item) not in busy]
            if self._stopping.is_set():
                return begun
            if not self._paced:
                for item in fresh[: _AT_ONCE - len(busy)]:
                    self._begin(item)
                return len(fresh[: _AT_ONCE - len(busy)])
            begun += await self._take_up_by_place(fresh)
            if not fresh:
                break
        return begun + self._tell_storm()

    async def _take_up_by_place(self, fresh: Sequence[OutboxItem]) -> int:
        """Begin what goes to a place that is free, and let storms have what is theirs."""
        views = await asyncio.gather(*(self._journal.view(item.note.run_id) for item in fresh))
        found = [
            (item, view, self._place(item, view) if view else "")
            for item, view in zip(fresh, views, strict=True)
        ]
        firsts = Counter(place for item, view, place in found if view and item.ref is None)
        shared: list[Coroutine[Any, Any, None]] = []
        begun = 0
        for item, view, place in found:
            first = view is not None and item.ref is None
            if first and self._storms is not None:
                write = await self._storms.share(item, place, beside=firsts[place])
                if write is not None:
                    shared.append(write)
                    continue
            firsts[place] -= first
            if not self._places.free(place):
                metrics.LIMIT_HIT.labels(limit="notes_pace").inc()
                self._places.keep(item.note.run_id, place, first=first and not item.storm)
                continue
            if len(self._in_hand) >= _AT_ONCE or self._stopping.is_set():
                break
            self._places.begin(place, first=first and not item.storm)
            self._begin(item, place)
            begun += 1
        await asyncio.gather(*shared)
        return begun + len(shared)

    def _place(self, item: OutboxItem, view: RunView) -> str:
        assert self._notifier is not None  # noqa: S101 - it is paced
        context = self._context_for(item.note.run_id, {"notifier": item.notifier})
        return self._notifier.place(view, item.ref, context)

    def _begin(self, item: OutboxItem, place: str = "") -> None:
        self._work(_key(item), self._deliver(item, place), f"note {item.id} to {item.notifier}")

    def _tell_storm(self) -> int:
        """Begin to bring one storm's message up to date; returns whether there is one."""
        storm_id = self._storms.due() if self._storms and not self._stopping.is_set() else None
        if storm_id is None or (key := (storm_id, self.name)) in self._in_hand:
            return 0
        self._work(key, self._storm(storm_id), f"storm {storm_id}")
        return 1

    async def _storm(self, storm_id: str) -> None:
        assert self._storms is not None  # noqa: S101 - it has the storm
        try:
            await self._storms.tell(storm_id)
        except (JournalUnavailable, Overloaded) as error:
            log.warning("a storm can't be read or written", storm=storm_id, error=_said(error))
            self._places.hold_all(_SLOWEST_LOOK)

    def _work(self, key: Key, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._in_hand[key] = task

        def finished(task: asyncio.Task[None]) -> None:
            del self._in_hand[key]
            self.hint.poke()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("a delivery broke", task=task.get_name(), exc_info=error)
                # Or the same note would break it again at once.
                self._places.hold_all(_SLOWEST_LOOK)

        task.add_done_callback(finished)

    async def _until_next(self) -> timedelta:
        soon = [self._places.next_free_s(), self._storms.next_s() if self._storms else None]
        at_most = min([_SLOWEST_LOOK, *(timedelta(seconds=s) for s in soon if s is not None)])
        wake = await self._journal.outbox_wake(
            notifier=self._wanted.notifier, besides=self._wanted.besides
        )
        if wake is None:
            return at_most
        pause = wake - self._clock.now()
        if pause <= timedelta() and (self._in_hand or self._places.held()):
            return at_most  # it is one of these; each pokes the hint at its end
        return min(max(pause, timedelta()), at_most)

    # --- one note -------------------------------------------------------------------------

    async def _deliver(self, item: OutboxItem, place: str) -> None:
        run_id = item.note.run_id
        with logs.bound(run_id=run_id, notifier=item.notifier, note=item.note.kind.value):
            try:
                view = await self._journal.view(run_id)
            except (JournalUnavailable, Overloaded) as error:
                log.warning("the note's run can't be read", error=_said(error))
                self._places.hold_all(_SLOWEST_LOOK)
                return
            if view is None:
                await self._record(self._refused(item, "its run is gone"))
                return
            with logs.bound(runbook=view.run.runbook, incident_id=view.run.incident_id):
                await self._record(await self._tell(item, self._decorate(view)))

    async def _tell(self, item: OutboxItem, view: RunView) -> Write:
        """Tell the notifier; returns what the journal must be told of it."""
        if self._notifier is None:
            return self._refused(item, f"no notifier {item.notifier!r} is configured")
        context = self._context_for(item.note.run_id, {"notifier": item.notifier})
        note = replace(item.note, again=self._maybe_told(item), shared=bool(item.storm))
        try:
            async with asyncio.timeout(_DELIVER_WITHIN_S):
                ref = await self._notifier.announce(note, view, item.ref, context)
        except Undelivered as error:
            if error.after is not None and error.place:
                self._places.hold(error.place, error.after)
            elif error.after is not None:
                self._places.hold_all(error.after)
            return self._later(item, str(error), error.after)
        except TimeoutError:
            return self._later(item, f"no answer within {_DELIVER_WITHIN_S:.0f}s", None)
        except Refused as error:
            return self._refused(item, str(error))
        except Exception as error:
            log.exception("a notifier broke")
            return self._later(item, f"the notifier broke: {type(error).__name__}", None)
        metrics.NOTES.labels(notifier=item.notifier, result="delivered").inc()
        return lambda: self._journal.outbox_delivered(item, ref)

    def _maybe_told(self, item: OutboxItem) -> bool:
        """Whether somebody may have told it whose word on that never reached the journal."""
        since = self._on_duty_since
        return item.attempts > 0 or since is None or item.note.at <= since + _CLOCKS_APART

    def _later(self, item: OutboxItem, error: str, after: timedelta | None) -> Write:
        metrics.NOTES.labels(notifier=item.notifier, result="retried").inc()
        delay = retry.next_delay(item.attempts + 1, _FIRST_RETRY, after)
        at = self._clock.now() + delay
        log.warning("note not delivered", error=error, retry_in=str(delay))
        return lambda: self._journal.outbox_retry(item, at=at, error=error)

    def _refused(self, item: OutboxItem, error: str) -> Write:
        metrics.NOTES.labels(notifier=item.notifier, result="refused").inc()
        instead = self._instead(item, error)
        told = list(instead.to) if instead is not None else []
        log.error("note given up", error=error, told_instead=told)
        at = self._clock.now()
        return lambda: self._journal.outbox_refused(item, at=at, error=error, instead=instead)

    async def _record(self, write: Write) -> None:
        """Write what became of a note, however often it takes: telling it again is no way out."""
        attempt = 0
        while True:
            last = self._stopping.is_set()
            try:
                await write()
            except (JournalUnavailable, Overloaded) as error:
                said = _said(error)
            except Exception as error:
                log.exception("what became of a note can't be written")
                said = _said(error)
            else:
                return
            if last:
                log.error("what became of a note was not written; it is told again", error=said)
                return
            attempt += 1
            delay = min(retry.next_delay(attempt, _FIRST_RETRY), _SLOWEST_RECORD)
            log.warning("the outbox can't be written", error=said, retry_in=str(delay))
            await within.nap(self._clock, delay, self._stopping)


def _key(item: OutboxItem) -> Key:
    return item.note.run_id, item.notifier


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
