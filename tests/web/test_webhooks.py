"""Proves over a real socket that a notification is taken whole or refused with a status that makes
Alertmanager do the right thing: 503 for what may succeed later, 4xx with field and reason for what
can't, 413 beyond the limit only. And that callbacks get the exact bytes."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.observe import metrics
from remediator.web import bodies, problems

from .edge import Edge, listening, problem
from .payloads import notification

PATH = "/webhook/alertmanager"


def count(result: str, sender: str = "default", source: str = "alertmanager") -> float:
    labels = {"source": source, "sender": sender, "result": result}
    return metrics.REGISTRY.get_sample_value("remediator_notifications_total", labels) or 0.0


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with listening(http={"max_body_mib": 1}) as started:
        yield started


async def test_a_notification_is_committed_and_answered_with_its_fates(edge: Edge) -> None:
    before = count("accepted")
    answer = await edge.ask("POST", PATH, data=notification(2))
    assert answer.status == 200
    assert answer.json == {
        "notification_id": "n1",
        "alerts": {"opened": 2},
        "started": 1,
        "cancelled": 0,
        "runs_started": ["run-1"],
        "runs_cancelled": [],
    }
    assert edge.backend.intake.taken == [("default", "alertmanager", 2)]
    assert count("accepted") == before + 1


async def test_a_sender_in_the_path_is_the_scope() -> None:
    async with listening(senders={"eu": {}}) as edge:
        assert (await edge.ask("POST", f"{PATH}/eu", data=notification())).status == 200
        assert edge.backend.intake.taken == [("eu", "alertmanager", 1)]


async def test_20_000_alerts_of_20_mib_are_taken_with_the_default_limit() -> None:
    async with listening() as edge:
        storm = notification(20_000, "x" * 800)
        assert len(storm) > 20 * 2**20
        answer = await edge.ask("POST", PATH, data=storm)
        assert answer.status == 200
        assert answer.json["alerts"] == {"opened": 20_000}


@pytest.mark.parametrize("chunked", [False, True])
async def test_413_beyond_the_limit_only(edge: Edge, chunked: bool) -> None:
    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    small = notification()
    exact = small + b" " * (2**20 - len(small))
    for body, status in ((exact, 200), (exact + b" ", 413)):
        answer = await edge.ask("POST", PATH, data=pieces(body) if chunked else body)
        assert answer.status == status
    document = problem(answer, 413)
    assert "1 MiB" in document["detail"]


async def test_what_a_compressed_body_unpacks_to_is_what_counts(edge: Edge) -> None:
    headers = {"Content-Encoding": "gzip"}
    packed = gzip.compress(notification())
    assert (await edge.ask("POST", PATH, data=packed, headers=headers)).status == 200
    bomb = gzip.compress(b" " * (256 * 2**20))
    assert len(bomb) < 2**20
    problem(await edge.ask("POST", PATH, data=bomb, headers=headers), 413)
    broken = packed[: len(packed) // 2]
    problem(await edge.ask("POST", PATH, data=b"no gzip", headers=headers), 400)
    problem(await edge.ask("POST", PATH, data=broken, headers=headers), 400)
    problem(await edge.ask("POST", PATH, data=packed + b"more", headers=headers), 400)
    other = {"Content-Encoding": "zstd"}
    problem(await edge.ask("POST", PATH, data=packed, headers=other), 415)
    assert len(edge.backend.intake.taken) == 1


async def test_what_can_never_succeed_names_field_and_reason(edge: Edge) -> None:
    before = count("rejected")
    wrong = notification(2).replace(b'"status": "firing", "labels"', b'"status": 1, "labels"')
    document = problem(await edge.ask("POST", PATH, data=wrong), 400)
    assert document["field"] == "alerts[0].status"
    assert "str" in document["detail"]
    document = problem(await edge.ask("POST", PATH, data=b"text"), 400)
    assert "field" not in document
    assert count("rejected") == before + 2


@pytest.mark.parametrize(
    ("error", "result"),
    [(Overloaded("full"), "overloaded"), (JournalUnavailable("/secret/path"), "unavailable")],
)
async def test_what_may_succeed_later_is_503(edge: Edge, error: Exception, result: str) -> None:
    before = count(result)
    edge.backend.intake.fail = [error]
    answer = await edge.ask("POST", PATH, data=notification())
    problem(answer, 503)
    assert b"secret" not in answer.body
    assert answer.headers["Retry-After"]
    assert (await edge.ask("POST", PATH, data=notification())).status == 200
    assert count(result) == before + 1


async def test_an_unexpected_error_is_500_without_internals(edge: Edge) -> None:
    edge.backend.intake.fail = [RuntimeError("password=hunter2")]
    answer = await edge.ask("POST", PATH, data=notification())
    problem(answer, 500)
    assert b"hunter2" not in answer.body
    assert b"RuntimeError" not in answer.body


async def test_an_unknown_source_is_404_and_names_those_there_are(edge: Edge) -> None:
    before = count("rejected", source="unknown")
    document = problem(await edge.ask("POST", "/webhook/zabbix", data=notification()), 404)
    assert "alertmanager" in document["detail"]
    assert count("rejected", source="unknown") == before + 1


async def test_a_callback_gets_the_exact_bytes_and_its_reply_is_passed_on(edge: Edge) -> None:
    raw = b"payload=%7B%22a%22%3A+1%7D&x=\xff"
    answer = await edge.ask(
        "POST",
        "/echo/callback",
        data=raw,
        headers={"X-Signature": "v0=1", "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status == 202
    assert answer.body == b"v0=1|" + raw
    assert answer.headers["Content-Type"] == "text/x-echo"
    assert answer.headers["X-A"] == "1"
    problem(await edge.ask("POST", "/echo/callback", data=b"x" * (2**20 + 1)), 413)


async def test_bodies_in_hand_together_are_bounded() -> None:
    held, go = asyncio.Event(), asyncio.Event()
    reader = bodies.Reader(1000, together_bytes=1500)

    async def hold(request: web.Request) -> web.Response:
        async with reader.body(request) as body:
            held.set()
            await go.wait()
            return web.Response(text=str(len(body)))

    app = web.Application(middlewares=[problems.middleware])
    app.router.add_post("/", hold)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = server.make_url("/")
        first = asyncio.create_task(session.post(url, data=b"x" * 1000))
        await asyncio.wait_for(held.wait(), 5)
        async with session.post(url, data=b"x" * 1000) as second:
            assert second.status == 503
        go.set()
        async with await first as answer:
            assert (answer.status, await answer.text()) == (200, "1000")
        async with session.post(url, data=b"x" * 1000) as third:
            assert third.status == 200


async def test_a_stopping_server_finishes_what_it_has_and_refuses_more() -> None:
    async with listening() as edge:
        edge.backend.intake.go.clear()
        in_hand = asyncio.create_task(edge.ask("POST", PATH, data=notification()))
        await asyncio.wait_for(edge.backend.intake.arrived.wait(), 5)
        stopping = asyncio.create_task(edge.server.stop())
        async with asyncio.timeout(5):  # the listener closes within a few turns of the loop
            while await listens(edge.url):
                pass
        edge.backend.intake.go.set()
        assert (await in_hand).status == 200
        await stopping
    assert len(edge.backend.intake.taken) == 1


async def listens(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url + "/-/ready") as answer:
            assert answer.status in (200, 503)
    except aiohttp.ClientConnectionError:
        return False
    return True
