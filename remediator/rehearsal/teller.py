"""The notifiers of a test: they keep what people would be told, and tell nobody.

The words are those of every channel that can't edit what it said (`plugin.telling`): questions,
escalations and ends. Called by the real announcer; `play` reads what they kept.
"""

from remediator.model.canonical import JSONObject
from remediator.model.storms import Storm
from remediator.model.views import Note, RunView
from remediator.plugin import telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier
from remediator.rehearsal.seen import Told

EVERYBODY = "people"
"""The notifier that is told of every run."""


class Teller(Notifier):
    """Keeps messages in a list that all of a test's notifiers share."""

    name = EVERYBODY

    def __init__(self, kept: list[Told]) -> None:
        self._kept = kept

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Keep a note, where it is worth a message."""
        if not telling.worth_a_message(note, view) or telling.repeats(note, ref):
            return ref or {}
        told = telling.told(note, view)
        words = telling.state(note, view)
        said = told.text.removeprefix(f"{words}: ")
        text = f"{told.title}: {said}" if said else told.title
        order = int(note.id.rpartition("-")[2])  # the outbox's own number
        self._kept.append(Told(ctx.now(), order, self.name, self._signed(text)))
        return {"said": note.text[: telling.MAX_TEXT]}

    async def announce_storm(
        self, storm: Storm, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Keep how a storm stands."""
        title, _ = telling.storm(storm)
        self._kept.append(Told(ctx.now(), 0, self.name, self._signed(title)))
        return {"said": title}

    def _signed(self, text: str) -> str:
        return text


class PagerTeller(Teller):
    """One that is called by name in an escalation; its messages begin with its name."""

    escalates = True

    def __init__(self, name: str, kept: list[Told]) -> None:
        super().__init__(kept)
        self.name = name  # type: ignore[misc]  # of the class elsewhere; a test has one for each

    def _signed(self, text: str) -> str:
        return f"{self.name}: {text}"
