"""From a request body to committed incidents and runs. Never acts, never waits for an action.

Called by `web` for each notification, and by `reconcile` for what Alertmanager says when asked.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from remediator.engine import matching
from remediator.engine.library import Library
from remediator.journal.protocol import Journal
from remediator.journal.values import Candidate, Intake, Overloaded, Receipt
from remediator.model.alerts import Notification
from remediator.model.incidents import Incident
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.observe import metrics
from remediator.plugin.source import Source

log = structlog.get_logger(__name__)

# Bodies above this are parsed in a thread: a storm must not hold up the event loop for a second.
_PARSE_INLINE_BYTES = 256 * 1024
# Within the shortest `group_interval` that people set; Alertmanager tries again after a 503.
_WAIT_FOR_STORM_S = 10.0


class IntakeDesk:
    """Takes notifications in."""

    def __init__(
        self,
        journal: Journal,
        library: Library,
        sources: Mapping[str, Source],
        on_truncated: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._library = library
        self._sources = sources
        self._on_truncated = on_truncated
        self._storm = asyncio.Lock()

    async def receive(
        self, sender: str, source: str, body: bytes, received_at: datetime
    ) -> Receipt:
        """Parse, match and commit one notification.

        Args:
            sender: the authenticated scope within which fingerprints are comparable.
            source: the dialect's name.
            body: the raw request body.

        Raises:
            remediator.plugin.source.Rejected: the body can never be accepted.
            Overloaded, JournalUnavailable: it may be accepted later.
        """
        if len(body) <= _PARSE_INLINE_BYTES:
            notification = self.parse(source, body)
            candidates = self.matched(notification, received_at)
            dropped = notification.truncated
            receipt = await self.take(
                sender, source, body, received_at, candidates, truncated=dropped
            )
        else:
            async with self._in_turn():
                notification = await asyncio.to_thread(self.parse, source, body)
                candidates = await asyncio.to_thread(self.matched, notification, received_at)
                dropped = notification.truncated
                receipt = await self.take(
                    sender, source, body, received_at, candidates, truncated=dropped
                )
        if dropped:
            # The dropped alerts are never sent again by themselves.
            metrics.LIMIT_HIT.labels(limit="sender_max_alerts").inc()
            self._on_truncated()
        return receipt

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """Let one storm at a time be parsed, matched and stored: each holds many times its size.

        Raises:
            Overloaded: the one before takes too long; the sender comes again.
        """
        try:
            async with asyncio.timeout(_WAIT_FOR_STORM_S):
                await self._storm.acquire()
        except TimeoutError:
            metrics.LIMIT_HIT.labels(limit="storms_at_once").inc()
            raise Overloaded("another storm is being stored") from None
        try:
            yield
        finally:
            self._storm.release()

    def matched(self, notification: Notification, at: datetime) -> tuple[Candidate, ...]:
        """Return what a notification would begin by the runbooks in force."""
        return matching.candidates(notification, self._library.index, at)

    def ended(self, incident: Incident, at: datetime) -> Candidate:
        """Return what it means that an incident is over without a *resolved*."""
        return matching.closing(incident, self._library.index, at)

    def parse(self, source: str, body: bytes) -> Notification:
        """Parse a body by its dialect.

        Raises:
            remediator.plugin.source.Rejected: it is not of that dialect.
        """
        return self._sources[source].parse(body)

    async def take(
        self,
        sender: str,
        source: str,
        body: bytes,
        received_at: datetime,
        candidates: tuple[Candidate, ...],
        *,
        truncated: int = 0,
    ) -> Receipt:
        """Commit what a notification comes to; `body` is kept for replay."""
        receipt = await self._journal.take(
            Intake(
                sender=sender,
                source=source,
                received_at=received_at,
                body=body,
                truncated=truncated,
                candidates=candidates,
            )
        )
        failed = [text for candidate in candidates for text in candidate.failed]
        if failed:
            metrics.CONDITIONS_FAILED.inc(len(failed))
            log.warning("conditions of runbooks can't be evaluated", first=failed[0], n=len(failed))
        for fate, alerts in Counter(receipt.fates).items():
            metrics.counter(metrics.ALERTS, fate.value).inc(alerts)
        for runbook in receipt.cancelled_runbooks:
            metrics.run_ended(runbook, RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF)
        if receipt.started or receipt.cancelled:
            log.info(
                "notification taken",
                sender=sender,
                alerts=len(candidates),
                runs_started=len(receipt.started),
                runs_cancelled=len(receipt.cancelled),
            )
        return receipt
