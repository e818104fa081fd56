"""A receiver of our webhooks, written as users write one: with the library of Standard Webhooks."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.notify.loopback import Loopback


@dataclass
class Receiver(Loopback):
    """Takes what is signed with its key, once for each id."""

    secret: str = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    taken: dict[str, Any] = field(default_factory=dict)
    repeats: int = 0

    def routes(self, router: web.UrlDispatcher) -> None:
        """See `Loopback.routes`."""
        router.add_post("/hook/{token}", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        try:
            body = Webhook(self.secret).verify(await request.read(), dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        id_ = request.headers["webhook-id"]
        self.repeats += id_ in self.taken
        self.taken[id_] = body
        return web.Response(status=204)
