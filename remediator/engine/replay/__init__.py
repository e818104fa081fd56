"""Recorded notifications through a set of runbooks, at the times at which they came.

`course` leads them through; `past` is what the replay itself has done, which its guardrails see;
`lines` is what comes out, and how it differs from what happened; `pairing` puts two sides together,
and `tally` counts them. Changes nothing and has no journal
to write to. Called by `remediator replay`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.journal.values import Happened
from remediator.model.alerts import Notification


@dataclass(frozen=True, slots=True)
class Received:
    """One recorded notification.

    Args:
        at: when it was received.
        sender: the scope within which fingerprints are comparable.
        source: what took it in; the reconciler's own tell of ends that nobody else told of.
    """

    at: datetime
    sender: str
    source: str
    notification: Notification


@dataclass(frozen=True, slots=True)
class Moment:
    """A notification, and the runs that it really started; None where nobody wrote them down."""

    received: Received
    happened: Sequence[Happened] | None = None


Key = tuple[datetime, str, str, str, str]
"""What makes two runs the same, in history or by another revision: when its notification came, the
sender, the fingerprint, the runbook and the trigger."""
