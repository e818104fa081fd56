"""The series that a simulated Prometheus holds: samples by time, found by matchers. Knows no PromQL
beyond selectors."""

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import re2

from remediator.runbook.promql import LabelMatcher, Match
from remediator.simulated.prometheus.notation import STALE, Stale, Value

Labels = Mapping[str, str]
Point = tuple[int, float]
"""Time in milliseconds since 1970, and the value."""


class BadQuery(ValueError):
    """A query is no query; Prometheus answers 400."""


@dataclass(slots=True)
class Series:
    """One series: its samples in the order of time."""

    labels: Labels
    times_ms: list[int] = field(default_factory=list)
    values: list[float | Stale] = field(default_factory=list)

    def last(self, from_ms: int, to_ms: int) -> Point | None:
        """Return the newest sample from one time to the other (both in), unless it is stale."""
        index = bisect_right(self.times_ms, to_ms) - 1
        if index < 0 or self.times_ms[index] < from_ms:
            return None
        value = self.values[index]
        return None if isinstance(value, Stale) else (self.times_ms[index], value)

    def between(self, from_ms: int, to_ms: int) -> list[Point]:
        """Return the samples from one time to the other (both in), without stale ones."""
        first, end = bisect_left(self.times_ms, from_ms), bisect_right(self.times_ms, to_ms)
        return [
            (time, value)
            for time, value in zip(self.times_ms[first:end], self.values[first:end], strict=True)
            if not isinstance(value, Stale)
        ]

    def write(self, values: Iterable[Value], start_ms: int, interval_ms: int) -> None:
        """Let these samples follow from `start_ms` on; what was to come from then on is gone."""
        cut = bisect_left(self.times_ms, start_ms)
        del self.times_ms[cut:], self.values[cut:]
        for number, value in enumerate(values):
            if value is not None:
                self.times_ms.append(start_ms + number * interval_ms)
                self.values.append(STALE if isinstance(value, Stale) else value)


def key(labels: Labels) -> tuple[tuple[str, str], ...]:
    """Return what makes two sets of labels the same."""
    return tuple(sorted(labels.items()))


class Store:
    """All series."""

    def __init__(self) -> None:
        self._series: dict[tuple[tuple[str, str], ...], Series] = {}

    def write(
        self, labels: Labels, values: Iterable[Value], start_ms: int, interval_ms: int
    ) -> None:
        """Let samples of a series follow from `start_ms` on; see `Series.write`."""
        found = self._series.setdefault(key(labels), Series(dict(labels)))
        found.write(values, start_ms, interval_ms)

    def select(self, matchers: Sequence[LabelMatcher]) -> list[Series]:
        """Return the series that meet every matcher, in the order of their labels.

        Raises:
            BadQuery: a regular expression is none.
        """
        tests = [(one.name, _test(one)) for one in matchers]
        return [
            self._series[labels]
            for labels in sorted(self._series)
            if all(test(self._series[labels].labels.get(name, "")) for name, test in tests)
        ]


def _test(matcher: LabelMatcher) -> Callable[[str], bool]:
    wanted = matcher.value
    match matcher.match:
        case Match.EQUAL:
            return lambda value: value == wanted
        case Match.NOT_EQUAL:
            return lambda value: value != wanted
        case Match.REGEX:
            pattern = anchored(wanted)
            return lambda value: pattern.fullmatch(value) is not None
        case Match.NOT_REGEX:
            pattern = anchored(wanted)
            return lambda value: pattern.fullmatch(value) is None


@functools.lru_cache(maxsize=256)
def anchored(pattern: str) -> "re2._Regexp[str]":
    """Compile a pattern that must match a whole value; a dot stands for a line break, too.

    Raises:
        BadQuery: it is no regular expression.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?s:{pattern})", options)
    except re2.error:
        raise BadQuery(f"error parsing regexp: {pattern}") from None
