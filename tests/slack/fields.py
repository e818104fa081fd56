"""The checks that every part of Block Kit is made of; each returns faults in Slack's words.

Lengths count UTF-16 units, the strictest reading of «characters».
"""

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any, str], list[str]]

PLAIN = ("plain_text",)
TEXT = ("plain_text", "mrkdwn")


def size(text: str) -> int:
    """Return a text's length in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def keys(value: Any, allowed: str, at: str) -> list[str]:
    """No key but these."""
    return [
        f"additional property not allowed: {key} [json-pointer:{at}]"
        for key in sorted(set(value) - set(allowed.split()))
    ]


def text(
    value: Any,
    key: str,
    most: int,
    at: str,
    kinds: tuple[str, ...] = TEXT,
    *,
    required: bool = True,
) -> list[str]:
    """A text object under this key."""
    if key not in value:
        return [f"missing required field: {key} [json-pointer:{at}]"] if required else []
    return text_object(value[key], most, f"{at}/{key}", kinds)


def text_object(value: Any, most: int, at: str, kinds: tuple[str, ...] = TEXT) -> list[str]:
    """A text object."""
    if not isinstance(value, Mapping) or value.get("type") not in kinds:
        return [f"must be a text object of type {' or '.join(kinds)} [json-pointer:{at}]"]
    own = "emoji" if value["type"] == "plain_text" else "verbatim"
    return keys(value, f"type text {own}", at) + string(value, "text", most, at, required=True)


def string(
    value: Any, key: str, most: int, at: str, *, required: bool = False, least: int = 1
) -> list[str]:
    """A string under this key, neither empty nor too long."""
    if key not in value:
        return [f"missing required field: {key} [json-pointer:{at}]"] if required else []
    if not isinstance(value[key], str):
        return [f"must be a string [json-pointer:{at}/{key}]"]
    if size(value[key]) < least:
        return [f"must be more than {least - 1} characters [json-pointer:{at}/{key}]"]
    if size(value[key]) > most:
        return [f"must be less than {most + 1} characters [json-pointer:{at}/{key}]"]
    return []


def flag(value: Any, names: str, at: str) -> list[str]:
    """Booleans, where they are given."""
    return [
        f"must be a boolean [json-pointer:{at}/{key}]"
        for key in names.split()
        if key in value and not isinstance(value[key], bool)
    ]


def whole(value: Any, key: str, least: int, most: int, at: str) -> list[str]:
    """A whole number in these bounds, where it is given."""
    if key not in value:
        return []
    given = value[key]
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        return [f"must be a number from {least} to {most} [json-pointer:{at}/{key}]"]
    return []


def one_of(value: Any, key: str, allowed: tuple[str, ...], at: str) -> list[str]:
    """One of these words, where it is given."""
    if key not in value or value[key] in allowed:
        return []
    return [f"must be one of: {', '.join(allowed)} [json-pointer:{at}/{key}]"]


def items(value: Any, key: str, most: int, at: str, check: Check) -> list[str]:
    """A list of at least one and not too many."""
    given = value.get(key)
    if not isinstance(given, list) or not given:
        return [f"must be a list of at least one item [json-pointer:{at}/{key}]"]
    many = [f"no more than {most} items allowed [json-pointer:{at}/{key}]"]
    found = many if len(given) > most else []
    return found + [f for n, item in enumerate(given) for f in check(item, f"{at}/{key}/{n}")]
