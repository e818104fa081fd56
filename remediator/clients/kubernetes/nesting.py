"""Reads JSON that others wrote, however deeply it is nested. Pure.

Whoever may write an object of the API may nest it ten thousand deep; Python's reader gives up far
before. One such object must not keep all others from being read, so that what is beyond any use is
left out, and the rest is read.
"""

import json
import re
from typing import Any

DEEPEST = 100
"""Deeper than any object that is meant; what is nested deeper is read as null."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


def loads(body: bytes) -> Any:
    """Return what a text says.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(body)
    except RecursionError:
        return json.loads(_pruned(body))


def _pruned(body: bytes) -> bytes:
    """Return the text with null for every list and map that is nested too deeply."""
    kept = bytearray()
    depth, start = 0, 0
    for token in _TOKEN.finditer(body):
        sign = body[token.start() : token.start() + 1]
        if sign in b"{[":
            depth += 1
            if depth == DEEPEST + 1:
                kept += body[start : token.start()] + b"null"
        elif sign in b"}]":
            if depth == DEEPEST + 1:
                start = token.end()
            depth -= 1
    return bytes(kept + body[start:])
