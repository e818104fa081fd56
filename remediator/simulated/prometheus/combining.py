"""Operators between two results: arithmetic, comparisons, sets, and which elements meet. Pure."""

import math
import operator
from collections.abc import Callable, Mapping

from remediator.runbook.promql import COMPARISONS, NAME, Binary, Cardinality, Matching
from remediator.simulated.prometheus import numbers
from remediator.simulated.prometheus.series import Labels, key
from remediator.simulated.prometheus.vectors import (
    Element,
    Failed,
    Vector,
    having,
    only,
    unnamed,
    without,
    written,
)

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": numbers.divide,
    "%": numbers.modulo,
    "^": numbers.power,
    "atan2": math.atan2,
}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Group = tuple[tuple[str, str], ...]


def scalars(op: str, left: float, right: float) -> float:
    """Combine two numbers; a comparison gives 1 or 0."""
    if op in COMPARISONS:
        return float(_COMPARE[op](left, right))
    return _ARITHMETIC[op](left, right)


def with_scalar(expr: Binary, vector: Vector, scalar: float, *, scalar_left: bool) -> Vector:
    """Combine every element with a number; a comparison keeps those for which it holds."""
    found = []
    for one in vector:
        left, right = (scalar, one.value) if scalar_left else (one.value, scalar)
        if expr.op not in COMPARISONS or expr.as_bool:
            found.append(Element(unnamed(one.labels), scalars(expr.op, left, right)))
        elif _COMPARE[expr.op](left, right):
            found.append(one)
    return found


def vectors(expr: Binary, left: Vector, right: Vector) -> Vector:
    """Combine the elements of two vectors that meet.

    Raises:
        Failed: one element would meet several and the query does not say so.
    """
    if expr.op in ("and", "or", "unless"):
        return _sets(expr, left, right)
    if not left or not right:
        return []  # and nobody looks whether the other side is unique
    matching = expr.matching
    swapped = matching.cardinality is Cardinality.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    ones = _by_group(one, matching, "left" if swapped else "right")
    met: dict[Group, set[Group]] = {}
    found = []
    for element in many:
        group = _group(element.labels, matching)
        if group not in ones:
            continue
        other = ones[group]
        labels = _labels(expr, element.labels, other.labels)
        _check_unique(matching, met.setdefault(group, set()), labels)
        a, b = (other.value, element.value) if swapped else (element.value, other.value)
        if expr.op not in COMPARISONS or expr.as_bool:
            found.append(Element(labels, scalars(expr.op, a, b)))
        elif _COMPARE[expr.op](a, b):
            found.append(Element(labels, a))
    return found


def _sets(expr: Binary, left: Vector, right: Vector) -> Vector:
    matching = expr.matching
    lefts = {_group(one.labels, matching) for one in left}
    rights = {_group(one.labels, matching) for one in right}
    if expr.op == "and":
        return [one for one in left if _group(one.labels, matching) in rights]
    if expr.op == "unless":
        return [one for one in left if _group(one.labels, matching) not in rights]
    return [*left, *(one for one in right if _group(one.labels, matching) not in lefts)]


def _group(labels: Labels, matching: Matching) -> Group:
    if matching.on:
        return key(only(labels, matching.labels))
    return key(without(labels, (NAME, *matching.labels)))


def _by_group(elements: Vector, matching: Matching, side: str) -> dict[Group, Element]:
    found: dict[Group, Element] = {}
    for one in elements:
        group = _group(one.labels, matching)
        if group in found:
            both = sorted([written(one.labels), written(found[group].labels)])
            raise Failed(
                f"found duplicate series for the match group {written(dict(group))} on the {side} "
                f"hand-side of the operation: [{both[0]}, {both[1]}];many-to-many matching not "
                "allowed: matching labels must be unique on one side"
            )
        found[group] = one
    return found


def _check_unique(matching: Matching, met: set[Group], labels: Labels) -> None:
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        if met:
            raise Failed(
                "multiple matches for labels: many-to-one matching must be explicit "
                "(group_left/group_right)"
            )
    elif key(labels) in met:
        raise Failed("multiple matches for labels: grouping labels must ensure unique matches")
    met.add(key(labels))


def _labels(expr: Binary, many: Labels, one: Labels) -> Labels:
    """Return the labels of what two elements give."""
    matching = expr.matching
    found = many if expr.op in COMPARISONS and not expr.as_bool else unnamed(many)
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        found = only(found, matching.labels) if matching.on else without(found, matching.labels)
    for name in matching.include:
        found = having(found, name, one.get(name, ""))
    return found
