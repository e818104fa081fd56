"""The contract of notifiers: tell people about a run, and carry their answers back.

A notifier decides nothing. What it is told comes out of the outbox, in order for each run, at
least once; `ref` is what it returned last time for the same run (a channel and a thread, say).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from remediator.model.approvals import Answer, DecisionOutcome
from remediator.model.canonical import JSONObject
from remediator.model.runs import Run
from remediator.model.storms import Storm
from remediator.model.views import Note, RunView
from remediator.plugin.context import Context


class Undelivered(Exception):
    """The note could not be delivered now; it stays in the outbox and is tried again.

    Args:
        message: what is wrong, for people.
        after: the other side takes nothing earlier: nothing else is sent before either.
        place: of the other side only this place (`Notifier.place`); empty: all of it.
    """

    def __init__(self, message: str, after: timedelta | None = None, place: str = "") -> None:
        super().__init__(message)
        self.after = after
        self.place = place


class Refused(Exception):
    """This note can never be delivered (the other side finds it malformed); it is recorded. What
    an operator can repair, a revoked token, an unknown channel, is `Undelivered` for a while."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a person's answer, with a sentence to show them."""

    outcome: DecisionOutcome
    message: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand, for a status line.

    Args:
        running: runs that have not ended, newest first; at most `MOST_SHOWN`.
        waiting: how many of all wait for a person.
        open_incidents: how many incidents are open.
        paused: the kill switches that are on, each as one sentence.
    """

    running: Sequence[Run]
    waiting: int
    open_incidents: int
    paused: Sequence[str]


MOST_SHOWN = 20
"""Of any list that a desk hands out."""


class Desk(Protocol):
    """Where people's words arrive, whichever way they come: checks that the actor may, and does it
    once. Every `actor` is an authenticated identity, `slack:U123`, never a display name; every
    `via` is the channel it came through, `slack`.

    Every method raises `NotAuthorised` where the actor may not; it is then on record.
    """

    async def decide(
        self, approval_id: str, *, actor: str, answer: Answer, reason: str, via: str
    ) -> Answered:
        """Hand in one person's answer to a question.

        Args:
            approval_id: the opaque id that the button carried.
            actor: who answers.
            answer: approve or deny.
            reason: what the person wrote, may be empty.
            via: the channel it came through.
        """
        ...

    async def question(self, approval_id: str, *, actor: str) -> RunView | None:
        """Return the run that a question is about, whole; None where there is no such question."""
        ...

    async def snooze(
        self, approval_id: str, *, actor: str, for_: timedelta, reason: str, via: str
    ) -> str:
        """Withdraw a question for a while: the run waits, and is then checked, planned and asked
        anew. Returns a sentence for the actor."""
        ...

    async def cancel(self, run_id: str, *, actor: str, reason: str, via: str) -> str:
        """Stop a run before its next change. Returns a sentence for the actor."""
        ...

    async def acknowledge(self, run_id: str, *, actor: str, reason: str, via: str) -> str:
        """Answer a run's escalation: the actor looks, and nobody else is called. Returns a sentence
        for the actor."""
        ...

    async def start(
        self,
        runbook: str,
        labels: Mapping[str, str],
        *,
        actor: str,
        via: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[str, str]:
        """Start a runbook by hand. Returns the run's id (empty where none was started) and a
        sentence for the actor.

        Args:
            parameters: values for those that the runbook declares, as JSON or as text.
        """
        ...

    async def pause(
        self, scope: str, *, actor: str, reason: str, for_: timedelta | None, via: str
    ) -> str:
        """Set a kill switch. Returns a sentence for the actor."""
        ...

    async def unpause(self, scope: str, *, actor: str, via: str) -> str:
        """Lift a kill switch. Returns a sentence for the actor."""
        ...

    async def waiting_for(self, actor: str) -> Sequence[RunView]:
        """Return the runs whose open question this actor may answer, oldest first; at most
        `MOST_SHOWN`."""
        ...

    async def standing(self, *, actor: str) -> Standing:
        """Return how things stand."""
        ...

    async def run(self, run_id: str, *, actor: str) -> RunView | None:
        """Return one run by its id or a unique part of it, whole."""
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


@dataclass(frozen=True, slots=True)
class StormBar:
    """When runs share one message instead of having one each.

    Args:
        runs: so many have their own within `within`; later ones share.
        within: the window.
        over_after: the storm is over when for so long none has joined.
        apart: at least so long between two edits of its message.
    """

    runs: int
    within: timedelta
    over_after: timedelta
    apart: timedelta


class Notifier(ABC):
    """One way to tell people."""

    name: ClassVar[str]
    callback_paths: ClassVar[Sequence[str]] = ()
    """Paths under which `callback` is served, `/slack/interactions`; it authenticates itself."""
    escalates: bool = False
    """True for pagers: told only of escalations, and of the end of what they escalated."""
    reaches_people: ClassVar[bool] = True
    """False for what writes on a graph or a list of changes: nobody is called through it."""
    destinations: ClassVar[bool] = False
    """True for what the settings may give several of, each a notifier `NAME:DESTINATION`."""
    apart: ClassVar[timedelta] = timedelta()
    """At least so long between the beginnings of two deliveries to one place; what is due waits
    its turn."""
    storm: ClassVar[StormBar | None] = None
    """When runs share one message; None: never."""

    @abstractmethod
    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Tell people one note. Returns what to remember for this run (the new `ref`).

        Raises:
            Undelivered: try again later.
            Refused: never deliverable.
        """

    def at(self, destination: str, *, escalates: bool) -> "Notifier":
        """Return the notifier of one destination. Only called where there may be several.

        Args:
            destination: its name in the settings.
            escalates: it is to be told as a pager is.
        """
        raise NotImplementedError(f"{self.name} has no destinations")

    def place(self, view: RunView, ref: JSONObject | None, ctx: Context) -> str:
        """Return where notes of this run go, a channel say: each place has a pace of its own.

        Args:
            view: the run.
            ref: what is remembered of it; a run stays where its first note went.
            ctx: what a plugin may use.
        """
        return ""

    async def announce_storm(
        self, storm: Storm, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Tell people how a storm stands, in one message for all its runs. Returns what to
        remember of it. Only called where `storm` is set.

        Raises:
            Undelivered, Refused: as `announce`.
        """
        return ref

    async def listen(  # noqa: B027 - most have nothing to listen to
        self, desk: Desk, ctx: Context, stopping: asyncio.Event
    ) -> None:
        """Take what people say over a connection of the notifier's own, until told to stop.

        Runs beside the daemon's parts, on every replica; one that raises is logged and begun
        anew after a while, and breaks nothing else. Returns where there is nothing to listen to.
        """

    async def callback(self, request: Callback, desk: Desk, ctx: Context) -> Reply:
        """Answer an inbound request. Only called for `callback_paths`."""
        return Reply(404)
