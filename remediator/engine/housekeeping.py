"""What is due by the clock: sign the audit chain's head, prune what retention no longer keeps."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from remediator.journal.protocol import Journal, JournalUnavailable, Overloaded
from remediator.model.clock import Clock

log = structlog.get_logger(__name__)

_PRUNE_EVERY = timedelta(hours=1)

Anchor = Callable[[int, str], Awaitable[None]]
"""Signs (number, hash) of the newest audit record and sends it out."""


class Housekeeper:
    """Runs until cancelled."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        anchor: Anchor,
        anchor_every: timedelta,
        retention: timedelta,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._anchor = anchor
        self._anchor_every = anchor_every
        self._retention = retention
        self._anchored = 0

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        prune_at = self._clock.now() + _PRUNE_EVERY
        while True:
            await self._clock.sleep(self._anchor_every.total_seconds())
            try:
                await self.anchor()
                if self._clock.now() >= prune_at:
                    prune_at = self._clock.now() + _PRUNE_EVERY
                    await self.prune()
            except (JournalUnavailable, Overloaded, OSError) as error:
                log.warning("housekeeping will be tried again", error=str(error))

    async def anchor(self) -> None:
        """Sign the newest audit record, if there is a newer one than last time."""
        seq, digest = await self._journal.audit_head()
        if seq > self._anchored:
            await self._anchor(seq, digest)
            self._anchored = seq

    async def prune(self) -> None:
        """Delete what is older than the retention, in bounded steps."""
        before = self._clock.now() - self._retention
        while (gone := await self._journal.prune(before=before)) > 0:
            log.info("pruned", rows=gone, before=before.isoformat())
