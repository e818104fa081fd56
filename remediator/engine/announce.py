"""Delivers notes out of the outbox to the notifiers: at least once, in order for each run.

Notes are written in the transaction that they speak of; here is only delivery. Each notifier has a
courier of its own (`engine/courier.py`), so that one that hangs holds up no other. A notifier that
is down leaves its notes waiting, and no run moves because of it. Here is also who is told instead
where an escalation can't be delivered at all, and the clock of an escalation's later calls.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from remediator.engine.courier import Courier, Wanted
from remediator.engine.hint import Hint
from remediator.engine.links import Links
from remediator.engine.ports import ContextFor
from remediator.journal.protocol import Journal
from remediator.journal.values import JournalUnavailable, OutboxItem, Overloaded
from remediator.model import escalation
from remediator.model.clock import Clock
from remediator.model.escalation import Call
from remediator.model.views import Note, NoteKind
from remediator.plugin.notifier import Notifier

log = structlog.get_logger(__name__)

# The net under the hints, as the worker's.
_SLOWEST_LOOK = timedelta(seconds=2)
# Enough for what a notifier answers in time; a hanging one must not use up the daemon's stop.
_STOP_WITHIN_S = 5.0


class Announcer:
    """Empties the outbox until stopped.

    Args:
        journal: where the outbox is.
        notifiers: those that are configured, by name.
        context_for: makes what a notifier is handed.
        clock: the daemon's.
        hint: poked after commits.
        escalate_to: whom the settings name for escalations.
        links: what people are shown beside a runbook's own.
    """

    def __init__(
        self,
        journal: Journal,
        notifiers: Mapping[str, Notifier],
        context_for: ContextFor,
        clock: Clock,
        hint: Hint,
        escalate_to: Sequence[Call] = (),
        links: Links | None = None,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._hint = hint
        subscribers = [
            name for name, one in notifiers.items() if one.reaches_people and not one.escalates
        ]
        named = [name for name in escalation.names(escalate_to) if name in notifiers]
        self._notifiers = notifiers
        self._chain = tuple(dict.fromkeys([*named, *subscribers]))
        self._stopping = False
        added = (links or Links()).added

        def courier(notifier: Notifier | None, wanted: Wanted) -> Courier:
            return Courier(journal, notifier, wanted, context_for, clock, self._instead, added)

        self._couriers = [
            *(courier(one, Wanted(notifier=name)) for name, one in notifiers.items()),
            courier(None, Wanted(besides=tuple(notifiers))),
        ]

    @property
    def in_hand(self) -> int:
        """How many notes are being delivered, or wait to be recorded as delivered."""
        return sum(courier.in_hand for courier in self._couriers)

    async def run(self) -> None:
        """Deliver until stopped; when cancelled, deliveries in hand are dropped."""
        async with asyncio.TaskGroup() as couriers:
            for courier in self._couriers:
                couriers.create_task(courier.run(), name=f"notes to {courier.name}")
            while not self._stopping:
                await self._hint.wait(self._clock, _SLOWEST_LOOK)
                await self._calls_due()
                for courier in self._couriers:
                    courier.hint.poke()

    async def _calls_due(self) -> None:
        """Let the later calls whose time has come go out; any node may, nothing happens twice."""
        try:
            await self._journal.calls_due(at=self._clock.now())
        except (JournalUnavailable, Overloaded) as error:
            log.warning("calls that are due can't be looked for", error=str(error))

    async def stop(self) -> None:
        """Take up nothing new, let deliveries in hand finish and be recorded. Idempotent."""
        self._stopping = True
        self._hint.poke()
        await asyncio.gather(*(courier.stop(_STOP_WITHIN_S) for courier in self._couriers))

    def _instead(self, item: OutboxItem, error: str) -> Note | None:
        """Return the note that calls somebody else, where an escalation can't be delivered.

        Whoever was named after this one is told anyway. Else the next of the chain is: first whom
        the settings name, then who is told of everything. It is only ever handed on forwards.
        """
        if item.note.kind is not NoteKind.ESCALATION:
            return None
        named, lost = item.note.to, item.notifier
        later = named[named.index(lost) + 1 :] if lost in named else ()
        if any(name in self._notifiers for name in later):
            return None
        chain = self._chain
        chain = chain[chain.index(lost) + 1 :] if lost in chain else chain
        to = next((name for name in chain if name not in named), None)
        if to is None:
            return None
        text = f"{item.note.text} (meant for {lost}: {error})"
        return replace(item.note, text=text, to=(to,))
