"""Ask Alertmanager what notifications did not tell: at start, and when a group was truncated.

At start only known incidents are looked at: those that no longer fire are closed, since their
*resolved* may have come while nobody listened; what began meanwhile is sent again by Alertmanager.
"""

import json
from datetime import datetime

import structlog

from remediator.engine.intake import IntakeDesk
from remediator.engine.ports import AlertSignal
from remediator.journal.protocol import Journal
from remediator.model.alerts import Alert, AlertStatus, Notification
from remediator.model.clock import Clock, to_text
from remediator.model.incidents import Incident, IncidentStatus
from remediator.model.signals import Signal

log = structlog.get_logger(__name__)

SOURCE = "reconcile"


class Reconciler:
    """Folds Alertmanager's own view into the journal."""

    def __init__(
        self, journal: Journal, intake: IntakeDesk, signal: AlertSignal, clock: Clock
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._signal = signal
        self._clock = clock

    async def close_what_ended(self) -> int:
        """Close open incidents whose alert no longer fires; returns how many."""
        closed = 0
        cursor: str | None = None
        while True:
            page = await self._journal.incidents(
                status=IncidentStatus.OPEN, cursor=cursor, limit=500
            )
            for incident in page.items:
                if await self._signal.firing(incident.sender, incident.labels) is Signal.RESOLVED:
                    await self._resolve(incident)
                    closed += 1
            cursor = page.next
            if cursor is None:
                return closed

    async def fetch_truncated(self, sender: str, notification: Notification) -> int:
        """Take in the firing alerts of a group whose tail the sender dropped."""
        alerts = await self._signal.alerts(sender, receiver=notification.receiver)
        if alerts is None:
            log.warning("truncated alerts can't be fetched", sender=sender)
            return 0
        group = notification.group_labels.items()
        mine = tuple(a for a in alerts if all(a.labels.get(k) == v for k, v in group))
        if not mine:
            return 0
        await self._take(sender, _notification(mine, notification), self._clock.now())
        return len(mine)

    async def _resolve(self, incident: Incident) -> None:
        now = self._clock.now()
        alert = Alert(
            AlertStatus.RESOLVED,
            incident.labels,
            incident.annotations,
            incident.starts_at,
            now,
            incident.generator_url,
            incident.fingerprint,
        )
        await self._take(incident.sender, _notification((alert,), None), now)

    async def _take(self, sender: str, notification: Notification, now: datetime) -> None:
        body = json.dumps(
            {
                "reconciled_at": to_text(now),
                "alerts": [
                    {"status": a.status, "labels": dict(a.labels), "fingerprint": a.fingerprint}
                    for a in notification.alerts
                ],
            }
        ).encode()
        await self._intake.take(sender, SOURCE, body, now, notification=notification)


def _notification(alerts: tuple[Alert, ...], of: Notification | None) -> Notification:
    firing = any(alert.firing for alert in alerts)
    return Notification(
        receiver=of.receiver if of else "",
        status=AlertStatus.FIRING if firing else AlertStatus.RESOLVED,
        group_key=of.group_key if of else "",
        group_labels=of.group_labels if of else {},
        common_labels=of.common_labels if of else {},
        common_annotations=of.common_annotations if of else {},
        external_url=of.external_url if of else "",
        alerts=alerts,
    )
