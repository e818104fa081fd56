"""Microsoft Teams: posts an Adaptive Card to a channel through a workflow's webhook.

Source of the protocol: Microsoft's «Create incoming webhooks with Workflows for Microsoft Teams»
(202 when taken; a message of at most 28 KB). The address is a secret, and is shown in no message.
"""

from collections.abc import Mapping
from typing import Any

from remediator.clients import services
from remediator.clients.errors import Forbidden, Missing, Unavailable
from remediator.clients.http import HttpClient
from remediator.settings import TeamsSettings

MAX_MESSAGE_BYTES = 28 * 1024

_NAME = "Teams"


class TeamsClient:
    """One channel."""

    def __init__(self, settings: TeamsSettings) -> None:
        self._settings = settings
        self._http = HttpClient(keep_alive=True, proxied=True)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    async def post(self, card: Mapping[str, Any]) -> None:
        """Post one card.

        Raises:
            Unavailable: no answer, a throttle, a fault at Teams.
            Forbidden: the workflow is gone or off.
            Refused: Teams will never take it.
        """
        url = self._settings.url
        if url is None:
            raise Forbidden("no Teams workflow is known: set teams.url")
        try:
            answer = await services.call(
                self._http,
                _NAME,
                "POST",
                url.get_secret_value(),
                body=services.encoded(message(card), MAX_MESSAGE_BYTES, _NAME),
                secrets=(url.get_secret_value(),),
            )
        except Missing as error:
            raise Forbidden(f"{error}; the workflow is gone: set teams.url anew") from None
        # The older connectors say with 200 that they could not deliver.
        if "failed" in answer.text[:200].lower():
            raise Unavailable("Teams: the message was taken and not delivered")


def message(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is posted: a message with one card."""
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card,
            }
        ],
    }
