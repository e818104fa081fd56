"""What a row gives: figures with their spread, targets, curves; and what it is handed to do so."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal


class NotMeasured(Exception):
    """The row can't be measured here; the text says why, and what would change that."""


@dataclass(frozen=True)
class Target:
    """A bound that a figure's median must keep."""

    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool:
        """Whether the value keeps it."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        return f"≥ {self.at_least:,g}" if self.at_least is not None else f"≤ {self.at_most:,g}"


@dataclass(frozen=True)
class Figure:
    """One quantity, measured several times; the first of a row is the row's value."""

    what: str
    samples: Sequence[float]
    unit: str
    target: Target | None = None

    @property
    def median(self) -> float:
        """The middle of the samples."""
        return median(self.samples)

    @property
    def ok(self) -> bool:
        """Whether the target, if there is one, is met."""
        return self.target is None or self.target.met(self.median)


@dataclass(frozen=True)
class Curve:
    """How something grows: named lines over the same axis."""

    name: str
    """Also the file's: lower case and dashes."""
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = True


@dataclass(frozen=True)
class Measured:
    """What a row found. `notes` are sentences for the page; what is `missing` could not be
    measured, and a row with something missing is not met."""

    figures: Sequence[Figure]
    curves: Sequence[Curve] = ()
    notes: Sequence[str] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Bench:
    """What a row may use."""

    folder: Path
    """Empty, its own, removed afterwards."""
    quick: bool = False
    """Only show that it works; the figures mean nothing."""
    postgres: str = ""
    """The URL of an empty database, where a row asks for one; empty where there is none."""
    no_postgres: str = ""
    """Why there is none."""

    def size(self, full: int, quick: int) -> int:
        """Return how much to do."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Row:
    """One row of the table in the issue. `target` is its text there."""

    name: str
    what: str
    target: str
    measure: Callable[[Bench], Measured]
    unit: str
    postgres: Literal["no", "also", "only"] = "no"
    """Whether it measures on PostgreSQL: not, beside SQLite, or nothing else."""


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return one ratio a round; rounds are neighbours in time, so that both met the same noise."""
    return [one / other for one, other in zip(over, under, strict=True)]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of an ordered sequence lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
