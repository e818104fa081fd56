"""Proves of the probes `prometheus.query`, `http.check` and `alertmanager.firing`: what an author
may write, what counts as met, what is an error and what a finding, and what later steps can read;
against a real Prometheus, a real Alertmanager and a web server on loopback."""

import asyncio
import json
import math
import operator
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from remediator.actions import prometheus
from remediator.actions.alertmanager import Firing
from remediator.actions.http import Check
from remediator.actions.prometheus import Comparison, Presence, Query, parse_expectation
from remediator.clients.alertmanager import Alertmanagers
from remediator.clients.http import HttpClient
from remediator.clients.prometheus import PrometheusClient, Sample
from remediator.model.plans import Result
from remediator.plugin.action import Permanent, Probe, Temporary
from remediator.settings import PrometheusSettings, Sender
from tests.actions.contract import Bench, params_of
from tests.servers.alertmanager import webhook_config
from tests.servers.fixtures import AlertmanagerFactory, PrometheusFactory
from tests.servers.prometheus import prometheus_config

PROBES: list[Probe[Any]] = [Query(), Check(), Firing()]
NOBODY = "http://127.0.0.1:1"


async def look(probe: Probe[Any], given: dict[str, Any], client: Any) -> Result:
    try:
        result = await probe.probe(params_of(probe, given), Bench(client))
    finally:
        await client.close()
    assert not result.changed
    assert set(result.output) == set(type(probe).Output)
    json.dumps(result.output, allow_nan=False)  # the journal takes it
    return result


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: str(p.name))
def test_the_example_is_what_a_runbook_could_hold(probe: Probe[Any]) -> None:
    example = YAML(typ="safe", pure=True).load(probe.example)
    params = params_of(probe, example)
    assert probe.Params.model_json_schema()["properties"].keys() == type(params).model_fields.keys()
    assert probe.summary.endswith(".")
    assert all(permission.verbs for permission in probe.permissions(params))


# prometheus.query


SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
         "==": operator.eq, "!=": operator.ne}  # fmt: skip
FINITE = st.floats(allow_nan=False)


@given(st.sampled_from(sorted(SIGNS)), FINITE, FINITE, st.sampled_from(["", " ", "  "]))
def test_a_comparison_means_what_it_says(sign: str, limit: float, value: float, gap: str) -> None:
    number = f"{limit!r}".replace("inf", "Inf")
    parsed = parse_expectation(f"value{gap}{sign}{gap}{number}")
    assert parsed == Comparison(sign, limit)
    assert isinstance(parsed, Comparison)
    assert parsed.holds(value) is SIGNS[sign](value, limit)
    assert parsed.holds(math.nan) is False


@given(st.text(max_size=30) | st.text("notempy \t", max_size=12))
def test_anything_else_is_refused_with_a_hint(text: str) -> None:
    # Written a second way: by words, without a regular expression.
    words = text.split()
    if words in (["empty"], ["not", "empty"]):
        assert parse_expectation(text) == Presence(words == ["empty"])
    elif not text.strip().startswith("value"):
        with pytest.raises(ValueError, match=r"write a comparison like value > 0\.5"):
            parse_expectation(text)


@pytest.mark.parametrize(
    "text",
    ["value > ", "value => 1", "> 1", "value > 1 and value < 2", "value > NaN", "value", "x"],
)
def test_near_misses_are_refused_at_load(text: str) -> None:
    with pytest.raises(ValidationError, match="is no expectation"):
        Query.Params(query="up", expect=text)


SERIES = [Sample({"app": "api"}, 0.7), Sample({"app": "web"}, 0.2)]


