"""Modals and the Home tab: what Slack refuses of a view, and a view that is open.

Source: Slack's reference «Views», and the errors documented for `views.open`, `.push`, `.update`
and `.publish`. `web_api` serves those methods; `person` fills in and submits.
"""

import copy
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.slack import blockkit
from tests.slack.fields import PLAIN, flag, keys, string, text

LARGEST_BYTES = 250_000
DEEPEST = 3
"""How many modals may lie upon each other."""

_COMMON = "type blocks private_metadata callback_id external_id"
_MODAL = f"{_COMMON} title close submit clear_on_close notify_on_close submit_disabled"


def faults(view: Any, kind: str) -> list[str]:
    """Return what Slack would find wrong with a view of this kind, `modal` or `home`."""
    if not isinstance(view, Mapping) or view.get("type") != kind:
        return [f"view must be of type {kind} [json-pointer:/view/type]"]
    found = keys(view, _MODAL if kind == "modal" else _COMMON, "/view")
    found += blockkit.faults(view.get("blocks"), "modal" if kind == "modal" else "home", "/view")
    found += string(view, "private_metadata", 3000, "/view", least=0)
    found += string(view, "callback_id", 255, "/view", least=0)
    found += string(view, "external_id", 255, "/view", least=0)
    if kind == "home":
        return found
    found += text(view, "title", 24, "/view", PLAIN)
    found += text(view, "close", 24, "/view", PLAIN, required=False)
    found += text(view, "submit", 24, "/view", PLAIN, required=False)
    found += flag(view, "clear_on_close notify_on_close submit_disabled", "/view")
    blocks = view.get("blocks")
    asks = isinstance(blocks, list) and any(
        isinstance(one, Mapping) and one.get("type") == "input" for one in blocks
    )
    if asks and "submit" not in view:
        found.append("missing required field: submit [json-pointer:/view]")
    return found


def too_large(view: Any) -> bool:
    """Whether a view has more bytes than Slack takes."""
    return len(json.dumps(view, ensure_ascii=False).encode()) > LARGEST_BYTES


@dataclass(eq=False)
class View:
    """A modal that is open, or a Home tab. `values` is what the person has filled in so far."""

    user: str
    body: dict[str, Any]
    id: str = field(default_factory=lambda: f"V{secrets.token_hex(5).upper()}")
    hash: str = ""
    root_id: str = ""
    previous_id: str | None = None
    values: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    """What the app found wrong with the answers, by block."""

    def __post_init__(self) -> None:
        self.root_id = self.root_id or self.id
        self.show(self.body)

    @property
    def blocks(self) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = self.body["blocks"]
        return blocks

    @property
    def title(self) -> str:
        return str(self.body.get("title", {}).get("text", ""))

    def show(self, body: Mapping[str, Any]) -> None:
        """Show this instead; what was filled in stays for the inputs that are still there."""
        self.body = copy.deepcopy(dict(body))
        for block in self.blocks:
            block.setdefault("block_id", secrets.token_hex(3))
            several = [block.get("element"), block.get("accessory"), *block.get("elements", ())]
            for one in several:
                if isinstance(one, dict) and one.get("type") not in ("mrkdwn", "plain_text"):
                    one.setdefault("action_id", secrets.token_hex(3))
        self.hash = f"1700000000.{secrets.token_hex(4)}"
        self.errors = {}
        there = {(b["block_id"], b["element"]["action_id"]) for b in blockkit.inputs(self.blocks)}
        self.values = {
            block_id: kept
            for block_id, given in self.values.items()
            if (kept := {a: v for a, v in given.items() if (block_id, a) in there})
        }
        for block in blockkit.inputs(self.blocks):
            one = block["element"]
            own = self.values.setdefault(block["block_id"], {})
            own.setdefault(one["action_id"], _initial(one))

    def json(self, app_id: str, bot_id: str, team_id: str) -> dict[str, Any]:
        """Return the view as the API and payloads show it."""
        kind = self.body["type"]
        shown = {
            "id": self.id,
            "team_id": team_id,
            "type": kind,
            "blocks": self.blocks,
            "private_metadata": self.body.get("private_metadata", ""),
            "callback_id": self.body.get("callback_id", ""),
            "external_id": self.body.get("external_id", ""),
            "state": {"values": self.values},
            "hash": self.hash,
            "clear_on_close": self.body.get("clear_on_close", False),
            "notify_on_close": self.body.get("notify_on_close", False),
            "root_view_id": self.root_id,
            "previous_view_id": self.previous_id,
            "app_id": app_id,
            "app_installed_team_id": team_id,
            "bot_id": bot_id,
        }
        if kind == "modal":
            shown |= {name: self.body.get(name) for name in ("title", "close", "submit")}
        return copy.deepcopy(shown)


def _initial(element: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an input holds before anybody touched it."""
    kind = element["type"]
    if kind == "plain_text_input" or kind.endswith("_input"):
        return {"type": kind, "value": element.get("initial_value")}
    if kind in ("static_select", "radio_buttons"):
        return {"type": kind, "selected_option": element.get("initial_option")}
    if kind in ("checkboxes", "multi_static_select"):
        return {"type": kind, "selected_options": element.get("initial_options", [])}
    field_name = _SELECTED[kind]
    return {"type": kind, field_name: element.get(field_name.replace("selected", "initial"))}


_SELECTED = {
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}
