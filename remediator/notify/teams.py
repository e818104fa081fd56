"""Microsoft Teams: one Adaptive Card for each question, escalation and end of a run.

A workflow's webhook can't edit what was posted nor post into a thread, so the steps on the way are
not told. All text stands in TextRun, in which Teams reads no Markdown (in TextBlock and Fact it
would), so that no alert forges a link or a heading.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from remediator.clients.teams import MAX_MESSAGE_BYTES, TeamsClient, message
from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState
from remediator.model.storms import Storm
from remediator.model.views import Note, NoteKind, RunView
from remediator.plugin import delivering, telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier, StormBar

_SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
# The newest that Teams shows everywhere, its phone apps too.
_VERSION = "1.4"
_MOST_LINES = 12
_MOST_ACTIONS = 4
_LONGEST_FACT = 300


class Teams(Notifier):
    """Tells one Teams channel."""

    name = "teams"
    # A workflow is throttled beyond a few posts a second.
    apart: ClassVar[timedelta] = timedelta(seconds=1)
    storm: ClassVar[StormBar | None] = telling.STORM

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Post a card, where the note is worth one.

        Raises:
            Undelivered: Teams is down or throttles us.
            Refused: Teams will never take it.
        """
        if not telling.worth_a_message(note, view) or telling.repeats(note, ref):
            return ref or {}  # the run has been here: a storm counts it once
        with delivering.telling(note):
            await ctx.client(TeamsClient).post(card(note, view))
        return {"said": note.text[: telling.MAX_TEXT]}

    async def announce_storm(
        self, storm: Storm, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Post how a storm stands, anew each time.

        Raises:
            Undelivered: Teams is down or throttles us.
            Refused: Teams will never take it.
        """
        title, lines = telling.storm(storm)
        body = [_text(title, weight="Bolder", size="Medium", color="Warning")]
        with delivering.telling(None):
            await ctx.client(TeamsClient).post(_shell(title, [*body, *map(_text, lines)], ()))
        return {}


def card(note: Note, view: RunView) -> JSONObject:
    """Return the card of one note, in at most as many bytes as Teams takes."""
    told = telling.told(note, view)
    lines, facts = _MOST_LINES, _LONGEST_FACT
    while True:
        made = _card(note, view, told, lines, facts)
        if len(json.dumps(message(made), ensure_ascii=False).encode()) <= MAX_MESSAGE_BYTES:
            return made
        lines, facts = lines // 2, facts // 2


def _card(note: Note, view: RunView, told: telling.Told, lines: int, longest: int) -> JSONObject:
    facts = [(name, value) for name, value in told.facts if name != "what the runbook does"]
    facts += list(told.labels[:lines])
    body: list[Any] = [
        _text(told.title, weight="Bolder", size="Medium", color=_colour(note, view)),
        _text(telling.cut(told.text, longest * 3)),
        *(_fact(name, telling.cut(value, longest)) for name, value in facts),
    ]
    body += [_text(f"{telling.cut(one, longest)}", monospace=True) for one in told.changes[:lines]]
    if len(told.changes) > lines:
        body.append(_text(f"… and {len(told.changes) - lines} more changes"))
    body += [_text(f"way back: {telling.cut(one, longest)}") for one in told.way_back[:lines]]
    body.append(_text(_command(note, told, view), monospace=True, subtle=True))
    return _shell(told.title, body, told.links[:_MOST_ACTIONS])


def _shell(title: str, body: list[Any], links: Sequence[tuple[str, str]]) -> JSONObject:
    return {
        "$schema": _SCHEMA,
        "type": "AdaptiveCard",
        "version": _VERSION,
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": telling.cut(text, 40), "url": url}
            for text, url in links
        ],
    }


def _text(
    text: str,
    *,
    weight: str = "Default",
    size: str = "Default",
    color: str = "Default",
    monospace: bool = False,
    subtle: bool = False,
) -> Mapping[str, Any]:
    """Return one line in which nothing is styled but as a whole."""
    run = {
        **_run(text),
        "weight": weight,
        "size": size,
        "color": color,
        "fontType": "Monospace" if monospace else "Default",
        "isSubtle": subtle,
    }
    return {"type": "RichTextBlock", "inlines": [run]}


def _fact(name: str, value: str) -> Mapping[str, Any]:
    """Return a name and its value on one line."""
    return {
        "type": "RichTextBlock",
        "spacing": "None",
        "inlines": [{**_run(f"{name}: "), "weight": "Bolder"}, _run(value)],
    }


def _run(text: str) -> Mapping[str, Any]:
    return {"type": "TextRun", "text": text or " "}


def _command(note: Note, told: telling.Told, view: RunView) -> str:
    if note.kind is NoteKind.ESCALATION:
        return f"remediator runs ack {view.run.id}"
    if note.kind is NoteKind.APPROVAL and view.run.state is RunState.AWAITING_APPROVAL:
        return f"remediator approve {view.run.id}"
    return told.look


def _colour(note: Note, view: RunView) -> str:
    if note.kind is NoteKind.ESCALATION:
        return "Attention"
    if note.kind is NoteKind.APPROVAL:
        return "Warning"
    return "Good" if telling.closes(note, view) else "Default"
