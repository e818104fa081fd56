"""Evaluates a PromQL tree at one time, over the series of a store.

Owns selection (lookback, staleness, offset, `@`), ranges, subqueries and the calls of functions;
the functions themselves are in files of their own. Bounded: a query that would evaluate too much is
refused. Does no I/O and asks no clock.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from remediator.runbook import promql
from remediator.runbook.promql import (
    NAME,
    Aggregation,
    Binary,
    Call,
    Expr,
    Match,
    Negation,
    Number,
    Selector,
    Subquery,
    Text,
    When,
    Window,
)
from remediator.simulated.prometheus import (
    aggregating,
    combining,
    elementwise,
    histograms,
    labelling,
    numbers,
    ranges,
)
from remediator.simulated.prometheus.series import Labels, Point, Store, key
from remediator.simulated.prometheus.vectors import (
    Element,
    Failed,
    Matrix,
    Row,
    Unsupported,
    Vector,
    check_distinct,
    having,
    unnamed,
    without,
)

LOOKBACK_MS = 5 * 60 * 1000
"""How old a sample may be and still count as now."""
SUBQUERY_STEP_MS = 60 * 1000
"""A subquery's step unless it says one: the server's evaluation interval."""
MOST_EVALUATIONS = 200_000
"""Of nodes of the tree at steps of subqueries, in one query: some seconds of work."""

Result = float | str | Vector | Matrix


@dataclass(frozen=True, slots=True)
class Rules:
    """How a server evaluates.

    Args:
        generation: 3: a range is open on its left; 2: a sample there belongs to it, too.
        lookback_ms: see `LOOKBACK_MS`.
    """

    generation: Literal[2, 3] = 3
    lookback_ms: int = LOOKBACK_MS

    def first_ms(self, left_ms: int) -> int:
        """Return the first millisecond of a range that begins at `left_ms`."""
        return left_ms + 1 if self.generation == 3 else left_ms


@dataclass(slots=True)
class Evaluation:
    """One query at one time.

    Args:
        store: the series.
        text: the query, for messages.
        query_ms: the time it is asked for.
        rules: how the server evaluates.
        warnings: what Prometheus would warn of.
    """

    store: Store
    text: str
    query_ms: int
    rules: Rules = Rules()
    warnings: list[str] = field(default_factory=list)
    _done: int = 0

    def run(self, expr: Expr) -> Result:
        """Evaluate the query.

        Raises:
            BadQuery: it can't be evaluated, whatever there is.
            Failed: it can't be evaluated over these series.
        """
        try:
            return self._eval(expr, self.query_ms)
        except RecursionError:
            raise Failed("the query is nested too deeply") from None

    def _eval(self, expr: Expr, at_ms: int) -> Result:
        self._done += 1
        if self._done > MOST_EVALUATIONS:
            raise Failed(
                "query processing would load too many samples into memory in query execution"
            )
        match expr:
            case Number(value):
                return value
            case Text(value):
                return value
            case Selector():
                return [Element(labels, value) for labels, _, value in self._select(expr, at_ms)]
            case Window() | Subquery():
                return self._matrix(expr, at_ms)
            case Negation(inner):
                found = self._eval(inner, at_ms)
                if isinstance(found, float):
                    return -found
                return _distinct(
                    [Element(unnamed(one.labels), -one.value) for one in _vector(found)]
                )
            case Aggregation():
                return self._aggregate(expr, at_ms)
            case Binary():
                return self._binary(expr, at_ms)
            case Call():
                return self._call(expr, at_ms)

    # --------------------------------------------------------------------- series

    def _reference(self, when: When, at_ms: int) -> int:
        """Return the time that a selector looks from."""
        if when.at_query:
            at_ms = self.query_ms
        elif when.at_s is not None:
            at_ms = round(when.at_s * 1000)
        return at_ms - round(when.offset_s * 1000)

    def _select(self, selector: Selector, at_ms: int) -> list[tuple[Labels, int, float]]:
        to_ms = self._reference(selector.when, at_ms)
        from_ms = self.rules.first_ms(to_ms - self.rules.lookback_ms)
        found = []
        for series in self.store.select(selector.matchers):
            point = series.last(from_ms, to_ms)
            if point is not None:
                found.append((series.labels, *point))
        return found

    def _matrix(self, expr: Window | Subquery, at_ms: int) -> Matrix:
        if isinstance(expr, Subquery):
            return self._subquery(expr, at_ms)
        end_ms = self._reference(expr.selector.when, at_ms)
        start_ms = end_ms - round(expr.range_s * 1000)
        rows = []
        for series in self.store.select(expr.selector.matchers):
            points = series.between(self.rules.first_ms(start_ms), end_ms)
            if points:
                rows.append(Row(series.labels, points))
        return Matrix(rows, start_ms, end_ms)

    def _subquery(self, expr: Subquery, at_ms: int) -> Matrix:
        end_ms = self._reference(expr.when, at_ms)
        start_ms = end_ms - round(expr.range_s * 1000)
        step_ms = SUBQUERY_STEP_MS if expr.step_s is None else round(expr.step_s * 1000)
        # Steps are multiples of their length, whatever the time of the query.
        first_ms = step_ms * math.trunc(start_ms / step_ms)
        if first_ms < self.rules.first_ms(start_ms):
            first_ms += step_ms
        found: dict[tuple[tuple[str, str], ...], tuple[Labels, list[Point]]] = {}
        for step_at_ms in range(first_ms, end_ms + 1, step_ms):
            value = self._eval(expr.inner, step_at_ms)
            vector = [Element({}, value)] if isinstance(value, float) else _vector(value)
            for one in vector:
                _, points = found.setdefault(key(one.labels), (one.labels, []))
                points.append((step_at_ms, one.value))
        return Matrix([Row(*found[one]) for one in sorted(found)], start_ms, end_ms)

    # --------------------------------------------------------------------- operators

    def _aggregate(self, expr: Aggregation, at_ms: int) -> Vector:
        parameter = None if expr.parameter is None else self._eval(expr.parameter, at_ms)
        if not isinstance(parameter, float | str | None):
            raise Failed(f"the parameter of {expr.op} is no number")
        if expr.op == "quantile" and isinstance(parameter, float):
            self._check_quantile(parameter)
        inner = _vector(self._eval(expr.inner, at_ms))
        try:
            return aggregating.aggregate(expr, inner, parameter)
        except Unsupported as error:
            raise Unsupported(f"{error} ({promql.where(self.text, expr.offset)})") from None

    def _binary(self, expr: Binary, at_ms: int) -> Result:
        left, right = self._eval(expr.left, at_ms), self._eval(expr.right, at_ms)
        if isinstance(left, float) and isinstance(right, float):
            return combining.scalars(expr.op, left, right)
        if isinstance(right, float):
            found = combining.with_scalar(expr, _vector(left), right, scalar_left=False)
        elif isinstance(left, float):
            found = combining.with_scalar(expr, _vector(right), left, scalar_left=True)
        else:
            found = combining.vectors(expr, _vector(left), _vector(right))
        return _distinct(found)

    # --------------------------------------------------------------------- functions

    def _call(self, call: Call, at_ms: int) -> Result:
        name = call.name
        if name in ranges.FUNCTIONS:
            return self._over_range(call, at_ms)
        if name in {"absent", "absent_over_time"}:
            return self._absent(call, at_ms)
        if name == "timestamp":
            return self._timestamp(call, at_ms)
        if name == "time":
            return at_ms / 1000
        if name == "pi":
            return math.pi
        given = [self._eval(one, at_ms) for one in call.args]
        return _plain(self._apply(call, given, at_ms))

    def _apply(self, call: Call, given: Sequence[Result], at_ms: int) -> float | Vector:
        match call.name, given:
            case "vector", [float(value)]:
                return [Element({}, value)]
            case "scalar", [vector]:
                elements = _vector(vector)
                return elements[0].value if len(elements) == 1 else math.nan
            case name, _ if name in elementwise.DATES:
                times = _vector(given[0]) if given else [Element({}, at_ms / 1000)]
                return _mapped(elementwise.DATES[name], times)
            case name, [vector] if name in elementwise.MATH:
                return _mapped(elementwise.MATH[name], _vector(vector))
            case "round", [vector, *rest]:
                to = _number(rest[0]) if rest else 1.0
                return _mapped(lambda value: elementwise.rounded(value, to), _vector(vector))
            case (("clamp" | "clamp_min" | "clamp_max"), [vector, *bounds]):
                return _clamp(call.name, _vector(vector), [_number(one) for one in bounds])
            case (("sort" | "sort_desc"), [vector]):
                sign = -1 if call.name == "sort_desc" else 1
                return sorted(
                    _vector(vector), key=lambda one: (math.isnan(one.value), sign * one.value)
                )
            case (("sort_by_label" | "sort_by_label_desc"), [vector, *names]):
                labels = [str(one) for one in names]
                return sorted(
                    _vector(vector),
                    key=lambda one: labelling.order(one.labels, labels),
                    reverse=call.name == "sort_by_label_desc",
                )
            case "histogram_quantile", [share, vector]:
                self._check_quantile(_number(share))
                found, warnings = histograms.quantiles(_number(share), _vector(vector))
                self.warnings += warnings
                return found
            case "label_replace", [vector, *texts]:
                return labelling.replace(_vector(vector), *(str(one) for one in texts))
            case "label_join", [vector, label, separator, *sources]:
                return labelling.join(
                    _vector(vector), str(label), str(separator), [str(one) for one in sources]
                )
        raise Unsupported(
            f"the function {call.name}() is not simulated ({promql.where(self.text, call.offset)})"
        )

    def _over_range(self, call: Call, at_ms: int) -> Vector:
        windows = [one for one in call.args if isinstance(one, Window | Subquery)]
        matrix = self._matrix(windows[0], at_ms)
        given = [
            _number(self._eval(one, at_ms))
            for one in call.args
            if not isinstance(one, Window | Subquery)
        ]
        if call.name == "quantile_over_time":
            self._check_quantile(given[0])
        asked = ranges.Asked(matrix.start_ms, matrix.end_ms, at_ms, tuple(given))
        function = ranges.FUNCTIONS[call.name]
        found = []
        for row in matrix.rows:
            value = function(row.points, asked)
            if value is not None:
                labels = row.labels if call.name in ranges.KEEP_NAME else unnamed(row.labels)
                found.append(Element(labels, value))
        return _distinct(found)

    def _absent(self, call: Call, at_ms: int) -> Vector:
        inner = call.args[0]
        found = self._eval(inner, at_ms)
        if found.rows if isinstance(found, Matrix) else _vector(found):
            return []
        selector = inner.selector if isinstance(inner, Window) else inner
        return [Element(_absent_labels(selector), 1.0)]

    def _timestamp(self, call: Call, at_ms: int) -> Vector:
        inner = call.args[0]
        if isinstance(inner, Selector):  # only there the samples' own time is known
            stamped = [(labels, time) for labels, time, _ in self._select(inner, at_ms)]
        else:
            stamped = [(one.labels, at_ms) for one in _vector(self._eval(inner, at_ms))]
        return _distinct([Element(unnamed(labels), time / 1000) for labels, time in stamped])

    def _check_quantile(self, share: float) -> None:
        if not 0 <= share <= 1:
            self.warnings.append(
                "PromQL warning: quantile value should be between 0 and 1, got "
                f"{numbers.shortest(share)}"
            )


def _vector(value: Result) -> Vector:
    if not isinstance(value, list):
        raise Failed("a vector is needed here")  # the parser checks types before
    return value


def _number(value: Result) -> float:
    if not isinstance(value, float):
        raise Failed("a number is needed here")
    return value


def _distinct(elements: Vector) -> Vector:
    check_distinct(one.labels for one in elements)
    return elements


def _plain(value: float | Vector) -> float | Vector:
    return _distinct(value) if isinstance(value, list) else value


def _mapped(function: "elementwise.Function", elements: Vector) -> Vector:
    return [Element(unnamed(one.labels), function(one.value)) for one in elements]


def _clamp(name: str, elements: Vector, bounds: Sequence[float]) -> Vector:
    low, high = {
        "clamp_min": (bounds[0], math.inf),
        "clamp_max": (-math.inf, bounds[0]),
    }.get(name, tuple(bounds))
    if high < low:
        return []
    return _mapped(lambda value: elementwise.clamped(value, low, high), elements)


def _absent_labels(inner: Expr) -> Labels:
    """Return what an absent series would have had: the labels that a selector asks for once."""
    found: Labels = {}
    if not isinstance(inner, Selector):
        return found
    seen: set[str] = set()
    for one in inner.matchers:
        if one.name == NAME:
            continue
        if one.match is Match.EQUAL and one.name not in seen:
            found = having(found, one.name, one.value)
            seen.add(one.name)
        else:
            found = without(found, [one.name])
    return found
