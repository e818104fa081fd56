"""What fires now, as an Alertmanager knows it, set by a test."""

from collections.abc import Mapping, Sequence

from remediator.model.alerts import Alert, fingerprint
from remediator.model.signals import Signal


class AlertBoard:
    """What fires now, as an Alertmanager knows it (`remediator.engine.ports.AlertSignal`)."""

    def __init__(self) -> None:
        self._firing: dict[str, Alert] = {}
        self.configured = True
        """Whether the sender has an address that can be asked."""
        self.reachable = True
        """Whether a peer answers."""

    def fire(self, alert: Alert) -> None:
        """Let an alert fire."""
        self._firing[alert.fingerprint] = alert

    def clear(self, labels: Mapping[str, str]) -> None:
        """Let it stop."""
        self._firing.pop(fingerprint(labels), None)

    async def firing(self, sender: str, labels: Mapping[str, str]) -> Signal:
        """See `AlertSignal.firing`."""
        if not self.configured:
            return Signal.NOT_CONFIGURED
        if not self.reachable:
            return Signal.UNKNOWN
        return Signal.FIRING if fingerprint(labels) in self._firing else Signal.RESOLVED

    async def alerts(self, sender: str, *, receiver: str | None = None) -> Sequence[Alert] | None:
        """See `AlertSignal.alerts`; the receiver is not told apart."""
        return tuple(self._firing.values()) if self.configured and self.reachable else None
