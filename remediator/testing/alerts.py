"""What fires now, as an Alertmanager knows it, set by a test."""

from collections.abc import Mapping, Sequence

from remediator.engine.ports import Among
from remediator.model.alerts import Alert, fingerprint
from remediator.model.signals import Signal


class AlertBoard:
    """What fires now, as an Alertmanager knows it (`remediator.engine.ports.AlertSignal`)."""

    def __init__(self) -> None:
        self._firing: dict[str, Alert] = {}
        self.has_address = True
        """Whether the sender has an address that can be asked."""
        self.reachable = True
        """Whether a peer answers."""

    def fire(self, alert: Alert) -> None:
        """Let an alert fire."""
        self._firing[alert.fingerprint] = alert

    def clear(self, labels: Mapping[str, str]) -> None:
        """Let it stop."""
        self._firing.pop(fingerprint(labels), None)

    async def firing(
        self, sender: str, labels: Mapping[str, str], *, among: Among | None = None
    ) -> Signal:
        """See `AlertSignal.firing`."""
        if not self.configured(sender):
            return Signal.NOT_CONFIGURED
        if not self.reachable:
            return Signal.UNKNOWN
        burns = any(
            all(alert.labels.get(k, "") == v for k, v in labels.items())
            and (among is None or among(alert.labels))
            for alert in self._firing.values()
        )
        return Signal.FIRING if burns else Signal.RESOLVED

    async def alerts(
        self, sender: str, *, receiver: str | None = None, muted: bool = False
    ) -> Sequence[Alert] | None:
        """See `AlertSignal.alerts`; receivers and silences are not told apart."""
        if not self.configured(sender) or not self.reachable:
            return None
        return tuple(self._firing.values())

    def configured(self, sender: str) -> bool:
        """See `AlertSignal.configured`."""
        return self.has_address
