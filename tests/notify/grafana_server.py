"""A Grafana on loopback: the annotations API with its permissions.

Source: Grafana's «Annotations HTTP API». Tests read `annotations` as a graph would show them.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.notify.loopback import Loopback

TOKEN = "glsa_0123456789abcdefghijklmnopqrstuv_01234567"


@dataclass
class Grafana(Loopback):
    """One organisation with one service account."""

    permissions: frozenset[str] = frozenset(
        {"annotations:create", "annotations:read", "annotations:write"}
    )
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def routes(self, router: web.UrlDispatcher) -> None:
        """See `Loopback.routes`."""
        router.add_get("/api/annotations", self._find)
        router.add_post("/api/annotations", self._create)
        router.add_patch("/api/annotations/{id}", self._amend)

    async def _find(self, request: web.Request) -> web.Response:
        if (refused := self._may(request, "annotations:read")) is not None:
            return refused
        wanted = set(request.query.getall("tags", []))
        found = [
            {"id": id_, **one}
            for id_, one in self.annotations.items()
            if wanted <= set(one["tags"])
        ]
        return web.json_response(found[: int(request.query.get("limit", "100"))])

    async def _create(self, request: web.Request) -> web.Response:
        if (refused := self._may(request, "annotations:create")) is not None:
            return refused
        body = await request.json()
        if not body.get("text"):
            return web.json_response({"message": "text field should not be empty"}, status=400)
        id_ = next(self._ids)
        self.annotations[id_] = body
        return web.json_response({"message": "Annotation added", "id": id_})

    async def _amend(self, request: web.Request) -> web.Response:
        if (refused := self._may(request, "annotations:write")) is not None:
            return refused
        known = self.annotations.get(int(request.match_info["id"]))
        if known is None:
            return web.json_response({"message": "Annotation not found"}, status=404)
        known.update(await request.json())
        return web.json_response({"message": "Annotation patched"})

    def _may(self, request: web.Request, permission: str) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Invalid API key"}, status=401)
        if permission not in self.permissions:
            text = f"You'll need additional permissions: {permission}"
            return web.json_response({"message": text}, status=403)
        return None