@pytest.mark.parametrize(
    ("expect", "samples", "any_will_do", "ok", "words"),
    [
        ("value > 0.5", SERIES[:1], False, True, "value is 0.7, as expected (value > 0.5)"),
        ("value > 0.8", SERIES[:1], False, False, "value is 0.7; expected value > 0.8"),
        (
            "value > 0.5", SERIES, False, False,
            "value is 0.2 in 1 of 2 series, such as {app='web'}; expected value > 0.5",
        ),
        (
            "value > 0.5", SERIES, True, True,
            "value is 0.7 in 1 of 2 series, such as {app='api'}, as expected (value > 0.5)",
        ),
        ("value > 0.1", SERIES, False, True,
         "value is 0.7 in 2 of 2 series, such as {app='api'}, as expected (value > 0.1)"),
        ("value > 9", SERIES, True, False,
         "value is 0.7 in 2 of 2 series, such as {app='api'}; expected value > 9"),
        ("value > 0.5", [], False, False,
         "the query gives no series, so there is no value; expected value > 0.5"),
        ("value != 1", [Sample({}, math.nan)], False, False, "value is NaN; expected value != 1"),
        ("value > 1e9", [Sample({}, math.inf)], False, True,
         "value is +Inf, as expected (value > 1e9)"),
        ("empty", [], False, True, "the query gives 0 series, as expected"),
        ("empty", SERIES, False, False, "the query gives 2 series; expected empty"),
        ("not empty", SERIES[:1], False, True, "the query gives 1 series, value 0.7, as expected"),
        ("not empty", [], False, False, "the query gives 0 series; expected not empty"),
        (None, [], False, True, "the query gives 0 series"),
    ],
)  # fmt: skip
def test_what_meets_an_expectation(
    expect: str | None, samples: list[Sample], any_will_do: bool, ok: bool, words: str
) -> None:
    assert prometheus.judge(expect, samples, any_will_do=any_will_do) == (ok, words)


async def test_a_query_to_the_real_one(prometheus_factory: PrometheusFactory) -> None:
    server = prometheus_factory(prometheus_config({}))

    async def query(**given: Any) -> Result:
        client = PrometheusClient(PrometheusSettings(url=server.url))
        return await look(Query(), given, client)

    two = await query(query="vector(1.5) * 2", expect="value == 3")
    assert two.ok
    assert two.output["value"] == 3
    assert two.output["count"] == 1
    assert two.output["series"] == [{"labels": {}, "value": 3.0, "text": "3"}]
    odd = await query(query="vector(1) / 0", expect="value < 5")
    assert not odd.ok
    assert odd.output["value"] is None
    assert odd.output["series"] == [{"labels": {}, "value": None, "text": "+Inf"}]
    assert not (await query(query="no_such_series", expect="value > 0")).ok
    assert (await query(query="no_such_series", expect="empty")).ok
    many = " or ".join(f'label_replace(vector({n}), "n", "{n}", "", "")' for n in range(120))
    several = await query(query=many, expect="value >= 0")
    assert several.ok
    assert several.output["count"] == 120
    assert len(several.output["series"]) == prometheus.MAX_SERIES  # type: ignore[arg-type]
    assert several.output["value"] is None
    with pytest.raises(Permanent, match="parse error"):
        await query(query="sum(")
    server.stop()
    with pytest.raises(Temporary, match="no connection"):
        await query(query="up")


# http.check


Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture
async def served() -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []

    async def serve(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runners.append(web.AppRunner(app, shutdown_timeout=0))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield serve
    for runner in runners:
        await runner.cleanup()


async def check(**given: Any) -> Result:
    return await look(Check(), given, HttpClient())


async def test_status_and_body(served: Serve) -> None:
    async def page(request: web.Request) -> web.Response:
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/"})
        status = int(request.path.strip("/") or 200)
        return web.Response(status=status, text=f"{request.method} {request.headers.get('X')} ünd")

    url = await served(page)
    good = await check(url=url, headers={"X": "y"}, expect_body="GET y ün")
    assert good.ok
    assert good.message.startswith("status 200 in ")
    assert good.output["status"] == 200
    assert good.output["body_head"] == "GET y ünd"
    assert good.output["error"] == ""
    assert (await check(url=url, method="HEAD")).ok
    missing = await check(url=url, expect_body="well")
    assert missing.message == "status 200, but 'well' is not in the body"
    assert not missing.ok
    broken = await check(url=f"{url}/503")
    assert (broken.ok, broken.message) == (False, "status 503; expected 200 to 299")
    assert (await check(url=f"{url}/503", expect_status=503)).ok
    assert (await check(url=f"{url}/404", expect_status=[200, 404])).ok
    strict = await check(url=f"{url}/204", expect_status=[200, 404])
    assert strict.message == "status 204; expected 200 or 404"
    moved = await check(url=f"{url}/moved")
    assert (moved.ok, moved.output["status"]) == (False, 302)
    assert "which is not followed" in moved.message
    assert (await check(url=f"{url}/moved", follow_redirects=True)).ok


@pytest.mark.parametrize(
    ("said", "given", "ok"),
    [
        ({"warnings": ["partial response"]}, {"expect": "empty"}, False),
        ({"warnings": ["partial response"]}, {"expect": "empty", "partial": "allow"}, True),
        ({"warnings": ["partial response"]}, {}, True),
        ({"infos": ["metric might not be a counter"]}, {"expect": "empty"}, True),
    ],
)
async def test_an_answer_that_may_not_be_whole_is_not_as_expected(
    served: Serve, said: dict[str, Any], given: dict[str, Any], ok: bool
) -> None:
    async def thanos(request: web.Request) -> web.Response:
        data = {"resultType": "vector", "result": []}
        return web.json_response({"status": "success", "data": data, **said})

    client = PrometheusClient(PrometheusSettings(url=await served(thanos)))
    result = await look(Query(), {"query": "up", **given}, client)
    assert result.ok is ok
    assert ("partial response" in result.message) is ("warnings" in said)
    assert ("partial: allow lifts this" in result.message) is not ok


async def test_a_huge_body_is_read_in_part(served: Serve) -> None:
    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"start")
        while True:
            await response.write(b"x" * 65536)

    url = await served(huge)
    assert (await check(url=url, expect_body="start")).ok
    late = await check(url=url, expect_body="never")
    assert late.message == "status 200, but 'never' is not in the first 64 KiB of the body"
    assert len(str(late.output["body_head"])) == 2000


