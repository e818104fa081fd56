"""A listening edge on a free loopback port, and a client to it."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from remediator.settings import Settings
from remediator.web.server import Server
from remediator.web.services import Services

from .services import Backend

TOKENS = {
    "tokens": [
        {"name": "vera", "token": "viewer-token", "role": "viewer"},
        {"name": "olga", "token": "operator-token", "role": "operator"},
        {"name": "ada", "token": "admin-token", "role": "admin"},
    ]
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes
    json: Any


@dataclass
class Edge:
    backend: Backend
    url: str
    session: aiohttp.ClientSession
    server: Server

    async def ask(
        self, method: str, path: str, *, token: str | None = None, **options: Any
    ) -> Answer:
        headers = {**options.pop("headers", {})}
        if isinstance(options.get("data"), bytes):
            options["data"] = io.BytesIO(options["data"])
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.session.request(
            method, self.url + path, headers=headers, **options
        ) as response:
            body = await response.read()
            is_json = "json" in response.content_type
            value = await response.json(content_type=None) if is_json and body else None
            return Answer(response.status, response.headers, body, value)


@asynccontextmanager
async def listening(backend: Backend | None = None, **settings: Any) -> AsyncIterator[Edge]:
    """Start the real server over services in memory, with these settings."""
    behind = backend or Backend()
    async with serving(behind.services(), behind, **settings) as edge:
        yield edge


@asynccontextmanager
async def serving(services: Services, backend: Backend, **settings: Any) -> AsyncIterator[Edge]:
    """Start the real server over these services."""
    server = Server(services, Settings(**{"listen": "127.0.0.1:0", **settings}))
    address = await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Edge(backend, f"http://{address}", session, server)
    finally:
        await server.stop()


def problem(answer: Answer, status: int) -> dict[str, Any]:
    """Check that an answer is a problem document of this status; returns the document."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    document: dict[str, Any] = answer.json
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["type"] == "about:blank" or document["type"].startswith("urn:remediator:")
    return document
