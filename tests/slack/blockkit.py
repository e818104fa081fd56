"""Block Kit's documented limits, as faults in the words that Slack uses for them.

Source: Slack's reference of blocks, block elements and composition objects. Covers what a message
of ours may hold; a block that is not covered is a fault, so that a new one is added here first.
Lengths count UTF-16 units, the strictest reading of «characters».
"""

from collections.abc import Callable, Mapping
from typing import Any

MAX_BLOCKS = 50
MAX_TOGETHER = 10_000
"""Text of all blocks; not documented. 9,600 were taken and 11,300 were refused by the real one
(slackapi/bolt-js, issue 2867), so this is where it may begin to refuse."""

Check = Callable[[Any, str], list[str]]


def size(text: str) -> int:
    """Return a text's length in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def faults(blocks: Any) -> list[str]:
    """Return what Slack would find wrong with these blocks."""
    if not isinstance(blocks, list):
        return ["blocks must be an array [json-pointer:/blocks]"]
    found = []
    if len(blocks) > MAX_BLOCKS:
        found.append("no more than 50 items allowed [json-pointer:/blocks]")
    for number, block in enumerate(blocks):
        found += _block(block, f"/blocks/{number}")
    ids = [b["block_id"] for b in blocks if isinstance(b, Mapping) and "block_id" in b]
    if len(ids) != len(set(ids)):
        found.append("block_id must be unique [json-pointer:/blocks]")
    return found


def too_long(blocks: Any) -> bool:
    """Whether all text together is more than Slack may take (`msg_blocks_too_long`)."""
    return sum(size(text) for text in texts(blocks)) > MAX_TOGETHER


def texts(value: Any) -> list[str]:
    """Return every text in blocks, in reading order."""
    if isinstance(value, Mapping):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [t for inner in value.values() for t in texts(inner)]
    if isinstance(value, list):
        return [t for inner in value for t in texts(inner)]
    return []


def _block(block: Any, at: str) -> list[str]:
    kind = block.get("type") if isinstance(block, Mapping) else None
    check = _BLOCKS.get(str(kind))
    if check is None:
        return [f"unsupported type: {kind} [json-pointer:{at}/type]"]
    return [*check(block, at), *_string(block, "block_id", 255, at, required=False)]


def _header(block: Any, at: str) -> list[str]:
    return _keys(block, "type block_id text", at) + _text(block, "text", 150, at, ("plain_text",))


def _section(block: Any, at: str) -> list[str]:
    found = _keys(block, "type block_id text fields accessory expand", at)
    if "text" not in block and "fields" not in block:
        found.append(f"missing required field: text [json-pointer:{at}]")
    if "text" in block:
        found += _text(block, "text", 3000, at)
    if "fields" in block:
        found += _list(block, "fields", 10, at, lambda v, p: _text_object(v, 2000, p))
    return found


def _divider(block: Any, at: str) -> list[str]:
    return _keys(block, "type block_id", at)


def _context(block: Any, at: str) -> list[str]:
    return _keys(block, "type block_id elements", at) + _list(
        block, "elements", 10, at, lambda v, p: _text_object(v, 3000, p)
    )


def _actions(block: Any, at: str) -> list[str]:
    found = _keys(block, "type block_id elements", at)
    found += _list(block, "elements", 25, at, _button)
    elements = block.get("elements")
    ids = [e.get("action_id") for e in elements] if isinstance(elements, list) else []
    if len(ids) != len(set(ids)):
        found.append(f"action_id must be unique [json-pointer:{at}/elements]")
    return found


def _button(button: Any, at: str) -> list[str]:
    if not isinstance(button, Mapping) or button.get("type") != "button":
        return [f"unsupported element [json-pointer:{at}/type]"]
    found = _keys(button, "type text action_id url value style confirm accessibility_label", at)
    found += _text(button, "text", 75, at, ("plain_text",))
    found += _string(button, "action_id", 255, at, required=False)
    found += _string(button, "value", 2000, at, required=False)
    found += _string(button, "url", 3000, at, required=False)
    if button.get("style", "primary") not in ("primary", "danger"):
        found.append(f"must be one of: primary, danger [json-pointer:{at}/style]")
    return found + (_confirm(button["confirm"], f"{at}/confirm") if "confirm" in button else [])


def _confirm(confirm: Any, at: str) -> list[str]:
    found = _keys(confirm, "title text confirm deny style", at)
    found += _text(confirm, "title", 100, at, ("plain_text",))
    found += _text(confirm, "text", 300, at)
    found += _text(confirm, "confirm", 30, at, ("plain_text",))
    return found + _text(confirm, "deny", 30, at, ("plain_text",))


_BLOCKS: Mapping[str, Check] = {
    "header": _header,
    "section": _section,
    "divider": _divider,
    "context": _context,
    "actions": _actions,
}


def _keys(value: Any, allowed: str, at: str) -> list[str]:
    return [
        f"additional property not allowed: {key} [json-pointer:{at}]"
        for key in sorted(set(value) - set(allowed.split()))
    ]


def _text(
    value: Any, key: str, most: int, at: str, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> list[str]:
    if key not in value:
        return [f"missing required field: {key} [json-pointer:{at}]"]
    return _text_object(value[key], most, f"{at}/{key}", kinds)


def _text_object(
    value: Any, most: int, at: str, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> list[str]:
    if not isinstance(value, Mapping) or value.get("type") not in kinds:
        return [f"must be a text object of type {' or '.join(kinds)} [json-pointer:{at}]"]
    own = "emoji" if value["type"] == "plain_text" else "verbatim"
    return _keys(value, f"type text {own}", at) + _string(value, "text", most, at, required=True)


def _string(value: Any, key: str, most: int, at: str, *, required: bool) -> list[str]:
    if key not in value:
        return [f"missing required field: {key} [json-pointer:{at}]"] if required else []
    if not isinstance(value[key], str):
        return [f"must be a string [json-pointer:{at}/{key}]"]
    if size(value[key]) < 1:
        return [f"must be more than 0 characters [json-pointer:{at}/{key}]"]
    if size(value[key]) > most:
        return [f"must be less than {most + 1} characters [json-pointer:{at}/{key}]"]
    return []


def _list(value: Any, key: str, most: int, at: str, check: Check) -> list[str]:
    items = value.get(key)
    if not isinstance(items, list) or not items:
        return [f"must be a list of at least one item [json-pointer:{at}/{key}]"]
    many = [f"no more than {most} items allowed [json-pointer:{at}/{key}]"]
    found = many if len(items) > most else []
    return found + [f for n, item in enumerate(items) for f in check(item, f"{at}/{key}/{n}")]
