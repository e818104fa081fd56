"""One notifier with its client and the service that it speaks to, for the tests of channels."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState
from remediator.model.views import Note, NoteKind, RunView
from remediator.plugin.notifier import Notifier
from tests.notify import views
from tests.notify.context import GivenContext
from tests.notify.views import T0, note


class Closable(Protocol):
    """A client."""

    async def close(self) -> None:
        """See the clients."""


@dataclass
class Channel:
    """Tells notes of one run one after the other, and keeps the ref as the journal does."""

    notifier: Notifier
    client: Closable
    ref: JSONObject | None = None
    at: datetime = T0
    context: GivenContext = field(init=False)

    def __post_init__(self) -> None:
        self.context = GivenContext({type(self.client): self.client}, self.at)

    async def tell(self, given: Note, view: RunView) -> JSONObject | None:
        """Deliver a note; a failure leaves the ref as it was."""
        self.ref = await self.notifier.announce(given, view, self.ref, self.context)
        return self.ref

    async def page(self, text: str = "api-latency failed: not healthy") -> JSONObject | None:
        """Escalate a run that failed."""
        failed = views.view(RunState.FAILED, run={"message": "not healthy"})
        return await self.tell(note(NoteKind.ESCALATION, text, id="run-7"), failed)

    async def state(self, state: RunState, **run: Any) -> JSONObject | None:
        """Tell that the run is in another state."""
        return await self.tell(note(id="run-9"), views.view(state, run=run))


@asynccontextmanager
async def opened(notifier: Notifier, client: Closable) -> AsyncIterator[Channel]:
    """A channel whose client is closed after the test."""
    try:
        yield Channel(notifier, client)
    finally:
        await client.close()
