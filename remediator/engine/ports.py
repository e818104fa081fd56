"""What the engine needs from outside, wired once by `app`: journal, runbooks, clients, time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from remediator.engine.library import Library
from remediator.journal.protocol import Journal
from remediator.model.alerts import Alert
from remediator.model.clock import Clock
from remediator.model.escalation import Call
from remediator.model.incidents import Incident
from remediator.model.policy import Policy
from remediator.model.signals import Signal
from remediator.model.silences import Silence, Silenced
from remediator.plugin.context import Context

Among = Callable[[Mapping[str, str]], bool]
"""Whether an alert with these labels is meant."""


class AlertSignal(Protocol):
    """Asks a sender's Alertmanagers."""

    async def firing(
        self, sender: str, labels: Mapping[str, str], *, among: Among | None = None
    ) -> Signal:
        """Say whether an alert with at least these labels, and among those, fires now."""
        ...

    async def alerts(
        self, sender: str, *, receiver: str | None = None, muted: bool = False
    ) -> Sequence[Alert] | None:
        """Return all firing alerts (of one receiver; silenced ones too), or None when nobody that
        can know answers."""
        ...

    def configured(self, sender: str) -> bool:
        """Whether the sender has an address that can be asked at all."""
        ...


class Silencer(Protocol):
    """Speaks to the Alertmanagers of a sender; never raises for what they do."""

    def allowed(self, sender: str) -> bool:
        """Whether silences may be set at this sender's Alertmanagers, if it has any."""
        ...

    async def silence(self, wanted: Silence) -> Silenced:
        """Set a silence, or find it where it was set before."""
        ...

    async def unsilence(self, one: Silence) -> str:
        """Remove a silence. Returns why it could not be, empty when there is none any more."""
        ...


ContextFor = Callable[[str, Mapping[str, object]], Context]
"""Makes a plugin's context for a run id, with names to bind to its log."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long; see `remediator.settings.Worker`."""

    concurrency: int
    poll: timedelta
    hold: timedelta
    give_up: timedelta


async def nobody_on_call(_: Sequence[str]) -> Sequence[str]:
    """Say that nobody is, where no schedules are known."""
    return ()


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that a stage of a run works with."""

    journal: Journal
    library: Library
    policy_now: Callable[[], Policy]
    """The policy in force, which a reload replaces."""
    signal: AlertSignal
    context_for: ContextFor
    clock: Clock
    pace: Pace
    end: Callable[[Incident], Awaitable[None]]
    """Closes an incident whose alert Alertmanager no longer knows; `engine.reconcile` does it."""
    default_approvers: tuple[str, ...]
    escalate_to: tuple[Call, ...]
    silencer: Silencer | None = None
    """Sets silences around changes; None where nobody does."""
    reaches_nobody: frozenset[str] = frozenset()
    """Notifiers that tell no person: what they were told, nobody has heard."""
    on_call: Callable[[Sequence[str]], Awaitable[Sequence[str]]] = nobody_on_call
    """Who is on call by the schedules among these names, to be told; `engine.people` knows."""

    unconfined: frozenset[str] = frozenset()
    """Namespaces whose runbooks may act outside them (`resources.unconfined`)."""

    @property
    def policy(self) -> Policy:
        """The policy in force at this moment; who judges with it reads it once."""
        return self.policy_now()
