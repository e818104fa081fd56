"""Delivers notes out of the outbox to the notifiers: at least once, in order for each run.

Notes are written in the transaction that they speak of; here is only delivery. A notifier that is
down leaves its notes waiting, and no run moves because of it.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from remediator.engine import retry
from remediator.engine.hint import Hint
from remediator.engine.ports import ContextFor
from remediator.journal.protocol import Journal, JournalUnavailable, OutboxItem, Overloaded
from remediator.model.clock import Clock
from remediator.observe import metrics
from remediator.plugin.notifier import Notifier, Refused, Undelivered

log = structlog.get_logger(__name__)

_AT_ONCE = 16
# A notifier that hangs must not hold up the others for longer than people would notice.
_DELIVER_WITHIN_S = 30.0
_FIRST_RETRY = timedelta(seconds=2)
_SLOWEST_LOOK = timedelta(seconds=2)


class Announcer:
    """Empties the outbox until cancelled."""

    def __init__(
        self,
        journal: Journal,
        notifiers: Mapping[str, Notifier],
        context_for: ContextFor,
        clock: Clock,
        hint: Hint,
    ) -> None:
        self._journal = journal
        self._notifiers = notifiers
        self._context_for = context_for
        self._clock = clock
        self._hint = hint

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            pause = _SLOWEST_LOOK
            try:
                due = await self._journal.outbox_due(at=self._clock.now(), limit=_AT_ONCE)
                if due:
                    await asyncio.gather(*(self._deliver(item) for item in due))
                    continue
                pause = await self._until_next()
            except (JournalUnavailable, Overloaded) as error:
                log.warning("the outbox can't be read", error=str(error))
            await self._hint.wait(self._clock, pause)

    async def _until_next(self) -> timedelta:
        wake = await self._journal.outbox_wake()
        if wake is None:
            return _SLOWEST_LOOK
        return min(max(wake - self._clock.now(), timedelta()), _SLOWEST_LOOK)

    async def _deliver(self, item: OutboxItem) -> None:
        notifier = self._notifiers.get(item.notifier)
        view = await self._journal.view(item.note.run_id)
        if notifier is None or view is None:
            await self._refused(item, f"no notifier {item.notifier!r} is configured")
            return
        context = self._context_for(item.note.run_id, {"notifier": item.notifier})
        try:
            async with asyncio.timeout(_DELIVER_WITHIN_S):
                ref = await notifier.announce(item.note, view, item.ref, context)
        except Undelivered as error:
            await self._later(item, str(error), error.after)
        except TimeoutError:
            await self._later(item, f"no answer within {_DELIVER_WITHIN_S:.0f}s", None)
        except Refused as error:
            await self._refused(item, str(error))
        except Exception as error:
            log.exception("a notifier broke", notifier=item.notifier, run_id=item.note.run_id)
            await self._later(item, f"the notifier broke: {type(error).__name__}", None)
        else:
            metrics.NOTES.labels(notifier=item.notifier, result="delivered").inc()
            await self._journal.outbox_delivered(item, ref)

    async def _later(self, item: OutboxItem, error: str, after: timedelta | None) -> None:
        metrics.NOTES.labels(notifier=item.notifier, result="retried").inc()
        delay = retry.next_delay(item.attempts + 1, _FIRST_RETRY, after)
        log.warning("note not delivered", notifier=item.notifier, error=error, retry_in=str(delay))
        await self._journal.outbox_retry(item, at=self._clock.now() + delay, error=error)

    async def _refused(self, item: OutboxItem, error: str) -> None:
        metrics.NOTES.labels(notifier=item.notifier, result="refused").inc()
        log.error("note given up", notifier=item.notifier, error=error)
        await self._journal.outbox_refused(item, at=self._clock.now(), error=error)
