"""What Slack posts to an app: the `block_actions` payload, and its signature."""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tests.slack.workspace import Message, message_json

_ECHOED = ("action_id", "block_id", "text", "value", "style", "type")
"""What of a button Slack repeats in the payload."""


def pressed(
    message: Message, button: Mapping[str, Any], *, user: str, response_url: str
) -> Mapping[str, Any]:
    """Return what Slack says about one press of a button."""
    action = {key: value for key, value in button.items() if key in _ECHOED}
    return {
        "type": "block_actions",
        "user": {"id": user, "username": "somebody", "name": "somebody", "team_id": "T01"},
        "api_app_id": "A01",
        "token": "deprecated-verification-token",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": False,
        },
        "trigger_id": f"1.2.{secrets.token_hex(8)}",
        "team": {"id": "T01", "domain": "loopback"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": message.channel, "name": "oncall"},
        "message": message_json(message),
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [action | {"action_ts": f"{time.time():.6f}"}],
    }


def form(payload: Mapping[str, Any]) -> bytes:
    """Return a payload as the form that Slack posts."""
    return urlencode({"payload": json.dumps(payload)}).encode()


def signature(body: bytes, timestamp: str, secret: str) -> str:
    """Return the header `X-Slack-Signature`, version v0."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
