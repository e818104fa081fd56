"""Webhooks of ours: JSON, signed as «Standard Webhooks» (standardwebhooks.com) has it.

`webhook-id` is the same for each try of one note, so that a receiver can drop repeats;
`webhook-timestamp` is when it was sent; `webhook-signature` is HMAC-SHA256 over both and the body,
once for each key. Receivers check it with that project's library, in their own language.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from remediator.clients import services
from remediator.clients.errors import Forbidden, Missing, Refused
from remediator.clients.http import HttpClient
from remediator.model.canonical import JSONObject
from remediator.settings import WebhookSettings

MAX_BODY_BYTES = 1024 * 1024


class WebhookClient:
    """All endpoints of the settings."""

    def __init__(self, endpoints: Mapping[str, WebhookSettings]) -> None:
        self._endpoints = endpoints
        self._http = HttpClient(keep_alive=True, proxied=True)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    async def post(self, endpoint: str, id_: str, body: JSONObject, *, at: datetime) -> None:
        """Post one note to one endpoint.

        Args:
            endpoint: its name in the settings.
            id_: the same for each try.
            body: what is told.
            at: now.

        Raises:
            Unavailable: no answer, a throttle, a fault there.
            Forbidden: an operator must repair it: 401, 403, 404, a redirect.
            Refused: it will never take this: 400, 410, 413 and the like.
        """
        known = self._endpoints.get(endpoint)
        name = f"webhook {endpoint}"
        if known is None:
            raise Forbidden(f"{name} is not configured")
        url, secret = known.url.get_secret_value(), known.secret.get_secret_value()
        encoded = services.encoded(body, MAX_BODY_BYTES, name)
        stamp = str(int(at.timestamp()))
        try:
            await services.call(
                self._http,
                _called(name, url),
                "POST",
                url,
                body=encoded,
                headers={
                    "webhook-id": id_,
                    "webhook-timestamp": stamp,
                    "webhook-signature": signatures(secret, id_, stamp, encoded),
                    "User-Agent": "remediator",
                },
                secrets=(url, *secret.split()),
            )
        except Missing as error:
            raise Forbidden(str(error)) from None


def signatures(secret: str, id_: str, stamp: str, body: bytes) -> str:
    """Return `v1,…` for each key of a secret, with spaces between.

    Raises:
        Refused: a key is none.
    """
    signed = b".".join((id_.encode(), stamp.encode(), body))
    try:
        keys = [
            base64.b64decode(one.removeprefix("whsec_"), validate=True) for one in secret.split()
        ]
    except binascii.Error:
        raise Refused("the webhook's secret is no base64") from None
    return " ".join(
        f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"
        for key in keys
    )


def _called(name: str, url: str) -> str:
    """Return what messages call an endpoint: of its address only the host is no secret."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return f"{name} ({host})" if host else name
