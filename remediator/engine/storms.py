"""Storms of one notifier: which place has one, who shares its message, when that is edited.

Owned by a courier, which alone writes them: one node at a time has a notifier's duty. What must
survive is in the journal (`journal.storms`), and is read back when the duty comes. Decides by
`StormBar`: what the message says, the notifier does.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from remediator.engine.places import Places
from remediator.engine.ports import ContextFor
from remediator.journal.protocol import Journal
from remediator.journal.values import OutboxItem
from remediator.model.clock import Clock
from remediator.model.storms import StormMark
from remediator.model.views import NoteKind
from remediator.observe import logs, metrics
from remediator.plugin.notifier import Notifier, Refused, StormBar, Undelivered

log = logs.get(__name__)

# By name in the message; the rest is counted.
_MOST_NAMED = 10
_CALLS_A_PERSON = frozenset({NoteKind.APPROVAL, NoteKind.ESCALATION})
_TELL_WITHIN_S = 30.0
# A message that Slack, say, took offence at is not tried with every look.
_REFUSED_AGAIN = timedelta(minutes=5)


@dataclass
class _Storm:
    mark: StormMark
    news: bool = True
    """Something happened that its message does not say yet."""
    not_before_s: float = 0.0


class Storms:
    """The storms that one notifier tells of.

    Args:
        journal: where they are kept.
        notifier: who tells them.
        bar: when there is one.
        places: the pace that their messages keep to as well.
        context_for: makes what the notifier is handed.
        clock: the daemon's.
    """

    def __init__(
        self,
        journal: Journal,
        notifier: Notifier,
        bar: StormBar,
        places: Places,
        context_for: ContextFor,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._notifier = notifier
        self._bar = bar
        self._places = places
        self._context_for = context_for
        self._clock = clock
        self._storms: dict[str, _Storm] = {}

    async def load(self) -> None:
        """Read what another node, or this one before its restart, has left."""
        marks = await self._journal.storms(self._notifier.name)
        self._storms = {mark.id: _Storm(mark) for mark in marks}

    async def share(
        self, item: OutboxItem, place: str, *, beside: int
    ) -> Coroutine[Any, Any, None] | None:
        """Return the write that lets a storm's message tell this note, where there is a storm.

        Args:
            item: the note; of a run that has no message of its own yet.
            place: where it would go.
            beside: how many first messages are due there, this one too.
        """
        storm = await self._storm_for(item, place, beside)
        return None if storm is None else self._share(item, storm)

    async def _share(self, item: OutboxItem, storm: _Storm) -> None:
        at = self._clock.now()
        await self._journal.storm_shares(item, storm.mark.id, at=at)
        metrics.NOTES.labels(notifier=item.notifier, result="shared").inc()
        storm.news = True
        if not item.storm:
            storm.mark = replace(storm.mark, joined_at=at)

    async def _storm_for(self, item: OutboxItem, place: str, beside: int) -> _Storm | None:
        if item.storm:
            its = self._storms.get(item.storm)
            urgent = item.note.kind in _CALLS_A_PERSON
            if its is None or its.mark.closed_at is not None:
                if urgent:
                    return None  # from here on it has a message of its own
                return its or _Storm(StormMark(item.storm, "", "", item.note.at, item.note.at))
            return its
        open_here = next(
            (s for s in self._storms.values() if s.mark.place == place and not s.mark.closed_at),
            None,
        )
        if open_here is not None:
            return open_here
        if self._places.firsts(place) + beside <= self._bar.runs:
            return None
        return await self._begin(place)

    async def _begin(self, place: str) -> _Storm:
        now = self._clock.now()
        mark = StormMark(secrets.token_urlsafe(9), self._notifier.name, place, now, now)
        await self._journal.storm_begins(mark)
        metrics.LIMIT_HIT.labels(limit="notes_storm").inc()
        log.warning("a storm: many runs share one message", notifier=mark.notifier, storm=mark.id)
        storm = self._storms[mark.id] = _Storm(mark)
        self._places.let_go(place)
        return storm

    def due(self) -> str | None:
        """Return the storm whose message should be edited now, and may be."""
        now_s = self._clock.monotonic()
        for storm in self._storms.values():
            wants = storm.news or self._over(storm)
            if wants and storm.not_before_s <= now_s and self._places.free(storm.mark.place):
                return storm.mark.id
        return None

    def next_s(self) -> float | None:
        """In how many seconds to look again at the latest; None: there is no storm."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        waits = []
        for storm in self._storms.values():
            if storm.news:
                waits.append(max(storm.not_before_s - now_s, 0.0))
            if storm.mark.closed_at is None:
                over = storm.mark.joined_at + self._bar.over_after - now
                waits.append(max(over.total_seconds(), 0.0))
        return min(waits, default=None)

    async def tell(self, storm_id: str) -> None:
        """Bring a storm's message up to date, and the storm to its end where nobody joins it.

        Raises:
            JournalUnavailable, Overloaded: it can't be read or written.
        """
        storm = self._storms[storm_id]
        storm.news = False
        try:
            await self._tell(storm)
        except BaseException:
            storm.news = True
            raise

    async def _tell(self, storm: _Storm) -> None:
        storm_id = storm.mark.id
        if self._over(storm):
            at = self._clock.now()
            alone = await self._journal.storm_over(storm_id, at=at)
            storm.mark = replace(storm.mark, closed_at=at)
            log.info("the storm is over", storm=storm_id, told_alone=alone)
        self._places.begin(storm.mark.place)
        storm.not_before_s = self._clock.monotonic() + self._bar.apart.total_seconds()
        stands = await self._journal.storm(storm_id, most=_MOST_NAMED)
        if stands is None or not stands.runs:
            del self._storms[storm_id]  # all of its runs were pruned
            await self._journal.storm_told(
                storm_id, storm.mark.ref, at=self._clock.now(), ended=True
            )
            return
        context = self._context_for("", {"notifier": self._notifier.name, "storm": storm_id})
        try:
            async with asyncio.timeout(_TELL_WITHIN_S):
                ref = await self._notifier.announce_storm(stands, storm.mark.ref, context)
        except TimeoutError:
            self._later(storm, f"no answer within {_TELL_WITHIN_S:.0f}s", None)
            return
        except Undelivered as error:
            if error.after is not None:
                self._places.hold(storm.mark.place, error.after)
            self._later(storm, str(error), error.after)
            return
        except Refused as error:
            log.error("a storm's message was refused", storm=storm_id, error=str(error))
            self._later(storm, str(error), _REFUSED_AGAIN)
            return
        except Exception as error:
            log.exception("a notifier broke", storm=storm_id)
            self._later(storm, type(error).__name__, _REFUSED_AGAIN)
            return
        storm.mark = replace(storm.mark, ref=ref)
        ended = stands.ended and not storm.news
        await self._journal.storm_told(storm_id, ref, at=self._clock.now(), ended=ended)
        if ended:
            del self._storms[storm_id]

    def _later(self, storm: _Storm, error: str, after: timedelta | None) -> None:
        storm.news = True
        wait = max(after or self._bar.apart, self._bar.apart)
        storm.not_before_s = self._clock.monotonic() + wait.total_seconds()
        log.warning("a storm's message is not up to date", storm=storm.mark.id, error=error)

    def _over(self, storm: _Storm) -> bool:
        quiet = self._clock.now() - storm.mark.joined_at
        return storm.mark.closed_at is None and quiet >= self._bar.over_after
