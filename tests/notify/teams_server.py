"""A Teams workflow on loopback: takes messages with one Adaptive Card, of at most 28 KB.

Source: Microsoft's «Create incoming webhooks with Workflows», and the Adaptive Cards schema 1.4 for
the elements that are used here. What it does not know, it refuses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.notify.loopback import Loopback

PATH = "/workflows/0123abcd/triggers/manual/paths/invoke"
SIGNATURE = "s1gnature-of-the-workflow"

_WEIGHTS = {"Default", "Lighter", "Bolder"}
_SIZES = {"Default", "Small", "Medium", "Large", "ExtraLarge"}
_COLOURS = {"Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"}
_RUN = {"type", "text", "weight", "size", "color", "fontType", "isSubtle"}


@dataclass
class Teams(Loopback):
    """One channel behind one workflow."""

    cards: list[Mapping[str, Any]] = field(default_factory=list)

    def routes(self, router: web.UrlDispatcher) -> None:
        """See `Loopback.routes`."""
        router.add_post(PATH, self._post)

    @property
    def address(self) -> str:
        """What `teams.url` must be set to."""
        return f"{self.url}{PATH}?api-version=2016-06-01&sp=%2Ftriggers&sv=1.0&sig={SIGNATURE}"

    async def _post(self, request: web.Request) -> web.Response:
        if request.query.get("sig") != SIGNATURE:
            return web.json_response({"error": {"message": "The signature is wrong"}}, status=401)
        if len(await request.read()) > 28 * 1024:
            return web.json_response({"error": {"message": "Entity too large"}}, status=413)
        message = await request.json()
        try:
            self.cards.append(_card(message))
        except ValueError as error:
            return web.json_response({"error": {"message": str(error)}}, status=400)
        return web.Response(status=202)

    def text(self) -> str:
        """All that the newest card shows, one line each."""
        lines = ["".join(r["text"] for r in e["inlines"]) for e in self.cards[-1]["body"]]
        return "\n".join(lines)


def _card(message: Mapping[str, Any]) -> Mapping[str, Any]:
    _must(message.get("type") == "message", "type must be message")
    (attachment,) = message["attachments"]
    kind = "application/vnd.microsoft.card.adaptive"
    _must(attachment["contentType"] == kind, f"contentType must be {kind}")
    card: Mapping[str, Any] = attachment["content"]
    _must(card["type"] == "AdaptiveCard", "content.type must be AdaptiveCard")
    _must(card["version"] in ("1.2", "1.3", "1.4"), "the version is newer than phones show")
    known = {"$schema", "type", "version", "fallbackText", "msteams", "body", "actions"}
    _must(set(card) <= known, "unknown key in the card")
    for element in card["body"]:
        _element(element)
    _must(len(card["actions"]) <= 6, "at most 6 actions are shown")
    for action in card["actions"]:
        _must(set(action) == {"type", "title", "url"}, "unknown key in an action")
        _must(action["type"] == "Action.OpenUrl", "unknown action")
        _must(action["url"].startswith(("http://", "https://")), "an action's url must be one")
    return card


def _element(element: Mapping[str, Any]) -> None:
    match element["type"]:
        case "RichTextBlock":
            _must(set(element) <= {"type", "inlines", "spacing"}, "unknown key in RichTextBlock")
            _must(element.get("spacing", "Default") in ("Default", "None", "Small"), "spacing")
            for run in element["inlines"]:
                _must(set(run) <= _RUN and run["type"] == "TextRun", "unknown inline")
                _must(isinstance(run["text"], str) and run["text"] != "", "text is required")
                _must(run.get("weight", "Default") in _WEIGHTS, "weight")
                _must(run.get("size", "Default") in _SIZES, "size")
                _must(run.get("color", "Default") in _COLOURS, "color")
                _must(run.get("fontType", "Default") in ("Default", "Monospace"), "fontType")
        case other:
            raise ValueError(f"unknown element {other}")


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
