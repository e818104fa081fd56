"""What is due by the clock: sign the audit chain's head, prune what retention no longer keeps."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

import structlog

from remediator.engine import guardrails, tripped
from remediator.engine.library import Library
from remediator.journal.protocol import Journal
from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.model import promotion
from remediator.model.clock import Clock
from remediator.model.limits import Limits
from remediator.model.policy import Policy

log = structlog.get_logger(__name__)

DUTY = "housekeeping"
"""One node at a time signs, prunes and straightens."""

_PRUNE_EVERY = timedelta(hours=1)
_LOOK_AGAIN = timedelta(seconds=2)

Anchor = Callable[[int, str], Awaitable[None]]
"""Signs (number, hash) of the newest audit record and sends it out."""


def kept_from(
    now: datetime, retention: timedelta, limits: Iterable[Limits], policy: Policy
) -> datetime:
    """Return from when on everything is kept: by age, and as far back as any limit looks.

    Args:
        limits: the runbooks' own.
    """
    looks = [guardrails.look_back(one, policy, now) for one in (Limits(), *limits)]
    counted = [at for look in looks for at in (look.changes, look.opened, look.treated) if at]
    if policy.breaker.failures is not None:
        # While a breaker is open or half-open, what opened it must still be there.
        counted.append(now - policy.breaker.failures.per - policy.breaker.cool_off)
    if policy.trust.required:
        counted += promotion.looks_back_to(policy.trust, now)
    return min([now - retention, *counted])


class Housekeeper:
    """Runs until cancelled.

    Args:
        retention: how old what is over may become.
        audit_retention: how old audit records may become; None keeps all.
        library, policy_now: their limits count the past; what they still count is never deleted.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        anchor: Anchor,
        anchor_every: timedelta,
        retention: timedelta,
        library: Library,
        policy_now: Callable[[], Policy],
        audit_retention: timedelta | None = None,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._anchor = anchor
        self._anchor_every = anchor_every
        self._retention = retention
        self._audit_retention = audit_retention
        self._library = library
        self._policy_now = policy_now
        self._tripped = tripped.Watch()
        self._anchored = 0

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        # By the clock that nobody sets: one that is set years ahead by mistake can be mended within
        # the hour, and has made nothing old before.
        every_s = _PRUNE_EVERY.total_seconds()
        prune_at_s = self._clock.monotonic() + every_s
        while True:
            await self._until_due()
            try:
                await self._journal.beat(at=self._clock.now())
                await self._tripped.look(self._journal, self._policy_now(), self._clock.now())
                if not self._journal.on_duty(DUTY):
                    continue
                await self._journal.straighten(at=self._clock.now())
                await self._journal.expire_overrides(at=self._clock.now())
                await self.anchor()
                if self._clock.monotonic() >= prune_at_s:
                    prune_at_s = self._clock.monotonic() + every_s
                    await self.prune()
            except (JournalUnavailable, Overloaded, OSError) as error:
                log.warning("housekeeping will be tried again", error=str(error))

    async def _until_due(self) -> None:
        """Sleep until the next round; shorter while the journal can't be written, since as long as
        nothing is written nobody finds out that it can be again."""
        due_s = self._clock.monotonic() + self._anchor_every.total_seconds()
        while (left_s := due_s - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(left_s, _LOOK_AGAIN.total_seconds()))
            if not self._journal.writable:
                return

    async def anchor(self) -> None:
        """Sign the newest audit record, if there is a newer one than last time."""
        if not self._journal.on_duty(DUTY):
            return
        seq, digest = await self._journal.audit_head()
        if seq > self._anchored:
            await self._anchor(seq, digest)
            self._anchored = seq

    async def prune(self) -> None:
        """Delete what is older than the retention, and than what any limit looks back on."""
        now = self._clock.now()
        limits = (runbook.limits for runbook in self._library.by_name.values())
        before = kept_from(now, self._retention, limits, self._policy_now())
        gone = await self._journal.prune(before=before)
        if gone:
            log.info("pruned", rows=gone, before=before.isoformat())
        if self._audit_retention is None:
            return
        before = now - self._audit_retention
        gone = await self._journal.prune_audit(before=before)
        if gone:
            log.info("audit records pruned", records=gone, before=before.isoformat())
            await self.anchor()  # at once: a signed head covers the record that says so
