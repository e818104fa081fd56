"""Proves who is let in: every way of authentication for senders, roles for the API, and this
machine alone where nothing is configured – not proxies, not other sites' pages in a browser, not
names that are rebound to 127.0.0.1. A Unix socket plays the peer that is not on loopback."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from remediator.settings import Settings
from remediator.web.routes import ROUTES, Door, build_app

from .edge import TOKENS, Answer, Edge, listening, problem
from .payloads import notification
from .services import Backend

PATH = "/webhook/alertmanager"
SENDERS = {
    "default": {},
    "token": {"bearer_token": "sender-token"},
    "basic": {"basic_username": "am", "basic_password": "pass:word"},
    "both": {"bearer_token": "t", "basic_username": "u", "basic_password": "p"},
}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with listening(senders=SENDERS, api=TOKENS) as started:
        yield started


@pytest.mark.parametrize(
    ("sender", "authorization", "status"),
    [
        ("token", "Bearer sender-token", 200),
        ("token", "bearer  sender-token", 200),
        ("token", "Bearer sender-toke", 401),
        ("token", "Bearer sender-token2", 401),
        ("token", "Bearer", 401),
        ("token", "Basic sender-token", 401),
        ("token", "sender-token", 401),
        ("token", "", 401),
        ("token", None, 401),
        ("token", "Bearer admin-token", 401),
        ("basic", basic("am", "pass:word"), 200),
        ("basic", basic("am", "wrong"), 401),
        ("basic", basic("wrong", "pass:word"), 401),
        ("basic", "Basic !!!", 401),
        ("basic", "Basic /w==", 401),
        ("basic", None, 401),
        ("both", "Bearer t", 200),
        ("both", basic("u", "p"), 200),
        ("both", None, 401),
        ("nobody", None, 401),
        ("nobody", "Bearer sender-token", 401),
        ("nobody", "Bearer ", 401),
        ("default", None, 200),
    ],
)
async def test_a_sender_is_let_in_by_what_is_configured_for_it(
    edge: Edge, sender: str, authorization: str | None, status: int
) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = await edge.ask("POST", f"{PATH}/{sender}", data=notification(), headers=headers)
    assert answer.status == status
    assert len(edge.backend.intake.taken) == (1 if status == 200 else 0)
    if status == 401:
        problem(answer, 401)


async def test_an_unknown_sender_reads_like_a_wrong_token(edge: Edge) -> None:
    known, unknown = [
        await edge.ask("POST", f"{PATH}/{name}", token="wrong", data=notification())
        for name in ("token", "nobody")
    ]
    assert known.body == unknown.body
    drop = {"Date"}
    assert [(k, v) for k, v in known.headers.items() if k not in drop] == [
        (k, v) for k, v in unknown.headers.items() if k not in drop
    ]
    assert "Bearer" in known.headers["WWW-Authenticate"]
    assert "Basic" in known.headers["WWW-Authenticate"]


LOCAL_PATHS = [("POST", PATH), ("GET", "/api/v1/runs"), ("GET", "/metrics")]


@pytest.mark.parametrize(("method", "path"), LOCAL_PATHS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:9095"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "[::1]:9095"}, 200),
        ({"Host": "remediator.example.com"}, 200),
        ({"Host": "evil.example.com"}, 403),
        ({"Host": "localhost.evil.example.com"}, 403),
        ({"Host": "127.0.0.1.nip.io"}, 403),
        ({"Host": "evil@localhost"}, 403),
        ({"Host": ""}, 403),
        ({"X-Forwarded-For": "127.0.0.1"}, 403),
        ({"Forwarded": "for=127.0.0.1"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://localhost:3000"}, 403),
        ({"Host": "localhost", "Origin": "https://evil.example.com"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_without_authentication_this_machine_alone_is_served(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with listening(external_url="https://remediator.example.com/x") as edge:
        data = notification() if method == "POST" else None
        answer = await edge.ask(method, path, data=data, headers=headers)
        assert answer.status == status
        if status == 403:
            problem(answer, 403)


async def test_a_peer_that_is_not_on_loopback_needs_authentication(tmp_path: Path) -> None:
    async with elsewhere(tmp_path, Settings()) as ask:
        assert (await ask("POST", PATH, {})).status == 401
        assert (await ask("GET", "/api/v1/runs", {})).status == 403
        assert (await ask("GET", "/metrics", {})).status == 403
        assert (await ask("GET", "/-/healthy", {})).status == 200
        forged = {"X-Forwarded-For": "127.0.0.1", "Host": "127.0.0.1"}
        assert (await ask("GET", "/api/v1/runs", forged)).status == 403
        assert (await ask("POST", "/-/reload", forged)).status == 403


async def test_a_peer_that_is_not_on_loopback_is_let_in_with_its_token(tmp_path: Path) -> None:
    settings = Settings(senders={"default": {"bearer_token": "s"}}, api=TOKENS)
    async with elsewhere(tmp_path, settings) as ask:
        assert (await ask("POST", PATH, bearer("s"))).status == 200
        assert (await ask("GET", "/api/v1/runs", bearer("viewer-token"))).status == 200
        assert (await ask("GET", "/metrics", bearer("viewer-token"))).status == 200
        assert (await ask("GET", "/metrics", {})).status == 401
        # With authentication, proxies and odd Host headers are nobody's concern.
        odd = {**bearer("viewer-token"), "Host": "x.example.com", "X-Forwarded-For": "10.0.0.1"}
        assert (await ask("GET", "/api/v1/runs", odd)).status == 200


async def test_with_tokens_this_machine_needs_one_too_but_for_metrics(edge: Edge) -> None:
    answer = await edge.ask("GET", "/api/v1/runs")
    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    problem(await edge.ask("GET", "/api/v1/runs", token="wrong"), 401)
    problem(await edge.ask("GET", "/api/v1/runs", token="sender-token"), 401)
    assert (await edge.ask("GET", "/metrics")).status == 200
    problem(await edge.ask("GET", "/metrics", token="wrong"), 401)


ROLES = {"viewer": 0, "operator": 1, "admin": 2}


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if not isinstance(r.guard, Door)], ids=lambda r: r.method + r.path
)
async def test_every_route_with_a_role_holds_it(edge: Edge, route: Any) -> None:
    path = route.path
    for name, value in (("{id}", "run-1"), ("{scope}", "*"), ("{runbook}", "latency")):
        path = path.replace(name, value)
    for token, height in (("viewer-token", 0), ("operator-token", 1), ("admin-token", 2)):
        answer = await edge.ask(route.method, path, token=token)
        if height < ROLES[route.guard.value]:
            document = problem(answer, 403)
            assert route.guard.value in document["detail"]
        else:
            assert answer.status not in (401, 403)
    problem(await edge.ask(route.method, path), 401)


def test_the_open_routes_are_these_and_no_others() -> None:
    found = {(r.method, r.path) for r in ROUTES if r.guard is Door.OPEN}
    assert found == {
        ("GET", "/"),
        ("GET", "/-/healthy"),
        ("GET", "/-/ready"),
        ("GET", "/openapi.json"),
    }


async def test_the_identity_is_the_tokens_whatever_the_body_says(edge: Edge) -> None:
    path = "/api/v1/runs/run-1/approve"
    seen = {"approval_id": "ask-1"}
    answer = await edge.ask("POST", path, token="operator-token", json=seen)
    assert answer.status == 200
    assert edge.backend.desk.answers[0][1] == "api:olga"
    document = problem(
        await edge.ask("POST", path, token="operator-token", json={**seen, "actor": "api:ada"}), 400
    )
    assert document["field"] == "actor"


async def test_without_tokens_the_identity_is_local() -> None:
    async with listening() as edge:
        seen = {"approval_id": "ask-1"}
        await edge.ask("POST", "/api/v1/runs/run-1/approve", json=seen)
        assert edge.backend.desk.answers[0][1] == "local"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class elsewhere:  # noqa: N801 - used as a function
    """The application behind a Unix socket, whose peers have no address."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._path = str(folder / "socket")
        self._runner = web.AppRunner(
            build_app(Backend().services(), settings), auto_decompress=False
        )

    async def __aenter__(self) -> Any:
        await self._runner.setup()
        await web.UnixSite(self._runner, self._path).start()
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(self._path))
        return self._ask

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def _ask(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        data = notification() if method == "POST" else None
        async with self._session.request(
            method, "http://localhost" + path, data=data, headers=headers
        ) as response:
            body = await response.read()
            value = json.loads(body) if "json" in response.content_type else None
            return Answer(response.status, response.headers, body, value)
