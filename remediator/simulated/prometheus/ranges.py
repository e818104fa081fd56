"""Functions over a range of one series' samples: `rate`, `deriv`, `avg_over_time` and their like.

Each takes the samples and how they were asked for, and gives a value, or None where there is too
little to say. Pure. The extrapolation of `rate` is Prometheus's: to the range's ends where the
samples come near, else half a sample's distance.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from remediator.simulated.prometheus import numbers
from remediator.simulated.prometheus.series import Point
from remediator.simulated.prometheus.vectors import Failed


@dataclass(frozen=True, slots=True)
class Asked:
    """How samples were asked for.

    Args:
        start_ms: where the range begins.
        end_ms: where it ends.
        now_ms: the time of the evaluation, without offset.
        given: the function's other arguments, in order.
    """

    start_ms: int
    end_ms: int
    now_ms: int
    given: tuple[float, ...]


Points = Sequence[Point]
RangeFunction = Callable[[Points, Asked], float | None]

# Above this multiple of the samples' distance, a gap at the range's end is a series' end.
_NEAR = 1.1


def _extrapolated(points: Points, asked: Asked, *, counter: bool) -> float | None:
    if len(points) < 2:
        return None
    (first_ms, first), (last_ms, last) = points[0], points[-1]
    grown = last - first
    if counter:
        grown += _lost_to_resets(points)
    sampled_s = (last_ms - first_ms) / 1000
    distance_s = sampled_s / (len(points) - 1)
    to_start_s = (first_ms - asked.start_ms) / 1000
    to_end_s = (asked.end_ms - last_ms) / 1000
    if to_start_s >= distance_s * _NEAR:
        to_start_s = distance_s / 2
    if counter and grown > 0 and first >= 0:
        # A counter was never below zero: it began where its line meets zero.
        to_start_s = min(to_start_s, sampled_s * (first / grown))
    if to_end_s >= distance_s * _NEAR:
        to_end_s = distance_s / 2
    return grown * ((sampled_s + to_start_s + to_end_s) / sampled_s)


def _lost_to_resets(points: Points) -> float:
    before = itertools.pairwise(points)
    return sum(old for (_, old), (_, new) in before if new < old)


def _rate(points: Points, asked: Asked) -> float | None:
    grown = _extrapolated(points, asked, counter=True)
    return None if grown is None else grown / ((asked.end_ms - asked.start_ms) / 1000)


def _increase(points: Points, asked: Asked) -> float | None:
    return _extrapolated(points, asked, counter=True)


def _delta(points: Points, asked: Asked) -> float | None:
    return _extrapolated(points, asked, counter=False)


def _irate(points: Points, _: Asked) -> float | None:
    if len(points) < 2:
        return None
    (before_ms, before), (last_ms, last) = points[-2:]
    grown = last if last < before else last - before
    return grown / ((last_ms - before_ms) / 1000)


def _idelta(points: Points, _: Asked) -> float | None:
    return None if len(points) < 2 else points[-1][1] - points[-2][1]


def _line(points: Points, zero_ms: int) -> tuple[float, float]:
    """Return slope per second and height at `zero_ms` of the line through the samples."""
    values = [value for _, value in points]
    if all(value == values[0] for value in values):
        return (math.nan, math.nan) if math.isinf(values[0]) else (0.0, values[0])
    times_s = [(at_ms - zero_ms) / 1000 for at_ms, _ in points]
    count = len(points)
    x, y = numbers.total(times_s), numbers.total(values)
    xy = numbers.total(t * v for t, v in zip(times_s, values, strict=True))
    xx = numbers.total(t * t for t in times_s)
    slope = numbers.divide(xy - x * y / count, xx - x * x / count)
    return slope, y / count - slope * x / count


def _deriv(points: Points, _: Asked) -> float | None:
    return None if len(points) < 2 else _line(points, points[0][0])[0]


def _predict_linear(points: Points, asked: Asked) -> float | None:
    if len(points) < 2:
        return None
    slope, height = _line(points, asked.now_ms)
    return slope * asked.given[0] + height


def _resets(points: Points, _: Asked) -> float:
    pairs = itertools.pairwise(points)
    return float(sum(new < old for (_, old), (_, new) in pairs))


def _changes(points: Points, _: Asked) -> float:
    pairs = itertools.pairwise(points)
    return float(
        sum(
            new != old and not (math.isnan(new) and math.isnan(old)) for (_, old), (_, new) in pairs
        )
    )


def _smoothed(points: Points, asked: Asked) -> float | None:
    """Holt and Winters' double exponential smoothing."""
    for name, factor in zip(("smoothing", "trend"), asked.given, strict=True):
        if not 0 < factor < 1:
            raise Failed(f"invalid {name} factor. Expected: 0 < factor < 1, got: {factor:f}")
    smoothing, trending = asked.given
    if len(points) < 2:
        return None
    before, level = 0.0, points[0][1]
    trend = points[1][1] - points[0][1]
    for number, (_, value) in enumerate(points[1:]):
        if number:
            trend = trending * (level - before) + (1 - trending) * trend
        before, level = level, smoothing * value + (1 - smoothing) * (level + trend)
    return level


