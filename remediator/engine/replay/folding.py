"""Recorded notifications into incidents, as intake folds them; which runs they start. Pure.

Keeps the newest incident of each alert in `Past.known`. Used by `course`.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from remediator.engine import matching, reconcile
from remediator.engine.replay import Received
from remediator.engine.replay.past import Known, Past
from remediator.journal.values import Candidate, RunStart
from remediator.model.alerts import Alert
from remediator.model.incidents import Fate, fold
from remediator.model.runs import Trigger
from remediator.runbook.index import Index

_MOST_TOLD = 20


@dataclass(slots=True)
class Folded:
    """What one notification came to: incidents that it closed, and runs that it starts."""

    closed: list[Known] = field(default_factory=list)
    starts: list[tuple[Alert, RunStart, Known]] = field(default_factory=list)


class Folding:
    """See the module."""

    def __init__(self, index: Index, past: Past) -> None:
        self._index = index
        self._past = past
        self._ids = itertools.count(1)
        self.unmatched: list[str] = []
        """Conditions that could not be evaluated, each said once."""

    def fold(self, received: Received) -> Folded:
        """Fold one notification."""
        folded = Folded()
        wanted: list[tuple[Alert, RunStart, Known]] = []
        for candidate in self._candidates(received):
            self._complain(candidate)
            known, fate = self._one(received, candidate.alert, folded)
            if known is not None and fate is not Fate.UNKNOWN_RESOLVED:
                starts = candidate.on_resolved if fate is Fate.CLOSED else candidate.on_firing
                wanted += [(candidate.alert, start, known) for start in starts]
        for alert, start, known in wanted:
            which = (start.runbook, start.trigger.value)
            # An alert that came and went in one notification needs no repair.
            over = start.trigger is Trigger.FIRING and not known.incident.open
            if which not in known.started and not over:
                known.started.add(which)
                folded.starts.append((alert, start, known))
        return folded

    def _candidates(self, received: Received) -> Iterator[Candidate]:
        notification, at = received.notification, received.at
        if received.source == reconcile.SOURCE and notification.receiver == reconcile.SOURCE:
            # No *resolved* of these came; the reconciler closed them.
            for alert in notification.alerts:
                known = self._past.known.get((received.sender, alert.fingerprint))
                if known is not None and known.incident.open:
                    yield matching.closing(known.incident, self._index, at)
            return
        yield from matching.candidates(notification, self._index, at)

    def _one(self, received: Received, alert: Alert, folded: Folded) -> tuple[Known | None, Fate]:
        key = (received.sender, alert.fingerprint)
        known = self._past.known.get(key)
        fate, incident = fold(
            known.incident if known else None,
            alert,
            sender=received.sender,
            new_id=f"incident-{next(self._ids)}",
            now=received.at,
        )
        if incident is None:
            return None, fate
        if known is None or fate is Fate.OPENED:
            known = Known(incident, known.treated if known else ())
            self._past.known[key] = known
            self._past.opened(received.at)
        else:
            known.incident = incident
        if not incident.open:
            folded.closed.append(known)
            self._past.close(known, incident)
        return known, fate

    def _complain(self, candidate: Candidate) -> None:
        for text in candidate.failed:
            if text not in self.unmatched and len(self.unmatched) < _MOST_TOLD:
                self.unmatched.append(text)
