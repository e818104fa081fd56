"""Any other service that Apprise knows: one plain message for each question, escalation and end.

Whatever Apprise makes of it, a message can't be edited, found again or resolved; so nothing on the
way is told, and a message whose answer was lost may come twice.
"""

from typing import ClassVar

from remediator.clients.apprise import AppriseClient
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, NoteKind, RunView
from remediator.plugin import delivering, telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier

_MOST_CHANGES = 5


class Apprise(Notifier):
    """Tells one address of several."""

    name = "apprise"
    destinations: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self.address = address

    def at(self, destination: str, *, escalates: bool) -> Notifier:
        """Return the notifier of one address."""
        return Apprise(destination)

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Send a message, where the note is worth one.

        Raises:
            Undelivered: it was not taken.
            Refused: the address is none.
        """
        if not telling.worth_a_message(note, view) or telling.repeats(note, ref):
            return ref
        told = telling.told(note, view)
        lines = [told.text, *told.changes[:_MOST_CHANGES], told.look]
        with delivering.telling(note):
            await ctx.client(AppriseClient).notify(
                self.address,
                title=told.title,
                body="\n".join(dict.fromkeys(lines)),
                urgent=note.kind is NoteKind.ESCALATION,
            )
        return {"said": note.text[: telling.MAX_TEXT]}
