"""Ask Alertmanager what notifications did not tell: what ended unheard, and what was truncated.

A *resolved* can be lost for ever (we were down, the alert came back before the group was flushed,
`send_resolved: false`); an incident that stayed open would swallow the next episode. And the tail
that `max_alerts` drops is never sent again by itself. Both are worked off from the journal, so a
crash loses nothing. Runs in the background; `recheck` ends single incidents through `end`.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from remediator.engine.hint import Hint
from remediator.engine.intake import IntakeDesk
from remediator.engine.ports import AlertSignal
from remediator.journal.protocol import Journal
from remediator.journal.values import JournalUnavailable, Overloaded, Truncated
from remediator.model.alerts import GROUP, Alert, AlertStatus, Notification
from remediator.model.canonical import JSONObject
from remediator.model.clock import Clock, to_text
from remediator.model.incidents import Incident, IncidentStatus
from remediator.observe import metrics
from remediator.plugin.source import Rejected

log = structlog.get_logger(__name__)

SOURCE = "reconcile"
DUTY = "reconcile"
"""One node at a time asks, for all."""

# Between two tries to fetch a truncated tail: an outage of Alertmanager takes longer than a moment.
_FETCH_AGAIN = timedelta(seconds=15)
# So late is seen that the node that did it is gone.
_OFF_DUTY = timedelta(seconds=2)
_PAGE = 500


class Reconciler:
    """Folds Alertmanager's own view into the journal."""

    def __init__(
        self,
        journal: Journal,
        intake: IntakeDesk,
        signal: AlertSignal,
        clock: Clock,
        *,
        every: timedelta = timedelta(minutes=1),
        hint: Hint | None = None,
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._signal = signal
        self._clock = clock
        self._every = every
        self._hint = hint or Hint()

    async def run(self) -> None:
        """Reconcile until cancelled: at once, every so often, and when a tail was dropped."""
        due = self._clock.monotonic()
        while True:
            pause = self._every
            try:
                if not self._journal.on_duty(DUTY):
                    pause = min(pause, _OFF_DUTY)
                    due = self._clock.monotonic()
                elif self._clock.monotonic() >= due:
                    due = self._clock.monotonic() + self._every.total_seconds()
                    await self.close_what_ended()
                if self._journal.on_duty(DUTY) and await self.fetch_truncated():
                    pause = min(pause, _FETCH_AGAIN)
            except (JournalUnavailable, Overloaded) as error:
                log.warning("not reconciled with Alertmanager; tried again", error=str(error))
                pause = min(pause, _FETCH_AGAIN)
            await self._hint.wait(self._clock, pause)

    async def close_what_ended(self) -> int:
        """Close open incidents whose alert no longer fires; returns how many."""
        asked_at = self._clock.now()
        closed = 0
        for sender, incidents in (await self._open(asked_at)).items():
            firing = await self._signal.alerts(sender, muted=True)
            if firing is None:
                continue
            over = [incident for incident in incidents if not _fires(incident, firing)]
            if over:
                await self._end(sender, over)
                closed += len(over)
        return closed

    async def end(self, incident: Incident) -> None:
        """Close one incident that Alertmanager was just asked about."""
        await self._end(incident.sender, [incident])

    async def fetch_truncated(self) -> int:
        """Take in what senders dropped from the tails of groups; returns how many are still to be
        fetched."""
        left = 0
        after = ""
        while (dropped := await self._journal.truncated(after=after)) is not None:
            after = dropped.notification_id
            if await self._fetch(dropped):
                await self._journal.fetched(after, at=self._clock.now())
            else:
                left += 1
        metrics.TRUNCATED_PENDING.set(left)
        return left

    async def _open(self, before: datetime) -> dict[str, list[Incident]]:
        """Return what was open before this time, by sender; later ones may not be known yet."""
        found: dict[str, list[Incident]] = defaultdict(list)
        cursor: str | None = None
        while True:
            page = await self._journal.incidents(
                status=IncidentStatus.OPEN, cursor=cursor, limit=_PAGE
            )
            for incident in page.items:
                if incident.updated_at < before and self._signal.configured(incident.sender):
                    found[incident.sender].append(incident)
            cursor = page.next
            if cursor is None:
                return found

    async def _fetch(self, dropped: Truncated) -> bool:
        """Fetch one tail. Returns whether there is nothing more to be done about it."""
        sender = dropped.sender
        if not self._signal.configured(sender):
            log.warning("truncated alerts are lost: no Alertmanager to ask", sender=sender)
            return True
        try:
            notification = self._intake.parse(dropped.source, dropped.body)
        except (Rejected, KeyError) as error:
            log.error("truncated alerts can't be fetched", sender=sender, error=str(error))
            return True
        alerts = await self._signal.alerts(sender, receiver=notification.receiver)
        if alerts is None:
            log.warning("truncated alerts can't be fetched yet", sender=sender)
            return False
        group = notification.group_labels.items()
        mine = tuple(a for a in alerts if all(a.labels.get(k) == v for k, v in group))
        if mine:
            now = self._clock.now()
            whole = _whole(mine, notification)
            candidates = self._intake.matched(whole, now)
            await self._intake.take(sender, SOURCE, _document(mine, notification), now, candidates)
        return True

    async def _end(self, sender: str, over: Sequence[Incident]) -> None:
        now = self._clock.now()
        candidates = tuple(self._intake.ended(incident, now) for incident in over)
        body = _document([c.alert for c in candidates], None)
        await self._intake.take(sender, SOURCE, body, now, candidates)
        log.info("incidents closed that Alertmanager no longer knows", sender=sender, n=len(over))


def _fires(incident: Incident, firing: Sequence[Alert]) -> bool:
    if incident.fingerprint.startswith(GROUP):
        wanted = incident.labels.items()
        return any(all(a.labels.get(k) == v for k, v in wanted) for a in firing)
    return any(a.fingerprint == incident.fingerprint or a.labels == incident.labels for a in firing)


def _whole(alerts: tuple[Alert, ...], of: Notification) -> Notification:
    return Notification(
        receiver=of.receiver,
        status=AlertStatus.FIRING,
        group_key=of.group_key,
        group_labels=of.group_labels,
        common_labels=of.common_labels,
        common_annotations=of.common_annotations,
        external_url=of.external_url,
        alerts=alerts,
    )


def _document(alerts: Sequence[Alert], of: Notification | None) -> bytes:
    """Write what Alertmanager said as a notification of version 4, so that it can be replayed."""
    document: JSONObject = {
        "version": "4",
        "status": "firing" if any(a.firing for a in alerts) else "resolved",
        "receiver": of.receiver if of else SOURCE,
        "groupKey": of.group_key if of else "",
        "groupLabels": dict(of.group_labels) if of else {},
        "alerts": [
            {
                "status": alert.status.value,
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": to_text(alert.starts_at),
                "generatorURL": alert.generator_url,
                "fingerprint": alert.fingerprint,
            }
            for alert in alerts
            if not alert.fingerprint.startswith(GROUP)
        ],
    }
    return json.dumps(document).encode()