def largest(values: Sequence[float]) -> float:
    """Return the largest; NaN only where there is nothing else."""
    return max((v for v in values if not math.isnan(v)), default=math.nan)


def smallest(values: Sequence[float]) -> float:
    """Return the smallest; NaN only where there is nothing else."""
    return min((v for v in values if not math.isnan(v)), default=math.nan)


def _deviation(values: Sequence[float]) -> float:
    """Return the median absolute deviation."""
    if any(math.isnan(value) for value in values):
        return math.nan
    median = numbers.quantile(0.5, values)
    return numbers.quantile(0.5, [abs(value - median) for value in values])


def _of_values(function: Callable[[Sequence[float]], float]) -> RangeFunction:
    return lambda points, _: function([value for _, value in points])


def _time_of(best: Callable[[Sequence[float]], float]) -> RangeFunction:
    """Return when the best value was there last, in seconds."""

    def found(points: Points, _: Asked) -> float:
        wanted = best([value for _, value in points])
        times = [at for at, v in points if v == wanted or math.isnan(wanted)]
        return times[-1] / 1000

    return found


FUNCTIONS: Mapping[str, RangeFunction] = {
    "rate": _rate,
    "increase": _increase,
    "delta": _delta,
    "irate": _irate,
    "idelta": _idelta,
    "deriv": _deriv,
    "predict_linear": _predict_linear,
    "resets": _resets,
    "changes": _changes,
    "double_exponential_smoothing": _smoothed,
    "avg_over_time": _of_values(numbers.mean),
    "sum_over_time": _of_values(numbers.total),
    "count_over_time": lambda points, _: float(len(points)),
    "min_over_time": _of_values(smallest),
    "max_over_time": _of_values(largest),
    "stddev_over_time": _of_values(lambda values: math.sqrt(numbers.variance(values))),
    "stdvar_over_time": _of_values(numbers.variance),
    "mad_over_time": _of_values(_deviation),
    "quantile_over_time": lambda points, asked: numbers.quantile(
        asked.given[0], [value for _, value in points]
    ),
    "present_over_time": lambda points, _: 1.0,
    "last_over_time": lambda points, _: points[-1][1],
    "first_over_time": lambda points, _: points[0][1],
    "ts_of_last_over_time": lambda points, _: points[-1][0] / 1000,
    "ts_of_first_over_time": lambda points, _: points[0][0] / 1000,
    "ts_of_max_over_time": _time_of(largest),
    "ts_of_min_over_time": _time_of(smallest),
}
KEEP_NAME = frozenset({"last_over_time", "first_over_time"})
"""These give a sample as it is, so the series keeps its name."""
