"""The context and the desk that notifiers' tests hand in, and a log that remembers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from remediator.model.approvals import Answer, DecisionOutcome
from remediator.model.views import RunView
from remediator.plugin.action import Permanent
from remediator.plugin.notifier import Answered, NotAuthorised, Standing

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

    def monotonic(self) -> float:
        """See `Context.monotonic`."""
        return self.at.timestamp()

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
        self.did: list[tuple[object, ...]] = []
        """What was asked for beside decisions: the word, the actor, the arguments."""
        self.views: dict[str, RunView] = {}
        """Runs with an open question, by the question's id."""
        self.stands = Standing((), 0, 0, ())
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

    async def question(self, approval_id: str, *, actor: str) -> RunView | None:
        """See `Desk.question`."""
        self._let_in(actor)
        return self.views.get(approval_id)

    async def snooze(
        self, approval_id: str, *, actor: str, for_: timedelta, reason: str, via: str
    ) -> str:
        """See `Desk.snooze`."""
        return self._did(actor, "snooze", approval_id, for_, reason, via)

    async def cancel(self, run_id: str, *, actor: str, reason: str, via: str) -> str:
        """See `Desk.cancel`."""
        return self._did(actor, "cancel", run_id, reason, via)

    async def acknowledge(self, run_id: str, *, actor: str, reason: str, via: str) -> str:
        """See `Desk.acknowledge`."""
        return self._did(actor, "acknowledge", run_id, reason, via)

    async def start(
        self,
        runbook: str,
        labels: Mapping[str, str],
        *,
        actor: str,
        via: str,
        parameters: Mapping[str, object] | None = None,
    ) -> tuple[str, str]:
        """See `Desk.start`."""
        return "run-1", self._did(
            actor, "start", runbook, dict(labels), dict(parameters or {}), via
        )

    async def pause(
        self, scope: str, *, actor: str, reason: str, for_: timedelta | None, via: str
    ) -> str:
        """See `Desk.pause`."""
        return self._did(actor, "pause", scope, reason, for_, via)

    async def unpause(self, scope: str, *, actor: str, via: str) -> str:
        """See `Desk.unpause`."""
        return self._did(actor, "unpause", scope, via)

    async def waiting_for(self, actor: str) -> Sequence[RunView]:
        """See `Desk.waiting_for`."""
        return list(self.views.values()) if actor in self.authorised else []

    async def standing(self, *, actor: str) -> Standing:
        """See `Desk.standing`."""
        self._let_in(actor)
        return self.stands

    async def run(self, run_id: str, *, actor: str) -> RunView | None:
        """See `Desk.run`."""
        self._let_in(actor)
        return next((view for view in self.views.values() if view.run.id == run_id), None)

    def _let_in(self, actor: str) -> None:
        if self.broken is not None:
            raise self.broken
        if actor not in self.authorised:
            raise NotAuthorised(f"{actor} may not do this")

    def _did(self, actor: str, what: str, *more: object) -> str:
        self._let_in(actor)
        self.did.append((what, actor, *more))
        return f"{what} by {actor}."
