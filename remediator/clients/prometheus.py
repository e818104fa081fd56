"""Instant queries to Prometheus, or to what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics).

Source of the protocol: Prometheus's «HTTP API», `/api/v1/query`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from remediator.clients.errors import Refused, Unavailable, retry_after
from remediator.clients.http import Answer, Http, HttpClient, shown
from remediator.settings import PrometheusSettings

# Tens of thousands of series; a probe that needs more should aggregate in the query.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
# Longer ones go as POST, since servers limit the request line. GET first: read-only proxies let
# nothing else through.
_LONGEST_GET = 2000
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Sample:
    """One series and its value now; NaN and infinities occur."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Instant:
    """The answer to an instant query. A scalar is one sample without labels.

    `warnings` say that the answer may not be whole; `infos` only comment on the query.
    """

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...]
    infos: tuple[str, ...] = ()


_Pair = tuple[float, str]


class _Series(msgspec.Struct):
    metric: dict[str, str]
    value: _Pair | None = None  # None: a native histogram


class _Result(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Body(msgspec.Struct, rename="camel"):
    status: Annotated[str, msgspec.Meta(max_length=20)]
    data: _Result | None = None
    error_type: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


class PrometheusClient:
    """Asks the Prometheus of the settings."""

    def __init__(self, settings: PrometheusSettings, http: Http | None = None) -> None:
        """Ask over `http`; None: over connections of its own."""
        self._settings = settings
        self._http = http or HttpClient(keep_alive=True)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    async def query(self, query: str) -> Instant:
        """Evaluate a query now.

        Raises:
            Unavailable: no answer, too slow, or a fault at the server.
            Refused: the query is wrong or gives no numbers, we may not ask, or no URL is set.
        """
        answer = await self._ask(query)
        body = _body(answer)
        if answer.status == 429 or answer.status >= 500:
            raise Unavailable(
                f"Prometheus: {_error(answer, body)}",
                retry_after(answer.headers.get("retry-after")),
            )
        if answer.status != 200 or body is None or body.data is None:
            raise Refused(f"Prometheus: {_error(answer, body)}")
        if answer.truncated:
            mib = MAX_ANSWER_BYTES // 1024 // 1024
            raise Refused(f"Prometheus: the answer is over {mib} MiB; aggregate in the query")
        return Instant(_samples(body.data), body.warnings, body.infos)

    async def _ask(self, query: str) -> Answer:
        if self._settings.url is None:
            raise Refused("no Prometheus is known: set prometheus.url in the settings")
        timeout_s = self._settings.timeout_s
        arguments = {"query": query, "timeout": f"{timeout_s:g}s"}
        token = self._settings.bearer_token
        by_get = len(query) <= _LONGEST_GET
        return await self._http.request(
            "GET" if by_get else "POST",
            f"{self._settings.url.rstrip('/')}/api/v1/query",
            query=tuple(arguments.items()) if by_get else (),
            form=None if by_get else arguments,
            headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token else None,
            timeout_s=timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
        )


def _body(answer: Answer) -> _Body | None:
    """Decode the answer, or return None where it is not of this API (a proxy's page)."""
    try:
        return msgspec.json.decode(answer.body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _error(answer: Answer, body: _Body | None) -> str:
    if body is not None and body.error:
        return body.error[:_LONGEST_ERROR]
    if 300 <= answer.status < 400 and "location" in answer.headers:
        return (
            f"redirects to {shown(answer.headers['location'])}; set prometheus.url to where it is"
        )
    if answer.truncated:
        return f"the answer is over {MAX_ANSWER_BYTES // 1024 // 1024} MiB; aggregate in the query"
    hint = "" if answer.status >= 500 else "; does prometheus.url point at a Prometheus?"
    return f"HTTP status {answer.status} and no answer of its API{hint}"


def _samples(data: _Result) -> tuple[Sample, ...]:
    try:
        if data.result_type == "scalar":
            _, text = msgspec.json.decode(data.result, type=_Pair)
            return (Sample({}, float(text)),)
        if data.result_type == "vector":
            series = msgspec.json.decode(data.result, type=list[_Series])
            return tuple(_sample(one) for one in series)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused(f"Prometheus: the answer can't be read: {error}") from None
    raise Refused(
        f"Prometheus: the query gives a {data.result_type}, not numbers of now; "
        "a range like x[5m] needs a function around it, such as rate()"
    )


def _sample(series: _Series) -> Sample:
    if series.value is None:
        raise Refused(
            "Prometheus: the query gives native histograms, not numbers; "
            "use histogram_quantile(), histogram_count() or histogram_avg()"
        )
    return Sample(series.metric, float(series.value[1]))
