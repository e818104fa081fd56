"""Proves of the simulated web: which answer a request gets, that failures look as real ones do to
`http.check`, and that a request which the test forgot says how to add it."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from remediator.actions.http import Check
from remediator.clients.errors import Refused, Unavailable
from remediator.clients.http import Answer, HttpClient
from remediator.model.plans import Result
from remediator.simulated.answers import AnswerSpec, parse_request
from remediator.simulated.http import PROMETHEUS_URL, Request, Web
from remediator.testing.clock import START, ManualClock
from tests.simulated.stage import Stage, passing

LIST: TypeAdapter[tuple[AnswerSpec, ...]] = TypeAdapter(tuple[AnswerSpec, ...])


def web(*answers: dict[str, Any], clock: ManualClock | None = None) -> Web:
    return Web(LIST.validate_python(answers), clock or ManualClock())


async def ask(served: Web, url: str, method: str = "GET", **more: Any) -> Answer:
    given: dict[str, Any] = {"timeout_s": 5.0, "max_bytes": 1000, **more}
    return await served.request(method, url, **given)


async def check(served: Web, clock: ManualClock, **given: Any) -> Result:
    probe = Check()
    stage = Stage(clock, {HttpClient: served})
    return await passing(clock, probe.probe(Check.Params.model_validate(given), stage))


async def test_the_narrowest_answer_is_given() -> None:
    served = web(
        {"request": "GET http://api.shop/*", "status": 404, "body": "nothing"},
        {"request": "GET http://api.shop/v1/*", "body": "v1"},
        {"request": "GET http://api.shop/v1/health?b=2&a=1", "json": {"ok": True}},
        {"request": "POST http://api.shop/v1/health", "status": 201},
    )
    assert (await ask(served, "http://api.shop")).text == "nothing"
    assert (await ask(served, "http://api.shop/v1/x?y=1")).text == "v1"
    whole = await ask(served, "http://api.shop/v1/health?a=1&b=2")
    assert (whole.text, whole.headers["content-type"]) == ('{"ok": true}', "application/json")
    by_query = await ask(served, "http://api.shop/v1/health", query=[("a", "1"), ("b", "2")])
    assert by_query.text == '{"ok": true}'
    assert (await ask(served, "http://api.shop/v1/health", "POST", body=b"x")).status == 201
    assert served.asked[-1] == "POST http://api.shop/v1/health"
    assert [one.status for one in served.requests] == [404, 200, 200, 200, 201]


async def test_a_prefix_ends_where_the_host_ends() -> None:
    served = web({"request": "GET http://api.shop*", "body": "mine"})
    assert (await ask(served, "http://api.shop/a")).text == "mine"
    with pytest.raises(
        Unavailable, match=r"add \{request: GET http://api.shop.evil/, status: 200\}"
    ):
        await ask(served, "http://api.shop.evil/")


async def test_answers_come_in_turn_and_the_last_stays() -> None:
    served = web({"request": "GET http://a/x", "answers": [{"status": 503}, {"status": 500}, {}]})
    got = [(await ask(served, "http://a/x")).status for _ in range(5)]
    assert got == [503, 500, 200, 200, 200]
    served.change(LIST.validate_python([{"request": "GET http://a/x", "status": 418}]))
    assert (await ask(served, "http://a/x")).status == 418


async def test_head_is_get_without_the_body() -> None:
    served = web({"request": "GET http://a/x", "body": "long", "headers": {"X-Version": "3"}})
    answer = await ask(served, "http://a/x", "HEAD")
    assert (answer.status, answer.body, answer.headers["x-version"]) == (200, b"", "3")
    with pytest.raises(Unavailable, match="POST http://a/x"):
        await ask(served, "http://a/x", "POST")


async def test_a_long_body_is_cut_as_by_the_real_client() -> None:
    served = web({"request": "GET http://a/x", "body": "0123456789"})
    answer = await ask(served, "http://a/x", max_bytes=4)
    assert (answer.body, answer.truncated) == (b"0123", True)


async def test_redirects_are_followed_only_when_asked_to() -> None:
    served = web(
        {"request": "GET http://a/x", "status": 302, "headers": {"Location": "/y"}},
        {"request": "GET http://a/y", "body": "here"},
        {"request": "GET http://a/round", "status": 307, "headers": {"Location": "/round"}},
    )
    assert (await ask(served, "http://a/x")).status == 302
    assert (await ask(served, "http://a/x", follow_redirects=True)).text == "here"
    with pytest.raises(Unavailable, match="more than 5 redirects"):
        await ask(served, "http://a/round", follow_redirects=True)


async def test_the_check_finds_what_a_real_server_would_show() -> None:
    clock = ManualClock()
    served = web(
        {"request": "GET http://a/good", "body": '"status":"ok"', "takes": "2s"},
        {"request": "GET http://a/slow", "body": "late", "takes": "9s"},
        {"request": "GET http://a/dead", "fails": "no connection"},
        {"request": "GET http://a/hangs", "fails": "timeout"},
        clock=clock,
    )
    good = await check(served, clock, url="http://a/good", expect_body="ok")
    assert good.ok
    assert clock.now() == START + timedelta(seconds=2)
    slow = await check(served, clock, url="http://a/slow", timeout="3s")
    assert (slow.ok, slow.message) == (False, "http://a/slow: no answer within 3s")
    assert clock.now() == START + timedelta(seconds=5)
    dead = await check(served, clock, url="http://a/dead")
    assert (dead.ok, dead.message) == (False, "http://a/dead: no connection: refused")
    hangs = await check(served, clock, url="http://a/hangs", timeout="1m")
    assert (hangs.ok, hangs.message) == (False, "http://a/hangs: no answer within 60s")
    assert [(one.status, one.known) for one in served.requests] == [
        (200, True), (0, True), (0, True), (0, True),
    ]  # fmt: skip
    forgotten = await check(served, clock, url="http://b/x?q=1")
    assert forgotten.message == (
        "GET http://b/x?q=1: no connection: the test's world has no answer for it; add "
        "{request: GET http://b/x?q=1, status: 200} to its http"
    )
    assert not served.requests[-1].known


async def test_a_server_answers_below_its_address_after_canned_answers() -> None:
    class Echo:
        def answer(self, request: Request) -> Answer:
            return Answer(200, {}, f"{request} {dict(request.form)}".encode(), truncated=False)

    canned = LIST.validate_python([{"request": f"GET {PROMETHEUS_URL}/-/ready", "status": 503}])
    served = Web(canned, ManualClock(), {PROMETHEUS_URL: Echo()})
    posted = await ask(served, f"{PROMETHEUS_URL}/api/v1/query", "POST", form={"query": "up"})
    assert posted.text == f"POST {PROMETHEUS_URL}/api/v1/query {{'query': 'up'}}"
    assert (await ask(served, f"{PROMETHEUS_URL}/-/ready")).status == 503
    with pytest.raises(Unavailable, match="add prometheus:"):
        await ask(web(), f"{PROMETHEUS_URL}/api/v1/query")


async def test_what_is_no_request_is_refused_as_by_the_real_client() -> None:
    with pytest.raises(Refused, match="no http or https URL"):
        await ask(web(), "ftp://a/x")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"request": "FETCH http://a/x"}, "no HTTP method"),
        ({"request": "GET api.shop/healthz"}, "like GET http://shop.example.org/healthz"),
        ({"request": "GET http://a/x", "body": "a", "json": 1}, "body or json"),
        ({"request": "GET http://a/x", "fails": "timeout", "status": 500}, "gives no answer"),
        ({"request": "GET http://a/x", "status": 500, "answers": [{}]}, "below answers"),
        ({"request": "GET http://a/x", "fails": "fire"}, "no connection"),
        ({"request": "GET http://a/x", "statis": 500}, "statis"),
    ],
)
def test_what_can_not_be_meant_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        LIST.validate_python([given])


def test_the_same_request_is_the_same_however_it_is_written() -> None:
    assert parse_request("GET http://a/?x=1&y=2") == parse_request("GET http://a?y=2&x=1")
    assert parse_request("GET http://a/b*") != parse_request("GET http://a/b")
