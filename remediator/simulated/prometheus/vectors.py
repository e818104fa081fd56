"""What PromQL's expressions give: elements, vectors, rows of points; and what went wrong. Data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remediator.runbook.promql import NAME
from remediator.simulated.prometheus.series import Labels, Point, key


@dataclass(frozen=True, slots=True)
class Element:
    """One series' value now."""

    labels: Labels
    value: float


Vector = list[Element]


@dataclass(frozen=True, slots=True)
class Row:
    """One series' values over a time."""

    labels: Labels
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows, and from when to when they were asked for."""

    rows: Sequence[Row]
    start_ms: int
    end_ms: int


class Failed(Exception):
    """The query can't be evaluated; Prometheus answers 422."""


class Unsupported(Failed):
    """Prometheus could; this one can't. The message names what, and where it stands."""


def unnamed(labels: Labels) -> Labels:
    """Return the labels without the name."""
    return {name: value for name, value in labels.items() if name != NAME}


def only(labels: Labels, names: Iterable[str]) -> Labels:
    """Return these labels."""
    return {name: labels[name] for name in names if name in labels}


def without(labels: Labels, names: Iterable[str]) -> Labels:
    """Return the other labels."""
    gone = frozenset(names)
    return {name: value for name, value in labels.items() if name not in gone}


def having(labels: Labels, name: str, value: str) -> Labels:
    """Return the labels with one set; an empty value takes it away."""
    rest = without(labels, [name])
    return {**rest, name: value} if value else rest


def check_distinct(all_labels: Iterable[Labels]) -> None:
    """Check that no two elements have the same labels.

    Raises:
        Failed: two have, as after the names of two metrics were dropped.
    """
    seen = set()
    for labels in all_labels:
        one = key(labels)
        if one in seen:
            raise Failed("vector cannot contain metrics with the same labelset")
        seen.add(one)


def written(labels: Labels) -> str:
    """Write labels as messages do: `{a="1", b="2"}`."""
    name = labels.get(NAME, "")
    pairs = ", ".join(f'{k}="{v}"' for k, v in sorted(unnamed(labels).items()))
    return f"{name}{{{pairs}}}"
