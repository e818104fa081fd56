"""Generic webhooks: every note with its run as JSON, signed, to each endpoint of the settings.

The body's keys are only ever added to. `docs/channels.md` shows one, and how to check a signature.
"""

from typing import ClassVar

from remediator.clients.webhooks import WebhookClient
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, RunView
from remediator.plugin import delivering, telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier


class Webhook(Notifier):
    """Tells one endpoint of several."""

    name = "webhook"
    destinations: ClassVar[bool] = True

    def __init__(self, endpoint: str = "", *, escalates: bool = False) -> None:
        self.endpoint = endpoint
        self.escalates = escalates

    def at(self, destination: str, *, escalates: bool) -> Notifier:
        """Return the notifier of one endpoint."""
        return Webhook(destination, escalates=escalates)

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Post the note.

        Raises:
            Undelivered: the endpoint is down, throttles us, or an operator must repair it.
            Refused: the endpoint will never take it.
        """
        body: JSONObject = {
            "type": f"run.{note.kind.value}",
            "timestamp": note.at.isoformat(),
            "data": telling.as_json(note, view),
        }
        with delivering.telling(note):
            await ctx.client(WebhookClient).post(self.endpoint, note.id, body, at=ctx.now())
        return ref
