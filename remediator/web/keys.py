"""Where handlers find what `routes.build_app` was given, and what middlewares learned."""

from dataclasses import dataclass

from aiohttp import web

from remediator.web.auth import Api, Identity, Senders
from remediator.web.bodies import Reader
from remediator.web.services import Services


@dataclass(slots=True)
class Closing:
    """Whether the server stops: what it has in hand is finished, nothing new is taken."""

    begun: bool = False


SERVICES = web.AppKey("services", Services)
API = web.AppKey("api", Api)
SENDERS = web.AppKey("senders", Senders)
READER = web.AppKey("reader", Reader)
CLOSING = web.AppKey("closing", Closing)
OPENAPI = web.AppKey("openapi", bytes)

IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)