async def test_no_answer_is_a_finding(served: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    refused = await check(url=f"http://127.0.0.1:{port}/")
    assert not refused.ok
    assert "no connection" in refused.message
    assert refused.output["status"] == 0
    assert refused.output["error"] == refused.message
    nameless = await check(url="http://no-such-host.invalid/")
    assert not nameless.ok
    assert "its name can't be resolved" in nameless.message
    never = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    late = await check(url=await served(slow), timeout="200ms")
    never.set()
    assert not late.ok
    assert "no answer within 0.2s" in late.message


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"url": "ftp://host/"}, "no http or https URL"),
        ({"url": "host/path"}, "no http or https URL"),
        ({"url": "http://host:99999/"}, "no http or https URL"),
        ({"url": "http://user:s3cret@host/"}, "would end up in the journal"),
        ({"headers": {"authorization": "Bearer s3cret"}}, "is a credential"),
        ({"headers": {"X": "a\r\nb: c"}}, "line break"),
        ({"method": "POST"}, "GET"),
        ({"method": "HEAD", "expect_body": "x"}, "needs method GET"),
        ({"expect_status": 99}, "greater than or equal to 100"),
        ({"timeout": "3m"}, "at most 2m"),
        ({"timeout": "0s"}, "longer than 0s"),
    ],
)
def test_what_a_check_can_not_be_told(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        Check.Params.model_validate({"url": "http://host/", **given})
    assert "s3cret" not in " ".join(fault["msg"] for fault in refused.value.errors())


# alertmanager.firing


async def test_firing_by_the_real_one(alertmanager_factory: AlertmanagerFactory) -> None:
    server = alertmanager_factory(webhook_config(NOBODY))

    async def firing(**given: Any) -> Result:
        sender = Sender(alertmanager=(server.url,), alertmanager_warmup=timedelta())
        return await look(Firing(), given, Alertmanagers({"default": sender, "mute": Sender()}))

    labels = {"alertname": "A", "zone": 'say "x"'}
    quiet = await firing(labels=labels)
    assert (quiet.ok, quiet.message) == (False, "the alert does not fire")
    assert quiet.output == {"firing": False, "starts_at": None}
    assert (await firing(labels=labels, expect="resolved")).ok
    server.post_alerts([{"labels": labels, "startsAt": "2026-01-02T03:04:05Z"}])
    loud = await firing(labels=labels)
    assert (loud.ok, loud.message) == (True, "the alert fires since 2026-01-02T03:04:05.000000Z")
    assert loud.output == {"firing": True, "starts_at": "2026-01-02T03:04:05.000000Z"}
    assert not (await firing(labels=labels, expect="resolved")).ok
    with pytest.raises(Permanent, match=r"set senders\.mute\.alertmanager"):
        await firing(labels=labels, sender="mute")
    server.stop()
    with pytest.raises(Temporary, match=r"no Alertmanager can say: .*no connection"):
        await firing(labels=labels)


def test_no_labels_would_mean_any_alert() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        Firing.Params(labels={})
