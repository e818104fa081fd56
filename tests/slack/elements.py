"""Block elements and composition objects by their documented limits.

Source: Slack's reference pages of block elements (one for each) and of composition objects
(«Text», «Option», «Option group», «Confirmation dialog»). What is not covered is a fault, so that
a new element is added here first.
"""

from collections.abc import Mapping
from typing import Any

from tests.slack.fields import (
    PLAIN,
    TEXT,
    Check,
    flag,
    items,
    keys,
    one_of,
    string,
    text,
    whole,
)

_SELECTS = ("static_select", "users_select", "conversations_select", "channels_select")
_MULTI = tuple(f"multi_{name}" for name in _SELECTS)
_PICKED = ("datepicker", "timepicker", "checkboxes", "radio_buttons", *_SELECTS, *_MULTI)

IN_SECTION = frozenset({"button", "overflow", "image", *_PICKED})
IN_ACTIONS = frozenset({"button", "overflow", "datetimepicker", *_PICKED})
IN_INPUT = frozenset(
    {
        "plain_text_input",
        "number_input",
        "email_text_input",
        "url_text_input",
        "datetimepicker",
        *_PICKED,
    }
)
PRESSED = frozenset({"button"})
INTERACTIVE = IN_SECTION | IN_ACTIONS | IN_INPUT


def element(value: Any, at: str, allowed: frozenset[str]) -> list[str]:
    """An element that may stand in such a place."""
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind not in allowed or kind not in _ELEMENTS:
        return [f"unsupported element: {kind} [json-pointer:{at}/type]"]
    return [*_ELEMENTS[kind](value, at), *string(value, "action_id", 255, at)]


def button(value: Any, at: str) -> list[str]:
    found = keys(value, "type text action_id url value style confirm accessibility_label", at)
    found += text(value, "text", 75, at, PLAIN)
    found += string(value, "value", 2000, at)
    found += string(value, "url", 3000, at)
    found += string(value, "accessibility_label", 75, at)
    found += one_of(value, "style", ("primary", "danger"), at)
    return found + _confirmed(value, at)


def image(value: Any, at: str) -> list[str]:
    found = keys(value, "type image_url slack_file alt_text", at)
    found += string(value, "image_url", 3000, at, required="slack_file" not in value)
    return found + string(value, "alt_text", 2000, at, required=True)


def confirm(value: Any, at: str) -> list[str]:
    """A confirmation dialog."""
    found = keys(value, "title text confirm deny style", at)
    found += text(value, "title", 100, at, PLAIN)
    found += text(value, "text", 300, at)
    found += text(value, "confirm", 30, at, PLAIN)
    found += one_of(value, "style", ("primary", "danger"), at)
    return found + text(value, "deny", 30, at, PLAIN)


def _confirmed(value: Any, at: str) -> list[str]:
    return confirm(value["confirm"], f"{at}/confirm") if "confirm" in value else []


def _option(value: Any, at: str, *, kinds: tuple[str, ...] = PLAIN, url: bool = False) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"must be an option [json-pointer:{at}]"]
    found = keys(value, "text value description" + (" url" if url else ""), at)
    found += text(value, "text", 75, at, kinds)
    found += string(value, "value", 150, at, required=True)
    found += string(value, "url", 3000, at)
    return found + text(value, "description", 75, at, kinds, required=False)


def _rich_option(value: Any, at: str) -> list[str]:
    return _option(value, at, kinds=TEXT)


def _group(value: Any, at: str) -> list[str]:
    found = keys(value, "label options", at) + text(value, "label", 75, at, PLAIN)
    return found + items(value, "options", 100, at, _option)


def _overflow(value: Any, at: str) -> list[str]:
    found = keys(value, "type action_id options confirm", at)
    found += items(value, "options", 5, at, lambda v, p: _option(v, p, url=True))
    return found + _confirmed(value, at)


def _boxes(value: Any, at: str) -> list[str]:
    """Checkboxes and radio buttons."""
    own = "initial_options" if value["type"] == "checkboxes" else "initial_option"
    found = keys(value, f"type action_id options {own} confirm focus_on_load", at)
    found += items(value, "options", 10, at, _rich_option)
    given = value.get(own, [])
    for one in given if isinstance(given, list) else [given]:
        if one not in value.get("options", ()):
            found.append(f"must be one of the options [json-pointer:{at}/{own}]")
    return found + _confirmed(value, at)


def _select(value: Any, at: str) -> list[str]:
    many = value["type"].startswith("multi_")
    source = value["type"].removeprefix("multi_").removesuffix("_select")
    common = "type action_id placeholder confirm focus_on_load" + " max_selected_items" * many
    found = text(value, "placeholder", 150, at, PLAIN, required=False) + _confirmed(value, at)
    found += flag(value, "focus_on_load", at) + whole(value, "max_selected_items", 1, 1000, at)
    if source != "static":
        name = {"users": "user", "conversations": "conversation", "channels": "channel"}[source]
        own = f"initial_{name}{'s' * many}"
        if source == "conversations":
            own += " default_to_current_conversation response_url_enabled filter"
        return found + keys(value, f"{common} {own}", at)
    own = "initial_options" if many else "initial_option"
    found += keys(value, f"{common} options option_groups {own}", at)
    if ("options" in value) == ("option_groups" in value):
        return [*found, f"one of options and option_groups is needed [json-pointer:{at}]"]
    if "options" in value:
        found += items(value, "options", 100, at, _option)
        if not many and own in value and value[own] not in value["options"]:
            found.append(f"must be one of the options [json-pointer:{at}/{own}]")
        return found
    return found + items(value, "option_groups", 100, at, _group)


def _picker(value: Any, at: str) -> list[str]:
    initial = {"datepicker": "initial_date", "timepicker": "initial_time timezone"}.get(
        value["type"], "initial_date_time"
    )
    found = keys(value, f"type action_id placeholder confirm focus_on_load {initial}", at)
    found += text(value, "placeholder", 150, at, PLAIN, required=False)
    return found + _confirmed(value, at)


def _typed(value: Any, at: str) -> list[str]:
    """What is typed: text, a number, an address."""
    common = "type action_id initial_value placeholder dispatch_action_config focus_on_load"
    found = text(value, "placeholder", 150, at, PLAIN, required=False)
    found += flag(value, "focus_on_load", at)
    if value["type"] == "number_input":
        if not isinstance(value.get("is_decimal_allowed"), bool):
            found.append(f"missing required field: is_decimal_allowed [json-pointer:{at}]")
        return found + keys(value, f"{common} is_decimal_allowed min_value max_value", at)
    if value["type"] != "plain_text_input":
        return found + keys(value, common, at)
    found += keys(value, f"{common} multiline min_length max_length", at)
    found += flag(value, "multiline", at)
    found += whole(value, "min_length", 0, 3000, at) + whole(value, "max_length", 1, 3000, at)
    return found + string(value, "initial_value", value.get("max_length", 3000), at, least=0)


_ELEMENTS: Mapping[str, Check] = {
    "button": button,
    "image": image,
    "overflow": _overflow,
    "checkboxes": _boxes,
    "radio_buttons": _boxes,
    "datepicker": _picker,
    "timepicker": _picker,
    "datetimepicker": _picker,
    "plain_text_input": _typed,
    "number_input": _typed,
    "email_text_input": _typed,
    "url_text_input": _typed,
    **dict.fromkeys((*_SELECTS, *_MULTI), _select),
}
