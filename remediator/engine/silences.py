"""Silences in Alertmanager around a run's changes: set before the first, removed after the end.

The silence is a courtesy: whatever goes wrong with it is told and counted, and no run waits for it.
`ensure` is called by `applying` between a stored intent and its change; `Remover` is one of the
daemon's parts.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from remediator.engine import retry
from remediator.engine.hand import Hand
from remediator.engine.ports import Silencer
from remediator.journal.protocol import Journal
from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.model import silences
from remediator.model.clock import Clock
from remediator.model.matchers import Matcher
from remediator.model.quantities import format_duration
from remediator.model.silences import Silence, Silenced, SilenceState
from remediator.observe import logs, metrics

log = logs.get(__name__)

DUTY = "silences"
"""One node at a time removes silences."""

_LOOK_EVERY = timedelta(seconds=5)
_FIRST_RETRY = timedelta(seconds=5)
_AT_ONCE = 20
# Setting a silence keeps a change waiting; each peer that is asked has 5 s of its own.
_SET_WITHIN_S = 10.0


async def ensure(held: Hand) -> None:
    """Set what the run's runbook silences, once for each run."""
    spec, silencer = held.runbook.silence, held.ports.silencer
    if spec is None or silencer is None:
        return
    try:
        known = await held.ports.journal.silences_of(held.run.id)
        if not known:
            known = _wanted(held, spec)
            if not known or not await held.ports.journal.silences_wanted(
                known, epoch=held.run.epoch, at=held.now
            ):
                return
        for one in known:
            if one.state is SilenceState.WANTED:
                await _set(held, silencer, one)
    except (JournalUnavailable, Overloaded) as error:
        # Whatever was set is removed at the run's end: its row was there before.
        log.warning("going on without a silence", error=str(error))


def promised(held: Hand) -> str:
    """Return what the run will silence, for those who are asked to approve; empty for nothing."""
    spec, silencer = held.runbook.silence, held.ports.silencer
    if spec is None or silencer is None or not silencer.allowed(_sender(held)):
        return ""
    made = [silences.written(one) for _, one in _narrowed(held, spec) if not isinstance(one, str)]
    if not made:
        return ""
    return f"; silences {' and '.join(made)} for {format_duration(spec.for_)} at most"


def _narrowed(
    held: Hand, spec: silences.Silencing
) -> Iterator[tuple[int, tuple[Matcher, ...] | str]]:
    labels = held.run.context.get("alert", {}).get("labels", {})
    for number, line in enumerate(spec.lines, 1):
        yield number, silences.narrowed(line, spec.equal, labels)


def _sender(held: Hand) -> str:
    return held.incident.sender if held.incident is not None else "default"


def _wanted(held: Hand, spec: silences.Silencing) -> tuple[Silence, ...]:
    sender = _sender(held)
    found = []
    for number, made in _narrowed(held, spec):
        if isinstance(made, str):
            metrics.SILENCES.labels(result="refused").inc()
            log.warning("no silence is set", why=made, run_id=held.run.id)
            continue
        text = silences.written(made)
        until = held.now + spec.for_
        found.append(Silence(held.run.id, number, sender, text, until, SilenceState.WANTED))
    return tuple(found)


async def _set(held: Hand, silencer: Silencer, one: Silence) -> None:
    if held.now >= one.until:
        return
    try:
        async with asyncio.timeout(_SET_WITHIN_S):
            told = await silencer.silence(one)
    except TimeoutError:
        told = Silenced(error=f"no answer within {_SET_WITHIN_S:g}s")
    metrics.SILENCES.labels(result="set" if told.id else "failed").inc()
    if told.error:
        log.warning("no silence is set", why=told.error, run_id=held.run.id)
    await held.ports.journal.silence_made(one, id_=told.id, error=told.error, at=held.now)


class Remover:
    """Removes the silences of runs that have ended, until cancelled."""

    def __init__(self, journal: Journal, silencer: Silencer, clock: Clock) -> None:
        self._journal = journal
        self._silencer = silencer
        self._clock = clock

    async def run(self) -> None:
        """Remove what is due, until cancelled."""
        while True:
            try:
                if self._journal.on_duty(DUTY):
                    await self.remove_due()
            except (JournalUnavailable, Overloaded) as error:
                log.warning("silences will be removed later", error=str(error))
            await self._clock.sleep(_LOOK_EVERY.total_seconds())

    async def remove_due(self) -> None:
        """Remove what is due now, once each."""
        due = await self._journal.silences_ending(at=self._clock.now(), limit=_AT_ONCE)
        await asyncio.gather(*map(self._remove, due))

    async def _remove(self, one: Silence) -> None:
        now = self._clock.now()
        if now >= one.until:
            await self._gone(one, SilenceState.EXPIRED)
            return
        error = await self._silencer.unsilence(one)
        if not error:
            await self._gone(one, SilenceState.REMOVED)
            return
        # Beyond its end it is gone by itself.
        at = min(now + retry.next_delay(one.attempts + 1, _FIRST_RETRY, None), one.until)
        log.warning("a silence is not removed yet", run_id=one.run_id, error=error)
        await self._journal.silence_again(one, at=at, error=error)

    async def _gone(self, one: Silence, state: SilenceState) -> None:
        metrics.SILENCES.labels(result=state.value).inc()
        await self._journal.silence_gone(one, state, at=self._clock.now())
