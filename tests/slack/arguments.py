"""What a call of the Web API was given, however it was encoded: a form, a query or JSON."""

import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.slack import blockkit
from tests.slack.errors import ApiError

LONGEST_TEXT = 40_000
LONGEST_EDIT = 4_000
LARGEST_METADATA_BYTES = 16_000
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,255}")

Arguments = Mapping[str, Any]


async def read(request: web.Request) -> Arguments:
    """Return a request's arguments."""
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            raise ApiError("invalid_json") from None
        if not isinstance(body, dict):
            raise ApiError("json_not_object")
        return body
    return {**request.query, **(await request.post())}


def flag(arguments: Arguments, name: str) -> bool:
    """Return a boolean; forms spell it in several ways."""
    return str(arguments.get(name, "")).lower() in ("1", "true")


def structure(arguments: Arguments, name: str) -> Any:
    """Return what is JSON in JSON, or JSON in a form's field."""
    given = arguments.get(name)
    if isinstance(given, str):
        try:
            return json.loads(given)
        except ValueError:
            raise ApiError("invalid_arguments") from None
    return given


def content(arguments: Arguments, *, longest: int = LONGEST_TEXT) -> tuple[str, list[Any]]:
    """Return a message's text and blocks, or refuse them as Slack does."""
    text, blocks = str(arguments.get("text") or ""), structure(arguments, "blocks") or []
    if not text and not blocks:
        raise ApiError("no_text")
    if len(text) > longest:
        raise ApiError("msg_too_long")
    refuse(blockkit.faults(blocks), "invalid_blocks")
    if blockkit.too_long(blocks):
        raise ApiError("msg_blocks_too_long")
    return text, blocks


def refuse(found: list[str], code: str) -> None:
    """Refuse with faults in Slack's form, if there are any."""
    if found:
        metadata = {"messages": [f"[ERROR] {one}" for one in found]}
        raise ApiError(code, errors=found, response_metadata=metadata)


def metadata(arguments: Arguments) -> dict[str, Any] | None:
    """Return a message's metadata, or refuse it."""
    given = structure(arguments, "metadata")
    if given is None:
        return None
    if not isinstance(given, dict) or set(given) != {"event_type", "event_payload"}:
        raise ApiError("invalid_metadata_format")
    kind, payload = given["event_type"], given["event_payload"]
    if not isinstance(kind, str) or not _EVENT_TYPE.fullmatch(kind):
        raise ApiError("invalid_metadata_schema")
    if not isinstance(payload, dict):
        raise ApiError("invalid_metadata_schema")
    if len(json.dumps(given).encode()) > LARGEST_METADATA_BYTES:
        raise ApiError("metadata_too_large")
    return given


def page(items: list[Any], arguments: Arguments, most: int) -> tuple[list[Any], dict[str, Any]]:
    """Return one page of a list, and what the answer says about the next."""
    try:
        start = int(arguments.get("cursor") or 0)
        limit = int(arguments.get("limit") or min(most, 100))
    except ValueError:
        raise ApiError("invalid_cursor") from None
    if not 1 <= limit <= most:
        raise ApiError("invalid_limit")
    more = start + limit < len(items)
    about: dict[str, Any] = {"has_more": more}
    if more:
        about["response_metadata"] = {"next_cursor": str(start + limit)}
    return items[start : start + limit], about
