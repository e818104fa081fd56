"""The notes of one notifier: which goes next, when, and what becomes of it.

Owns the pace of deliveries and the patience that the other side asks for; both hold for the whole
lane, not for one note. What was delivered stays in hand until the journal has it, and nothing else
of that run goes out meanwhile: a journal that can't be written must not make us tell people again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from remediator.engine import retry
from remediator.engine.hint import Hint
from remediator.engine.ports import ContextFor
from remediator.journal.protocol import Journal, JournalUnavailable, OutboxItem, Overloaded
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

DUTY = "notes:{}"
"""One node at a time delivers a notifier's notes, in order and at the pace that it asks for."""

NOBODY = "nobody"
"""Whose notes no configured notifier takes."""

Write = Callable[[], Awaitable[None]]
Instead = Callable[[OutboxItem, str], Note | None]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose notes a lane takes: one notifier's, or all but some."""

    notifier: str = ""
    besides: Sequence[str] = ()


class Lane:
    """Delivers one notifier's notes; without a notifier, gives up those that nobody takes."""

    def __init__(
        self,
        journal: Journal,
        notifier: Notifier | None,
        wanted: Wanted,
        context_for: ContextFor,
        clock: Clock,
        instead: Instead,
    ) -> None:
        self.hint = Hint()
        self.name = wanted.notifier or NOBODY
        self._journal = journal
        self._notifier = notifier
        self._wanted = wanted
        self._context_for = context_for
        self._clock = clock
        self._instead = instead
        self._apart_s = notifier.apart.total_seconds() if notifier else 0.0
        self._not_before = clock.monotonic()
        self._in_hand: dict[Key, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        if notifier is not None:
            # From the start, so that the first refusal is an increase.
            for result in ("delivered", "retried", "refused"):
                metrics.NOTES.labels(notifier=self.name, result=result)

    @property
    def in_hand(self) -> int:
        """How many of its notes are being delivered, or wait to be recorded as delivered."""
        return len(self._in_hand)

    async def run(self) -> None:
        """Deliver until `stop`; when cancelled, deliveries in hand are dropped."""
        try:
            while not self._stopping.is_set():
                pause = timedelta(seconds=self._not_before - self._clock.monotonic())
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
            return _SLOWEST_LOOK
        try:
            return timedelta() if await self._take_up() else await self._until_next()
        except (JournalUnavailable, Overloaded) as error:
            log.warning("the outbox can't be read", notifier=self.name, error=_said(error))
            self._hold(_SLOWEST_LOOK)
            return _SLOWEST_LOOK

    async def _take_up(self) -> int:
        """Begin to deliver what is due and may go now; returns how many."""
        # What was in hand when the journal is asked may come back as if it were still waiting.
        busy = set(self._in_hand)
        room = _AT_ONCE - len(busy)
        if room <= 0:
            return 0
        due = await self._journal.outbox_due(
            at=self._clock.now(),
            limit=_AT_ONCE + len(busy),
            notifier=self._wanted.notifier,
            besides=self._wanted.besides,
        )
        fresh = [item for item in due if _key(item) not in busy]
        if self._apart_s:
            if len(fresh) > 1:
                metrics.LIMIT_HIT.labels(limit="notes_pace").inc()
            room = 1
        if self._stopping.is_set():
            return 0
        for item in fresh[:room]:
            self._begin(item)
        return len(fresh[:room])

    def _begin(self, item: OutboxItem) -> None:
        if self._apart_s:
            self._hold(timedelta(seconds=self._apart_s))
        key = _key(item)
        task = asyncio.create_task(self._deliver(item), name=f"note {item.id} to {item.notifier}")
        self._in_hand[key] = task

        def finished(task: asyncio.Task[None]) -> None:
            del self._in_hand[key]
            self.hint.poke()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("a delivery broke", task=task.get_name(), exc_info=error)
                self._hold(_SLOWEST_LOOK)  # or the same note would break it again at once

        task.add_done_callback(finished)

    async def _until_next(self) -> timedelta:
        wake = await self._journal.outbox_wake(
            notifier=self._wanted.notifier, besides=self._wanted.besides
        )
        if wake is None:
            return _SLOWEST_LOOK
        pause = wake - self._clock.now()
        if pause <= timedelta() and self._in_hand:
            return _SLOWEST_LOOK  # it is one of these; each pokes the hint at its end
        return min(max(pause, timedelta()), _SLOWEST_LOOK)

    def _hold(self, span: timedelta) -> None:
        """Send nothing for so long."""
        until = self._clock.monotonic() + span.total_seconds()
        self._not_before = max(self._not_before, until)

    # --- one note -------------------------------------------------------------------------

    async def _deliver(self, item: OutboxItem) -> None:
        run_id = item.note.run_id
        with logs.bound(run_id=run_id, notifier=item.notifier, note=item.note.kind.value):
            try:
                view = await self._journal.view(run_id)
            except (JournalUnavailable, Overloaded) as error:
                log.warning("the note's run can't be read", error=_said(error))
                self._hold(_SLOWEST_LOOK)
                return
            if view is None:
                await self._record(self._refused(item, "its run is gone"))
                return
            with logs.bound(runbook=view.run.runbook, incident_id=view.run.incident_id):
                await self._record(await self._tell(item, view))

    async def _tell(self, item: OutboxItem, view: RunView) -> Write:
        """Tell the notifier; returns what the journal must be told of it."""
        if self._notifier is None:
            return self._refused(item, f"no notifier {item.notifier!r} is configured")
        context = self._context_for(item.note.run_id, {"notifier": item.notifier})
        try:
            async with asyncio.timeout(_DELIVER_WITHIN_S):
                ref = await self._notifier.announce(item.note, view, item.ref, context)
        except Undelivered as error:
            if error.after is not None:
                self._hold(error.after)
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
            await self._nap(delay)

    async def _nap(self, span: timedelta) -> None:
        """Sleep, or until `stop`."""
        stopped = asyncio.ensure_future(self._stopping.wait())
        slept = asyncio.ensure_future(self._clock.sleep(span.total_seconds()))
        try:
            await asyncio.wait({stopped, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            slept.cancel()


def _key(item: OutboxItem) -> Key:
    return item.note.run_id, item.notifier


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
