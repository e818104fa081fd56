"""Does the alert still fire? Asked at Alertmanager before a run begins and before each change.

The webhook is a hint: peers repeat, delay and lose notifications. Fails closed: when nobody
answers, the caller holds and does not act.
"""

from remediator.engine.hand import Hand, asks_alertmanager
from remediator.model.alerts import GROUP
from remediator.model.signals import Signal

# A step that takes no time need not read again what was read for the one before it: what came
# meanwhile is seen in the transaction of its intent, which looks at the incident once more.
_FRESH_S = 0.05


async def signal(hand: Hand) -> Signal | None:
    """Return whether the run's alert still fires, None for runs that no firing alert started.

    A closed incident settles it without asking; an open one is only the last word we heard.
    """
    if not asks_alertmanager(hand.run) or hand.incident is None:
        return None
    now_s = hand.ports.clock.monotonic()
    if now_s - hand.incident_read_s >= _FRESH_S:
        incident = await hand.ports.journal.incident(hand.incident.id)
        hand.incident_read_s = now_s
    else:
        incident = hand.incident
    if incident is not None:
        hand.incident = incident
        if not incident.open:
            return Signal.RESOLVED
    return await ask(hand)


async def ask(hand: Hand) -> Signal:
    """Ask the sender's Alertmanagers, whatever the journal says.

    A group's incident is not an alert that Alertmanager knows: any alert fires for it that carries
    the group's labels and that the runbook matches. What is over for a single alert is closed at
    once, since its *resolved* may never come, and the next episode must be a new one. A run that
    has changed nothing is cancelled by that, and the next write of the hand finds itself fenced.
    """
    incident = hand.incident
    assert incident is not None, "only runs with an incident are asked about"  # noqa: S101 - caller's contract
    whole_group = incident.fingerprint.startswith(GROUP)
    among = hand.runbook.matches if whole_group else None
    found = await hand.ports.signal.firing(incident.sender, incident.labels, among=among)
    if found is Signal.RESOLVED and incident.open and not whole_group:
        await hand.ports.end(incident)
        hand.incident = await hand.ports.journal.incident(incident.id)
    return found
