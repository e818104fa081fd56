"""The context and the desk that notifiers' tests hand in, and a log that remembers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from remediator.model.approvals import Answer, DecisionOutcome
from remediator.plugin.action import Permanent
from remediator.plugin.notifier import Answered, NotAuthorised

Client = TypeVar("Client")


@dataclass
class Lines:
    """A log that keeps its events."""

    events: list[str] = field(default_factory=list)

    def info(self, event: str, **values: object) -> object:
        """See `Log.info`."""
        self.events.append(event)
        return None

    def warning(self, event: str, **values: object) -> object:
        """See `Log.warning`."""
        self.events.append(event)
        return None


@dataclass
class GivenContext:
    """A `Context` with the given clients and a time that the test moves by hand."""

    clients: Mapping[type, object]
    at: datetime
    run_id: str = "run-1"
    log: Lines = field(default_factory=Lines)

    def now(self) -> datetime:
        """See `Context.now`."""
        return self.at

    def client(self, kind: type[Client]) -> Client:
        """See `Context.client`."""
        found = self.clients.get(kind)
        if not isinstance(found, kind):
            raise Permanent(f"no {kind.__name__}")
        return found

    async def prove_alive(self) -> None:
        """See `Context.prove_alive`."""

    async def facts(self, kind: str, subject: str) -> Sequence[str]:
        """See `Context.facts`."""
        return ()


class FirstWins:
    """A desk with the rules of the real one: authorised people, one decision, later told so."""

    def __init__(self, *authorised: str) -> None:
        self.authorised = authorised
        self.decided: list[tuple[str, str, Answer, str]] = []
        self.instead: Answered | None = None
        """What to answer without deciding: expired, void …"""
        self.broken: Exception | None = None
        self._lock = asyncio.Lock()

    async def decide(
        self, approval_id: str, *, actor: str, answer: Answer, reason: str, via: str
    ) -> Answered:
        """See `Desk.decide`."""
        async with self._lock:
            if self.broken is not None:
                raise self.broken
            if actor not in self.authorised:
                raise NotAuthorised(f"{actor} may not decide this; it is for sre-oncall")
            if self.instead is not None:
                return self.instead
            if self.decided:
                return Answered(DecisionOutcome.ALREADY_DECIDED, "This had already been decided.")
            self.decided.append((approval_id, actor, answer, via))
            outcome = {
                Answer.APPROVE: DecisionOutcome.APPROVED,
                Answer.DENY: DecisionOutcome.DENIED,
            }[answer]
            return Answered(outcome, f"{outcome.value}.")
