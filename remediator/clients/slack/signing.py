"""Whether a request is Slack's: its signature, and how old it is. Pure; called by `client`."""

import hashlib
import hmac
from datetime import datetime, timedelta

from remediator.model.clock import aware

SIGNATURE_WINDOW = timedelta(minutes=5)
"""Slack's own advice; an older request may be a replay."""


def signed(body: bytes, *, timestamp: str, signature: str, secret: str, now: datetime) -> bool:
    """Whether `signature` is Slack's for this body, and `timestamp` is within five minutes of now.

    Source: Slack's «Verifying requests from Slack», version v0: HMAC-SHA256 of
    `v0:timestamp:body`. Our own rather than slack_sdk's verifier, which raises on a timestamp that
    is no number and on a signature beyond ASCII, and reads the clock by itself.
    """
    # Ten digits last until 2286; more would only make the arithmetic overflow.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 10):
        return False
    age_s = abs(aware(now).timestamp() - int(timestamp))
    if age_s > SIGNATURE_WINDOW.total_seconds():
        return False
    signed_part = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed_part, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))
