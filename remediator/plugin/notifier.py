"""The contract of notifiers: tell people about a run, and carry their answers back.

A notifier decides nothing. What it is told comes out of the outbox, in order for each run, at
least once; `ref` is what it returned last time for the same run (a channel and a thread, say).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Protocol

from remediator.model.approvals import Answer, DecisionOutcome
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, RunView
from remediator.plugin.context import Context


class Undelivered(Exception):
    """The note could not be delivered now; it stays in the outbox and is tried again.

    Args:
        message: what is wrong, for people.
        after: the other side as a whole takes nothing earlier: nothing else is sent before either.
    """

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class Refused(Exception):
    """This note can never be delivered (the other side finds it malformed); it is recorded. What
    an operator can repair, a revoked token, an unknown channel, is `Undelivered` for a while."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a person's answer, with a sentence to show them."""

    outcome: DecisionOutcome
    message: str


class Desk(Protocol):
    """Where answers are handed in. Checks that the actor may decide, and decides once."""

    async def decide(
        self, approval_id: str, *, actor: str, answer: Answer, reason: str, via: str
    ) -> Answered:
        """Hand in one person's answer.

        Args:
            approval_id: the opaque id that the button carried.
            actor: an authenticated identity, `slack:U123`; never a display name.
            answer: approve or deny.
            reason: what the person wrote, may be empty.
            via: the channel it came through, `slack`.

        Raises:
            NotAuthorised: the actor may not decide this.
        """
        ...


class NotAuthorised(Exception):
    """The actor is not among those who may decide; the text says who may."""


@dataclass(frozen=True, slots=True)
class Callback:
    """One inbound HTTP request for a notifier, raw: signatures cover the exact bytes."""

    body: bytes
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer to a callback."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


class Notifier(ABC):
    """One way to tell people."""

    name: ClassVar[str]
    callback_paths: ClassVar[Sequence[str]] = ()
    """Paths under which `callback` is served, `/slack/interactions`; it authenticates itself."""
    escalates: ClassVar[bool] = False
    """True for pagers: told only of escalations, and of the end of what they escalated."""
    apart: ClassVar[timedelta] = timedelta()
    """At least so long between the beginnings of two deliveries; what is due waits its turn."""

    @abstractmethod
    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Tell people one note. Returns what to remember for this run (the new `ref`).

        Raises:
            Undelivered: try again later.
            Refused: never deliverable.
        """

    async def callback(self, request: Callback, desk: Desk, ctx: Context) -> Reply:
        """Answer an inbound request. Only called for `callback_paths`."""
        return Reply(404)
