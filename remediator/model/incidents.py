"""Incidents: one firing episode of one alert, and the pure rule that folds alerts into them.

Alertmanager is at-least-once and fails open: peers send duplicates, a stale *firing* may follow
*resolved*, a *resolved* may come for something never seen, and two peers may disagree on
`startsAt` by a little. So an incident is identified by sender and fingerprint, at most one open,
never by the exact start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from remediator.model.alerts import Alert


class IncidentStatus(StrEnum):
    """Whether the episode goes on."""

    OPEN = "open"
    RESOLVED = "resolved"


class Fate(StrEnum):
    """What became of one alert of a notification; written to the audit log."""

    OPENED = "opened"
    REFRESHED = "refreshed"  # already open: a repeat, an HA duplicate, an earlier start
    CLOSED = "closed"
    STALE = "stale"  # speaks of an episode that is over
    UNKNOWN_RESOLVED = "unknown_resolved"  # resolved, and never seen firing


@dataclass(frozen=True, slots=True)
class Incident:
    """One firing episode of one alert (or of one group, for runbooks that are `per: group`)."""

    id: str
    sender: str
    fingerprint: str
    status: IncidentStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    starts_at: datetime
    ends_at: datetime | None
    opened_at: datetime
    updated_at: datetime
    end_assumed: bool = False
    """Nobody told us when it ended; `ends_at` is when we noticed."""

    @property
    def open(self) -> bool:
        """Whether the episode goes on."""
        return self.status is IncidentStatus.OPEN


def fold(
    latest: Incident | None, alert: Alert, *, sender: str, new_id: str, now: datetime
) -> tuple[Fate, Incident | None]:
    """Fold one alert into the latest incident of its sender and fingerprint.

    Args:
        latest: the open incident, else the one that closed last, else None.
        alert: what the sender says.
        sender: the scope within which fingerprints are comparable.
        new_id: the identity that a new incident gets.
        now: when we received it.

    Returns:
        The alert's fate, and the incident to write (None when nothing changes).
    """
    if not alert.firing:
        if latest is None:
            # Kept, so that the *firing* of this episode, should it come late, is known as stale.
            over = _new(alert, IncidentStatus.RESOLVED, sender=sender, new_id=new_id, now=now)
            return Fate.UNKNOWN_RESOLVED, over
        return _resolve(latest, alert, now)
    if latest is None or (not latest.open and _begins_after(alert, latest)):
        return Fate.OPENED, _new(alert, IncidentStatus.OPEN, sender=sender, new_id=new_id, now=now)
    if not latest.open:
        return Fate.STALE, None  # late news of an episode that is over
    return Fate.REFRESHED, replace(
        latest,
        starts_at=min(latest.starts_at, alert.starts_at),
        annotations=alert.annotations,
        generator_url=alert.generator_url or latest.generator_url,
        updated_at=now,
    )


def _begins_after(alert: Alert, closed: Incident) -> bool:
    # An end that we assumed says nothing about later news: our clock is not the sender's, and we
    # may have been wrong. Alertmanager is asked before anything is done about it.
    if closed.ends_at is None or closed.end_assumed:
        return True
    return alert.starts_at > closed.ends_at


def _new(
    alert: Alert, status: IncidentStatus, *, sender: str, new_id: str, now: datetime
) -> Incident:
    over = status is IncidentStatus.RESOLVED
    return Incident(
        id=new_id,
        sender=sender,
        fingerprint=alert.fingerprint,
        status=status,
        labels=alert.labels,
        annotations=alert.annotations,
        generator_url=alert.generator_url,
        starts_at=alert.starts_at,
        ends_at=(alert.ends_at or now) if over else None,
        opened_at=now,
        updated_at=now,
        end_assumed=over and alert.ends_at is None,
    )


def _resolve(latest: Incident, alert: Alert, now: datetime) -> tuple[Fate, Incident | None]:
    ends_at = alert.ends_at or now
    if not latest.open or ends_at < latest.starts_at:
        return Fate.STALE, None
    return Fate.CLOSED, replace(
        latest,
        status=IncidentStatus.RESOLVED,
        starts_at=min(latest.starts_at, alert.starts_at),
        ends_at=ends_at,
        updated_at=now,
        end_assumed=alert.ends_at is None,
    )
