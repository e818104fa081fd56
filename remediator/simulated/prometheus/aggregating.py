"""Aggregations: `sum by (job)`, `topk`, `quantile` and their like. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence

from remediator.runbook.promql import NAME, Aggregation
from remediator.simulated.prometheus import numbers, ranges
from remediator.simulated.prometheus.series import Labels, key
from remediator.simulated.prometheus.vectors import (
    Element,
    Failed,
    Unsupported,
    Vector,
    having,
    only,
    without,
)

_SIMPLE: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": numbers.total,
    "avg": numbers.mean,
    "min": ranges.smallest,
    "max": ranges.largest,
    "count": lambda values: float(len(values)),
    "group": lambda values: 1.0,
    "stddev": lambda values: math.sqrt(numbers.variance(values)),
    "stdvar": numbers.variance,
}


def aggregate(expr: Aggregation, elements: Vector, parameter: float | str | None) -> Vector:
    """Aggregate elements by their labels.

    Raises:
        Failed: the parameter is no such thing.
        Unsupported: this aggregation is not simulated.
    """
    if expr.op == "count_values":
        return _count_values(expr, elements, str(parameter))
    if isinstance(parameter, float) and expr.op in ("topk", "bottomk"):
        return _ranked(expr, elements, parameter)
    groups = _grouped(expr, elements)
    if isinstance(parameter, float) and expr.op == "quantile":
        return [
            Element(labels, numbers.quantile(parameter, [one.value for one in members]))
            for labels, members in groups
        ]
    if expr.op not in _SIMPLE:
        raise Unsupported(f"the aggregation {expr.op} is not simulated")
    function = _SIMPLE[expr.op]
    return [Element(labels, function([one.value for one in members])) for labels, members in groups]


def _labels(expr: Aggregation, labels: Labels) -> Labels:
    return only(labels, expr.labels) if expr.by else without(labels, (NAME, *expr.labels))


def _grouped(expr: Aggregation, elements: Vector) -> list[tuple[Labels, Vector]]:
    found: dict[tuple[tuple[str, str], ...], tuple[Labels, Vector]] = {}
    for one in elements:
        labels = _labels(expr, one.labels)
        found.setdefault(key(labels), (labels, []))[1].append(one)
    return list(found.values())


def _ranked(expr: Aggregation, elements: Vector, count: float) -> Vector:
    """Return the largest or smallest of each group, as they are; NaN comes last."""
    if not math.isfinite(count):
        raise Failed(f"Scalar value {numbers.shortest(count)} overflows int64")
    sign = -1 if expr.op == "topk" else 1
    found: Vector = []
    for _, members in _grouped(expr, elements):
        ordered = sorted(members, key=lambda one: (math.isnan(one.value), sign * one.value))
        found += ordered[: max(0, int(count))]
    return found


def _count_values(expr: Aggregation, elements: Vector, label: str) -> Vector:
    named = [
        Element(having(one.labels, label, numbers.shortest(one.value)), one.value)
        for one in elements
    ]
    kept = Aggregation(
        expr.op,
        expr.inner,
        None,
        expr.by,
        (*expr.labels, label) if expr.by else expr.labels,
        expr.offset,
    )
    return [Element(labels, float(len(members))) for labels, members in _grouped(kept, named)]
