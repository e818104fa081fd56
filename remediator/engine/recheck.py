"""Does the alert still fire? Asked at Alertmanager before a run begins and before each change.

The webhook is a hint: peers repeat, delay and lose notifications. Fails closed: when nobody
answers, the caller holds and does not act.
"""

from remediator.engine.hand import Hand, asks_alertmanager
from remediator.model.signals import Signal


async def signal(hand: Hand) -> Signal | None:
    """Return whether the run's alert still fires, None for runs that no firing alert started.

    A closed incident settles it without asking; an open one is only the last word we heard.
    """
    if not asks_alertmanager(hand.run) or hand.incident is None:
        return None
    incident = await hand.ports.journal.incident(hand.incident.id)
    if incident is not None:
        hand.incident = incident
        if not incident.open:
            return Signal.RESOLVED
    return await ask(hand)


async def ask(hand: Hand) -> Signal:
    """Ask the sender's Alertmanagers, whatever the journal says.

    A group's incident is not an alert that Alertmanager knows; its members are asked for by the
    group's labels.
    """
    assert hand.incident is not None, "only runs with an incident are asked about"  # noqa: S101 - caller's contract
    return await hand.ports.signal.firing(hand.incident.sender, hand.incident.labels)
