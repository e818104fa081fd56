"""Block Kit as HTML, as Slack shows it: pure functions from blocks to markup.

Every text goes through `mrkdwn` or `html.escape`; what is not drawn here is not taken by `blockkit`
either. Used by `page`.
"""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.slack import mrkdwn
from tests.slack.mrkdwn import Reader


@dataclass(frozen=True)
class Place:
    """Where blocks stand: who reads, where a press is posted to, what is filled in and wrong."""

    reader: Reader
    press_url: str = ""
    form: str = ""
    """The id of the form that inputs belong to."""
    values: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
    errors: Mapping[str, str] | None = None


def blocks(given: list[dict[str, Any]], place: Place) -> str:
    """Return the markup of a message's or a view's blocks."""
    return "".join(_BLOCKS[block["type"]](block, place) for block in given)


def text(value: Mapping[str, Any], place: Place) -> str:
    """Return the markup of a text object."""
    if value["type"] == "mrkdwn":
        nodes = mrkdwn.parse(value["text"], verbatim=bool(value.get("verbatim")))
        return mrkdwn.markup(nodes, place.reader)
    return _plain(value)


def _plain(value: Mapping[str, Any]) -> str:
    shown = str(value["text"])
    shown = mrkdwn.emoji(shown) if value.get("emoji", True) else shown
    return html.escape(shown).replace("\n", "<br>")


def _header(block: Mapping[str, Any], _: Place) -> str:
    return f'<h3 class="block header">{_plain(block["text"])}</h3>'


def _section(block: Mapping[str, Any], place: Place) -> str:
    shown = f"<div>{text(block['text'], place)}</div>" if "text" in block else ""
    if "fields" in block:
        each = "".join(f"<div>{text(one, place)}</div>" for one in block["fields"])
        shown += f'<div class="fields">{each}</div>'
    beside = ""
    if "accessory" in block:
        beside = f'<div class="accessory">{_element(block["accessory"], block, place)}</div>'
    return f'<div class="block section"><div class="main">{shown}</div>{beside}</div>'


def _divider(_: Mapping[str, Any], __: Place) -> str:
    return '<hr class="block">'


def _context(block: Mapping[str, Any], place: Place) -> str:
    each = "".join(
        _image_element(one) if one["type"] == "image" else f"<span>{text(one, place)}</span>"
        for one in block["elements"]
    )
    return f'<div class="block context">{each}</div>'


def _image(block: Mapping[str, Any], _: Place) -> str:
    title = f"<figcaption>{_plain(block['title'])}</figcaption>" if "title" in block else ""
    return f'<figure class="block">{title}{_image_element(block)}</figure>'


def _image_element(block: Mapping[str, Any]) -> str:
    """A box with the image's words: the page fetches nothing from elsewhere."""
    return f'<span class="image" role="img">{html.escape(block["alt_text"])}</span>'


def _actions(block: Mapping[str, Any], place: Place) -> str:
    each = "".join(_element(one, block, place) for one in block["elements"])
    return f'<div class="block actions">{each}</div>'


def _input(block: Mapping[str, Any], place: Place) -> str:
    optional = ' <small class="optional">(optional)</small>' if block.get("optional") else ""
    hint = f'<div class="hint">{_plain(block["hint"])}</div>' if "hint" in block else ""
    wrong = (place.errors or {}).get(block["block_id"], "")
    wrong = f'<div class="wrong">{html.escape(wrong)}</div>' if wrong else ""
    state = (place.values or {}).get(block["block_id"], {}).get(block["element"]["action_id"], {})
    name = html.escape(block["label"]["text"])
    own = f'form="{place.form}" name="{name}"'
    field = _field(block["element"], own, state)
    label = f"<label>{_plain(block['label'])}{optional}</label>"
    return f'<div class="block input{" bad" * bool(wrong)}">{label}{field}{wrong}{hint}</div>'


def _field(element: Mapping[str, Any], own: str, state: Mapping[str, Any]) -> str:
    kind = element["type"]
    hint = html.escape(str((element.get("placeholder") or {}).get("text", "")))
    value = html.escape(str(state.get("value") or ""))
    if kind == "plain_text_input" and element.get("multiline"):
        return f'<textarea {own} placeholder="{hint}" rows="4">{value}</textarea>'
    if kind.endswith("_input"):
        return f'<input {own} placeholder="{hint}" value="{value}">'
    if kind in ("radio_buttons", "checkboxes"):
        sort = "radio" if kind == "radio_buttons" else "checkbox"
        chosen = state.get("selected_options") or [state.get("selected_option")]
        return "".join(
            f'<label class="choice"><input type="{sort}" {own} '
            f'value="{_plain(one["text"])}"{" checked" * (one in chosen)}>'
            f"{_plain(one['text'])}</label>"
            for one in element["options"]
        )
    groups = element.get("option_groups", ())
    options = element.get("options") or [one for group in groups for one in group["options"]]
    chosen_option = state.get("selected_option")
    each = "".join(
        f"<option{' selected' * (one == chosen_option)}>{_plain(one['text'])}</option>"
        for one in options
    )
    none = "" if chosen_option else f'<option value="">{hint}</option>'
    return f"<select {own}>{none}{each}</select>"


def _element(element: Mapping[str, Any], block: Mapping[str, Any], place: Place) -> str:
    kind = element["type"]
    if kind == "image":
        return _image_element(element)
    if kind != "button":
        shown = "⋯" if kind == "overflow" else (element.get("placeholder") or {}).get("text", "…")
        options = "".join(f"<li>{_plain(one['text'])}</li>" for one in element.get("options", ()))
        summary = f"<summary>{html.escape(shown)}</summary>"
        return f'<details class="menu">{summary}<ul>{options}</ul></details>'
    style = html.escape(element.get("style", ""))
    label = _plain(element["text"])
    if "url" in element:
        return f'<a class="button {style}" href="{html.escape(element["url"])}">{label}</a>'
    return (
        f'<form method="post" action="{html.escape(place.press_url)}">'
        f'<input type="hidden" name="block_id" value="{html.escape(block.get("block_id", ""))}">'
        f'<input type="hidden" name="action_id" value="{html.escape(element["action_id"])}">'
        f'<button class="button {style}">{label}</button></form>'
    )


_BLOCKS: Mapping[str, Callable[[Mapping[str, Any], Place], str]] = {
    "header": _header,
    "section": _section,
    "divider": _divider,
    "context": _context,
    "image": _image,
    "actions": _actions,
    "input": _input,
}
