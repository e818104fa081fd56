"""What Slack sends to an app: the payloads of clicks, modals, commands, shortcuts and events, and
the signature over them.

Source: Slack's reference of interaction payloads, «Slash commands», «Events API» and «Verifying
requests from Slack».
"""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from tests.slack.app import APP_ID
from tests.slack.workspace import TEAM_ID, Channel, Message, Private, User, message_json

_VERIFICATION = "deprecated-verification-token"
_ECHOED = ("action_id", "block_id", "text", "value", "style", "type")
"""What of a button Slack repeats in the payload."""


def pressed(
    message: Message | Private,
    action: Mapping[str, Any],
    user: User,
    channel: Channel,
    *,
    trigger_id: str,
    response_url: str,
) -> dict[str, Any]:
    """Return `block_actions` for something pressed or chosen in a message."""
    container: dict[str, Any] = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": isinstance(message, Private),
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    body = _common("block_actions", user, trigger_id) | {
        "container": container,
        "channel": {"id": channel.id, "name": channel.name},
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [acted(action)],
    }
    if isinstance(message, Message):
        body["message"] = message_json(message)
    return body


def pressed_in_view(
    view: Mapping[str, Any], action: Mapping[str, Any], user: User, *, trigger_id: str
) -> dict[str, Any]:
    """Return `block_actions` for something pressed in a modal or on a Home tab."""
    return _common("block_actions", user, trigger_id) | {
        "container": {"type": "view", "view_id": view["id"]},
        "view": view,
        "actions": [acted(action)],
    }


def submitted(view: Mapping[str, Any], user: User, *, trigger_id: str) -> dict[str, Any]:
    """Return `view_submission`."""
    return _common("view_submission", user, trigger_id) | {"view": view, "response_urls": []}


def closed(view: Mapping[str, Any], user: User, *, cleared: bool) -> dict[str, Any]:
    """Return `view_closed`."""
    body = _common("view_closed", user, "") | {"view": view, "is_cleared": cleared}
    del body["trigger_id"]
    return body


def shortcut(callback_id: str, user: User, *, trigger_id: str) -> dict[str, Any]:
    """Return a global shortcut's payload."""
    body = _common("shortcut", user, trigger_id) | {"callback_id": callback_id}
    return body | {"action_ts": f"{time.time():.6f}"}


def message_action(
    callback_id: str,
    message: Message,
    user: User,
    channel: Channel,
    *,
    trigger_id: str,
    response_url: str,
) -> dict[str, Any]:
    """Return a message shortcut's payload."""
    return _common("message_action", user, trigger_id) | {
        "callback_id": callback_id,
        "channel": {"id": channel.id, "name": channel.name},
        "message_ts": message.ts,
        "message": message_json(message),
        "action_ts": f"{time.time():.6f}",
        "response_url": response_url,
    }


def command(
    name: str, text: str, user: User, channel: Channel, *, trigger_id: str, response_url: str
) -> dict[str, Any]:
    """Return the fields of a slash command."""
    return {
        "token": _VERIFICATION,
        "team_id": TEAM_ID,
        "team_domain": "loopback",
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.dm_with else channel.name,
        "user_id": user.id,
        "user_name": user.name,
        "command": name,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def event(body: Mapping[str, Any], now_s: int) -> dict[str, Any]:
    """Return an event in its envelope."""
    return {
        "token": _VERIFICATION,
        "team_id": TEAM_ID,
        "api_app_id": APP_ID,
        "event": body,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": now_s,
        "authorizations": [{"team_id": TEAM_ID, "user_id": "U0REMEDI8", "is_bot": True}],
    }


def escaped(text: str, names: Mapping[str, str]) -> str:
    """Return a command's text as Slack hands it over where the app asks for `should_escape`."""
    ids = {name: user for user, name in names.items()}
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    words: Sequence[str] = text.split(" ")
    return " ".join(
        f"<@{ids[word[1:]]}|{word[1:]}>" if word.startswith("@") and word[1:] in ids else word
        for word in words
    )


def acted(action: Mapping[str, Any]) -> dict[str, Any]:
    """Return one entry of `actions`."""
    kept = dict(action)
    if action["type"] == "button":
        kept = {key: value for key, value in action.items() if key in _ECHOED}
    return kept | {"action_ts": f"{time.time():.6f}"}


def form(payload: Mapping[str, Any]) -> bytes:
    """Return a payload as the form that Slack posts."""
    return urlencode({"payload": json.dumps(payload)}).encode()


def fields(given: Mapping[str, str]) -> bytes:
    """Return a slash command as the form that Slack posts."""
    return urlencode(given).encode()


def signature(body: bytes, timestamp: str, secret: str) -> str:
    """Return the header `X-Slack-Signature`, version v0."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def _common(kind: str, user: User, trigger_id: str) -> dict[str, Any]:
    return {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID},
        "api_app_id": APP_ID,
        "token": _VERIFICATION,
        "trigger_id": trigger_id,
        "team": {"id": TEAM_ID, "domain": "loopback"},
        "enterprise": None,
        "is_enterprise_install": False,
    }
