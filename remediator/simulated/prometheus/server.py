"""Prometheus's HTTP answers to instant queries, over series that a test wrote.

Owns the series and what `/api/v1/query` says: statuses, JSON, errors. Stands behind
`simulated.http.Web`, so that the real client asks it. The time is the virtual clock's.

Source of the protocol: Prometheus's «HTTP API».
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.clients.http import Answer
from remediator.model.clock import Clock, aware
from remediator.runbook import promql
from remediator.runbook.promql import NotPromQL
from remediator.simulated.http import Request
from remediator.simulated.prometheus import notation, numbers
from remediator.simulated.prometheus.evaluating import Evaluation, Result, Rules
from remediator.simulated.prometheus.model import PrometheusSpec
from remediator.simulated.prometheus.series import BadQuery, Labels, Store
from remediator.simulated.prometheus.vectors import Failed, Matrix

_QUERY = "/api/v1/query"
_PAGES = {
    "/-/ready": "Prometheus Server is Ready.\n",
    "/-/healthy": "Prometheus Server is Healthy.\n",
}


class Prometheus:
    """One Prometheus, which scrapes nothing: it has what tests say."""

    def __init__(self, spec: PrometheusSpec, clock: Clock, rules: Rules | None = None) -> None:
        """Make one whose series begin now.

        Args:
            spec: the series.
            clock: what «now» is, for queries and for changes.
            rules: how it evaluates; None: as Prometheus 3 does.

        Raises:
            BadSeries: a series can't be read.
        """
        self._clock = clock
        self._rules = rules or Rules()
        self._store = Store()
        self._interval = PrometheusSpec().interval
        self.change(spec)

    def change(self, spec: PrometheusSpec, at: datetime | None = None) -> None:
        """Let these series go on so from a time on (None: from now); others stay as they are.

        An interval that is not given stays as it was, too.

        Raises:
            BadSeries: a series can't be read.
        """
        start_ms = _ms(at or self._clock.now())
        if "interval" in spec.model_fields_set:
            self._interval = spec.interval
        interval_ms = round(self._interval / timedelta(milliseconds=1))
        read = [
            (notation.parse_labels(one.series), notation.parse_values(one.values))
            for one in spec.series
        ]
        for labels, values in read:
            self._store.write(labels, values, start_ms, interval_ms)

    def evaluate(self, query: str, at: datetime | None = None) -> tuple[Result, list[str]]:
        """Evaluate a query at a time (None: now); returns the result, and warnings.

        Raises:
            NotPromQL: it is none.
            BadQuery: it can't be evaluated, whatever there is.
            Failed: it can't be evaluated over these series.
        """
        at_ms = _ms(at or self._clock.now())
        evaluation = Evaluation(self._store, query, at_ms, self._rules)
        return evaluation.run(promql.parse(query)), sorted(set(evaluation.warnings))

    def answer(self, request: Request) -> Answer:
        """Answer one request (`simulated.http.Server`)."""
        path = request.url.path
        if path in _PAGES and request.method in ("GET", "HEAD"):
            return Answer(200, _PLAIN, _PAGES[path].encode(), truncated=False)
        if path != _QUERY:
            return Answer(404, _PLAIN, b"404 page not found\n", truncated=False)
        if request.method not in ("GET", "POST"):
            return Answer(405, {**_PLAIN, "allow": "GET, OPTIONS, POST"}, b"", truncated=False)
        return self._query({**request.url.query, **request.form})

    def _query(self, given: Mapping[str, str]) -> Answer:
        try:
            at = _time(given["time"]) if given.get("time") else self._clock.now()
        except ValueError:
            return _failed(
                400,
                "bad_data",
                "invalid parameter \"time\": Invalid time value for 'time': cannot parse "
                f'"{given["time"]}" to a valid timestamp',
            )
        try:
            result, warnings = self.evaluate(given.get("query", ""), at)
        except NotPromQL as error:
            return _failed(400, "bad_data", f'invalid parameter "query": parse error: {error}')
        except BadQuery as error:
            return _failed(400, "bad_data", f'invalid parameter "query": {error}')
        except Failed as error:
            return _failed(422, "execution", str(error))
        body: dict[str, Any] = {"status": "success", "data": _written(result, _ms(at))}
        if warnings:
            body["warnings"] = warnings
        return _json(200, body)


_PLAIN = {"content-type": "text/plain; charset=utf-8"}


def _json(status: int, body: Mapping[str, Any]) -> Answer:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Answer(status, {"content-type": "application/json"}, text.encode(), truncated=False)


def _failed(status: int, kind: str, text: str) -> Answer:
    return _json(status, {"status": "error", "errorType": kind, "error": text})


def _written(result: Result, at_ms: int) -> Mapping[str, Any]:
    match result:
        case float():
            return {"resultType": "scalar", "result": _pair(at_ms, result)}
        case str():
            return {"resultType": "string", "result": [_seconds(at_ms), result]}
        case Matrix(rows=rows):
            series: list[Mapping[str, Any]] = [
                {"metric": _sorted(row.labels), "values": [_pair(*point) for point in row.points]}
                for row in rows
            ]
            return {"resultType": "matrix", "result": series}
    elements = [{"metric": _sorted(one.labels), "value": _pair(at_ms, one.value)} for one in result]
    return {"resultType": "vector", "result": elements}


def _sorted(labels: Labels) -> Labels:
    return dict(sorted(labels.items()))


def _pair(at_ms: int, value: float) -> list[float | int | str]:
    return [_seconds(at_ms), numbers.in_api(value)]


def _seconds(at_ms: int) -> float | int:
    return at_ms / 1000 if at_ms % 1000 else at_ms // 1000


def _ms(at: datetime) -> int:
    return round(aware(at).timestamp() * 1000)


def _time(text: str) -> datetime:
    """Read seconds since 1970, or RFC 3339."""
    try:
        seconds = float(text)
    except ValueError:
        return aware(datetime.fromisoformat(text))
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, OSError):
        raise ValueError(text) from None
