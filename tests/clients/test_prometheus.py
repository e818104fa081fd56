"""Proves of the Prometheus client, against the real server: vectors, scalars, NaN and infinities,
its own error texts, warnings and long queries; and against a server on loopback what the real one
can't be made to say: 5xx, throttling, proxies' pages, a token, a huge answer."""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from http import HTTPStatus

import pytest
from pydantic import SecretStr

from remediator.clients.errors import RETRY_AT_MOST, Refused, Unavailable, retry_after
from remediator.clients.prometheus import MAX_ANSWER_BYTES, PrometheusClient, Sample
from remediator.settings import PrometheusSettings
from tests.servers.endpoint import Endpoint, QuietHandler
from tests.servers.exporter import Exporter
from tests.servers.fixtures import PrometheusFactory
from tests.servers.prometheus import prometheus_config
from tests.servers.waiting import eventually_async

# mypy does not find the type of a coroutine's answer through `T | Awaitable[T]`.
until: Callable[..., Awaitable[bool]] = eventually_async


@pytest.fixture
async def client(
    prometheus_factory: PrometheusFactory, exporter: Exporter
) -> AsyncIterator[PrometheusClient]:
    """A client of a real Prometheus that has scraped three series."""
    for app, value in {"api": 0.7, "web": 0.2}.items():
        exporter.set(f'latency_seconds{{app="{app}"}}', value)
    exporter.set("nothing_yet", math.nan)
    server = prometheus_factory(prometheus_config({"app": [exporter.address]}))
    made = PrometheusClient(PrometheusSettings(url=f"{server.url}/"))

    async def scraped() -> bool:
        return len((await made.query("latency_seconds or nothing_yet")).samples) == 3

    await until(scraped, 20, what="the first scrape")
    yield made
    await made.close()


async def test_what_the_real_one_answers(client: PrometheusClient) -> None:
    vector = await client.query("latency_seconds")
    assert {s.labels["app"]: s.value for s in vector.samples} == {"api": 0.7, "web": 0.2}
    assert vector.warnings == ()
    assert (await client.query("1 + 2")).samples == (Sample({}, 3.0),)
    assert (await client.query("no_such_series")).samples == ()
    infinite = (await client.query("latency_seconds / 0")).samples
    assert [s.value for s in infinite] == [math.inf, math.inf]
    assert math.isnan((await client.query("nothing_yet")).samples[0].value)
    assert (await client.query("-1 / 0")).samples[0].value == -math.inf
    long = " + ".join(["1"] * 5000)
    assert (await client.query(long)).samples[0].value == 5000


async def test_its_own_error_text_is_passed_on(client: PrometheusClient) -> None:
    with pytest.raises(Refused, match=r"Prometheus: .*parse error: unclosed left parenthesis"):
        await client.query("sum(")
    with pytest.raises(Refused, match="many-to-many matching not allowed"):
        await client.query("{app=~'.+'} / on(job) {app=~'.+'}")
    with pytest.raises(Refused, match=r"gives a matrix.*rate\(\)"):
        await client.query("latency_seconds[5m]")
    with pytest.raises(Refused, match="gives a string"):
        await client.query("'text'")


async def test_nobody_to_ask() -> None:
    with pytest.raises(Refused, match=r"set prometheus\.url"):
        await PrometheusClient(PrometheusSettings()).query("up")
    gone = PrometheusClient(PrometheusSettings(url="http://127.0.0.1:1"))
    with pytest.raises(Unavailable, match="no connection"):
        await gone.query("up")
    await gone.close()


class Proxy(Endpoint):
    """Answers every request alike, and keeps the requests' lines and headers."""

    def __init__(self) -> None:
        self.status = HTTPStatus.OK
        self.body = b""
        self.headers: dict[str, str] = {}
        self.seen: list[tuple[str, str]] = []
        proxy = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base calls it so
                proxy.seen.append((self.path, self.headers.get("Authorization", "")))
                self.send_response(proxy.status)
                for name, value in proxy.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(proxy.body)))
                self.end_headers()
                self.wfile.write(proxy.body)

        super().__init__(Handler)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as listening:
        yield listening


async def ask(proxy: Proxy, token: str | None = None) -> None:
    secret = SecretStr(token) if token else None
    settings = PrometheusSettings(url=f"http://{proxy.address}", bearer_token=secret, timeout_s=5)
    client = PrometheusClient(settings)
    try:
        await client.query("up")
    finally:
        await client.close()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
async def test_faults_that_may_pass(proxy: Proxy, status: int) -> None:
    proxy.status = HTTPStatus(status)
    proxy.body = b"<html>nginx</html>"
    with pytest.raises(Unavailable, match=f"HTTP status {status}") as failed:
        await ask(proxy)
    assert failed.value.after is None
    proxy.body = json.dumps({"status": "error", "error": "query timed out"}).encode()
    proxy.headers = {"Retry-After": "7"}
    with pytest.raises(Unavailable, match="Prometheus: query timed out") as told:
        await ask(proxy)
    assert told.value.after == timedelta(seconds=7)
    for absurd in ("31536000", "9" * 30):
        proxy.headers = {"Retry-After": absurd}
        with pytest.raises(Unavailable) as silenced:
            await ask(proxy)
        assert silenced.value.after == RETRY_AT_MOST
    for useless in ("0", "soon", "-1", "\u0663", "Wed, 21 Oct 2026 07:28:00 GMT"):
        assert retry_after(useless) is None


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (403, b"forbidden", r"HTTP status 403 .*prometheus\.url"),
        (404, b"<html>", "HTTP status 404"),
        (200, b"<html>login</html>", "no answer of its API"),
        (200, b"\xff\xfe", "no answer of its API"),
        (200, b'{"status":"success"}', "no answer of its API"),
        (302, b"", "redirects to https://sso.example.org/login"),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[1]}}', "can't be read"),
        (
            200,
            b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}',
            r"native histograms.*histogram_quantile",
        ),
        (200, b" " * (MAX_ANSWER_BYTES + 1), "over 8 MiB; aggregate"),
    ],
)
async def test_what_will_not_pass(proxy: Proxy, status: int, body: bytes, why: str) -> None:
    proxy.status, proxy.body = HTTPStatus(status), body
    proxy.headers = {"Location": "https://u:s3cret@sso.example.org/login?token=s3cret"}
    with pytest.raises(Refused, match=why) as failed:
        await ask(proxy)
    assert "s3cret" not in str(failed.value)


async def test_the_token_and_the_time_limit_go_along(proxy: Proxy) -> None:
    proxy.body = json.dumps(
        {
            "status": "success",
            "data": {"resultType": "scalar", "result": [1.5, "2"]},
            "warnings": ["one"],
            "infos": ["two"],
        }
    ).encode()
    await ask(proxy, token="t0ken")
    assert proxy.seen == [("/api/v1/query?query=up&timeout=5s", "Bearer t0ken")]
