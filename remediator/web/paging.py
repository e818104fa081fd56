"""The query parameters of lists: `limit`, `cursor` and each list's own filters."""

import difflib
import json
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from aiohttp import web

from remediator.model.canonical import JSON, JSONObject
from remediator.plugin.source import Rejected

DEFAULT_LIMIT = 100
# One page is rendered in one go; a larger one would hold up the event loop.
MAX_LIMIT = 500

# Cursors are ours: ids and numbers.
_CURSOR = re.compile(r"[A-Za-z0-9_.:|=+/-]{1,200}")

T = TypeVar("T")


def known(request: web.Request, *names: str) -> None:
    """Refuse parameters that the list does not have: a misspelt filter would show everything.

    Raises:
        Rejected: names the parameter and the nearest right one.
    """
    for name in request.query:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            known = f"there are {', '.join(names)}" if names else "this list takes none"
            hint = f"did you mean {near[0]}?" if near else known
            raise Rejected(name[:40], f"unknown parameter; {hint}")


def limit(request: web.Request) -> int:
    """Return how many items were asked for.

    Raises:
        Rejected: no number from 1 to 500.
    """
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_LIMIT):
        raise Rejected("limit", f"write a number from 1 to {MAX_LIMIT}")
    return int(text)


def cursor(request: web.Request) -> str | None:
    """Return where the page begins: the `next` of the one before.

    Raises:
        Rejected: it can't be one.
    """
    text = request.query.get("cursor")
    if text is not None and not _CURSOR.fullmatch(text):
        raise Rejected("cursor", "write the `next` of the page before")
    return text


def one_of(request: web.Request, name: str, parse: Callable[[str], T], of: Sequence[T]) -> list[T]:
    """Return a filter's values, which may be repeated.

    Raises:
        Rejected: a value is not among `of`.
    """
    values = []
    for text in request.query.getall(name, []):
        try:
            values.append(parse(text))
        except ValueError:
            raise Rejected(name, f"write one of {', '.join(str(v) for v in of)}") from None
    return values


def page(items: Sequence[JSON], next_cursor: str | None) -> web.Response:
    """Return a list's answer."""
    return answer({"items": list(items), "next": next_cursor})


_encode = json.JSONEncoder(ensure_ascii=False).encode


def answer(value: JSONObject, status: int = 200, **headers: str) -> web.Response:
    """Return a JSON answer."""
    # A label may hold half a surrogate pair from an odd sender; the list must still be readable.
    body = _encode(value).encode(errors="replace")
    return web.Response(
        body=body, status=status, content_type="application/json", headers=headers or None
    )
