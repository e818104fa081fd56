"""Proves of what the simulated Prometheus says over HTTP: through the real client and the real
probe; the same JSON and the same errors as a real one, asked side by side; and changes of its
series in the middle of a story."""

import json
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.actions.prometheus import Query
from remediator.clients.errors import Refused
from remediator.clients.http import Answer, HttpClient
from remediator.clients.prometheus import PrometheusClient, Sample
from remediator.model.plans import Result
from remediator.plugin.action import Permanent
from remediator.settings import PrometheusSettings
from remediator.simulated.http import PROMETHEUS_URL, Web
from remediator.simulated.prometheus import Prometheus
from remediator.simulated.prometheus.evaluating import Rules
from remediator.simulated.prometheus.model import PrometheusSpec
from remediator.testing.clock import ManualClock
from tests.servers.fixtures import PrometheusFactory
from tests.servers.prometheus import prometheus_config
from tests.simulated.stage import Stage

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    """A client for the real one."""
    made = HttpClient()
    yield made
    await made.close()


def spec(interval: str | None = None, **series: str) -> PrometheusSpec:
    given: dict[str, Any] = {
        "series": [{"series": name, "values": values} for name, values in series.items()]
    }
    return PrometheusSpec.model_validate(given | ({"interval": interval} if interval else {}))


class World:
    """A simulated Prometheus behind the real client."""

    def __init__(self, held: PrometheusSpec, rules: Rules | None = None) -> None:
        self.clock = ManualClock(START)
        self.prometheus = Prometheus(held, self.clock, rules)
        self.web = Web((), self.clock, {PROMETHEUS_URL: self.prometheus})
        self.client = PrometheusClient(PrometheusSettings(url=f"{PROMETHEUS_URL}/"), self.web)

    async def value(self, query: str) -> float | None:
        samples = (await self.client.query(query)).samples
        return samples[0].value if samples else None

    async def probe(self, **given: Any) -> Result:
        stage = Stage(self.clock, {PrometheusClient: self.client})
        return await Query().probe(Query.Params.model_validate(given), stage)

    def after(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))

    async def ask(self, **query: str) -> Answer:
        url = f"{PROMETHEUS_URL}/api/v1/query"
        pairs = list(query.items())
        return await self.web.request("GET", url, query=pairs, timeout_s=1, max_bytes=100_000)


async def test_the_real_client_and_probe_see_time_go_on() -> None:
    world = World(spec(up="1x4 0x4"))
    assert await world.value("up") == 1.0
    world.after(minutes=4, seconds=59)
    assert await world.value("up") == 1.0
    world.after(seconds=1)
    assert await world.value("up") == 0.0
    assert (await world.client.query("avg_over_time(up[4m])")).samples == (Sample({}, 0.75),)
    found = await world.probe(query="up + 1", expect="value > 0.5")
    assert (found.ok, found.output["value"]) == (True, 1.0)
    world.after(minutes=4, seconds=59)  # the last sample is 0:59 old, then 5:00
    assert (await world.probe(query="up", expect="not empty")).ok
    world.after(minutes=4)
    assert await world.value("up") == 0.0
    world.after(seconds=1)
    assert (await world.probe(query="up", expect="empty")).ok


async def test_series_change_when_the_world_does() -> None:
    world = World(spec(interval="30s", up="1x100", other="7x100"))
    world.after(minutes=10, seconds=7)
    world.prometheus.change(spec(up="0x100", new="5x1"))
    assert await world.value("up") == 0.0
    assert await world.value("max_over_time(up[2m])") == 1.0
    assert await world.value("timestamp(up)") == START.timestamp() + 607
    world.after(minutes=5, seconds=30)
    assert await world.value("count_over_time(up[5m])") == 10.0
    assert await world.value("other") == 7.0
    assert await world.value("new") is None
    assert await world.value("new offset 1m") == 5.0


async def test_a_long_query_goes_as_a_form() -> None:
    world = World(spec(up="1x5"))
    query = "up" + " + 0 * up" * 300
    assert await world.value(query) == 1.0
    assert world.web.requests[-1].request.method == "POST"


async def test_errors_are_told_as_by_a_real_one() -> None:
    world = World(spec(**{'up{a="1"}': "1", 'up{a="2"}': "1"}))
    with pytest.raises(Refused, match='invalid parameter "query": parse error: unclosed left'):
        await world.client.query("sum(up")
    with pytest.raises(Permanent, match="many-to-many matching not allowed"):
        await world.probe(query="up * on () up")
    with pytest.raises(Refused, match=r"histogram_avg\(\) is not simulated \(line 1, column 5\)"):
        await world.client.query("1 + histogram_avg(up)")
    with pytest.raises(Refused, match="too many samples"):
        await world.client.query("sum_over_time(up[20d:1s])")
    with pytest.raises(Refused, match="gives a matrix"):
        await world.client.query("up[5m]")
    assert (await world.client.query("quantile(2, up)")).warnings


@pytest.mark.servers
async def test_the_same_json_as_from_a_real_one(
    prometheus_factory: PrometheusFactory, http: HttpClient
) -> None:
    real = prometheus_factory(prometheus_config({}))
    world = World(spec(up="1"), Rules(generation=2))  # Debian's
    questions = [
        {"query": text, "time": time}
        for text in (
            "vector(1)", "vector(1e-7)", "vector(-1.5e21)", "vector(1e20)", "vector(0.1)",
            "vector(NaN)", "vector(-Inf)", "vector(123456789.125)", "vector(1e-6)", "vector(1/3)",
            "vector(-0)", "1", '"text \\u00e9"', "time()", "vector(1)[2m:1m]", "nothing",
            'label_replace(vector(1), "b", "x\\"y", "", "")', "1e300 * 1e300",
            'label_join(label_replace(vector(1), "b", "2", "", ""), "a", "", "b")',
        )
        for time in ("1767607200", "1767607200.5", "1767607200.123456", "2026-01-05T10:00:00Z")
    ] + [{"query": "1", "time": "yesterday"}, {"query": ""}, {}, {"query": "vector("}]  # fmt: skip
    for asked in questions:
        url = f"{real.url}/api/v1/query"
        pairs = list(asked.items())
        expected = await http.request("GET", url, query=pairs, timeout_s=5, max_bytes=100_000)
        found = await world.ask(**asked)
        assert found.status == expected.status, asked
        assert found.headers["content-type"] == expected.headers["content-type"]
        one, other = json.loads(found.body), json.loads(expected.body)
        if one["status"] == "error" and "parse error" in one["error"]:
            # The parser's words are its own.
            prefix = 'invalid parameter "query":'
            assert all(text["error"].startswith(prefix) for text in (one, other))
            one.pop("error"), other.pop("error")
        assert one == other, asked
    for path in ("/-/ready", "/-/healthy", "/nothing"):
        expected = await http.request("GET", real.url + path, timeout_s=5, max_bytes=1000)
        found = await world.web.request("GET", PROMETHEUS_URL + path, timeout_s=5, max_bytes=1000)
        assert (found.status, found.body) == (expected.status, expected.body)


async def test_not_a_number_and_infinity_come_through() -> None:
    world = World(spec(a="NaN", b="-Inf"))
    found = await world.value("a")
    assert found is not None
    assert math.isnan(found)
    assert await world.value("b") == -math.inf
