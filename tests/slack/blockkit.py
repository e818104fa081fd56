"""Block Kit's documented limits, as faults in the words that Slack uses for them.

Source: Slack's reference of blocks (one page for each) and «Block Kit» (50 blocks in a message,
100 in a modal or on a Home tab). A block that is not covered is a fault, so that a new one is added
here first. Elements are in `elements`, views in `views`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from tests.slack import elements
from tests.slack.fields import (
    PLAIN,
    Check,
    flag,
    items,
    keys,
    size,
    string,
    text,
    text_object,
)

__all__ = ["MAX_BLOCKS", "MAX_TOGETHER", "Surface", "faults", "inputs", "size", "texts", "too_long"]

Surface = Literal["message", "modal", "home"]

MAX_BLOCKS: Mapping[Surface, int] = {"message": 50, "modal": 100, "home": 100}
MAX_TOGETHER = 10_000
"""Text of all blocks; not documented. 9,600 were taken and 11,300 were refused by the real one
(slackapi/bolt-js, issue 2867), so this is where it may begin to refuse."""


def faults(blocks: Any, surface: Surface = "message", at: str = "") -> list[str]:
    """Return what Slack would find wrong with these blocks.

    Args:
        blocks: what was given for `blocks`.
        surface: where they are to be shown.
        at: where the list of blocks is in the request, `/view` for instance.
    """
    if not isinstance(blocks, list):
        return [f"blocks must be an array [json-pointer:{at}/blocks]"]
    found = []
    if len(blocks) > MAX_BLOCKS[surface]:
        found.append(f"no more than {MAX_BLOCKS[surface]} items allowed [json-pointer:{at}/blocks]")
    for number, block in enumerate(blocks):
        found += _block(block, f"{at}/blocks/{number}")
    ids = [b["block_id"] for b in blocks if isinstance(b, Mapping) and "block_id" in b]
    if len(ids) != len(set(ids)):
        found.append(f"block_id must be unique [json-pointer:{at}/blocks]")
    if sum(1 for one in _all_elements(blocks) if one.get("focus_on_load")) > 1:
        found.append(f"only one element can have focus_on_load [json-pointer:{at}/blocks]")
    return found


def too_long(blocks: Any) -> bool:
    """Whether all text together is more than Slack may take (`msg_blocks_too_long`)."""
    return sum(size(one) for one in texts(blocks)) > MAX_TOGETHER


def texts(value: Any) -> list[str]:
    """Return every text in blocks, in reading order."""
    if isinstance(value, Mapping):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [t for inner in value.values() for t in texts(inner)]
    if isinstance(value, list):
        return [t for inner in value for t in texts(inner)]
    return []


def inputs(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the blocks that a person fills in."""
    return [block for block in blocks if block.get("type") == "input"]


def _all_elements(blocks: list[Any]) -> Iterator[Mapping[str, Any]]:
    for block in blocks:
        if isinstance(block, Mapping):
            several = block.get("elements")
            several = several if isinstance(several, list) else []
            for one in (block.get("accessory"), block.get("element"), *several):
                if isinstance(one, Mapping):
                    yield one


def _block(block: Any, at: str) -> list[str]:
    kind = block.get("type") if isinstance(block, Mapping) else None
    check = _BLOCKS.get(str(kind))
    if check is None:
        return [f"unsupported type: {kind} [json-pointer:{at}/type]"]
    return [*check(block, at), *string(block, "block_id", 255, at)]


def _header(block: Any, at: str) -> list[str]:
    return keys(block, "type block_id text", at) + text(block, "text", 150, at, PLAIN)


def _section(block: Any, at: str) -> list[str]:
    found = keys(block, "type block_id text fields accessory expand", at)
    found += flag(block, "expand", at)
    if "text" not in block and "fields" not in block:
        found.append(f"missing required field: text [json-pointer:{at}]")
    found += text(block, "text", 3000, at, required=False)
    if "fields" in block:
        found += items(block, "fields", 10, at, lambda v, p: text_object(v, 2000, p))
    if "accessory" in block:
        found += elements.element(block["accessory"], f"{at}/accessory", elements.IN_SECTION)
    return found


def _divider(block: Any, at: str) -> list[str]:
    return keys(block, "type block_id", at)


def _context(block: Any, at: str) -> list[str]:
    return keys(block, "type block_id elements", at) + items(block, "elements", 10, at, _remark)


def _remark(value: Any, at: str) -> list[str]:
    if isinstance(value, Mapping) and value.get("type") == "image":
        return elements.image(value, at)
    return text_object(value, 3000, at)


def _image(block: Any, at: str) -> list[str]:
    found = keys(block, "type block_id image_url slack_file alt_text title", at)
    found += string(block, "image_url", 3000, at, required="slack_file" not in block)
    found += string(block, "alt_text", 2000, at, required=True)
    return found + text(block, "title", 2000, at, PLAIN, required=False)


def _actions(block: Any, at: str) -> list[str]:
    found = keys(block, "type block_id elements", at)
    found += items(
        block, "elements", 25, at, lambda v, p: elements.element(v, p, elements.IN_ACTIONS)
    )
    given = block.get("elements")
    given = given if isinstance(given, list) else []
    ids = [one.get("action_id") for one in given if isinstance(one, Mapping)]
    if len(ids) != len(set(ids)):
        found.append(f"action_id must be unique [json-pointer:{at}/elements]")
    return found


def _input(block: Any, at: str) -> list[str]:
    found = keys(block, "type block_id label element hint optional dispatch_action", at)
    found += text(block, "label", 2000, at, PLAIN)
    found += text(block, "hint", 2000, at, PLAIN, required=False)
    found += flag(block, "optional dispatch_action", at)
    if "element" not in block:
        return [*found, f"missing required field: element [json-pointer:{at}]"]
    return found + elements.element(block["element"], f"{at}/element", elements.IN_INPUT)


_BLOCKS: Mapping[str, Check] = {
    "header": _header,
    "section": _section,
    "divider": _divider,
    "context": _context,
    "image": _image,
    "actions": _actions,
    "input": _input,
}
