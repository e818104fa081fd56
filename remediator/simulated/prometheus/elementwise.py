"""Functions that take each element by itself: roots, roundings, parts of a date. Pure."""

import math
from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from remediator.simulated.prometheus import numbers
from remediator.simulated.prometheus.numbers import logarithm, safe

Function = Callable[[float], float]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _sign(value: float) -> float:
    return math.copysign(1, value) if value else value


MATH: Mapping[str, Function] = {
    "abs": abs,
    "ceil": numbers.ceil,
    "floor": numbers.floor,
    "exp": safe(math.exp),
    "sqrt": safe(math.sqrt),
    "ln": logarithm(math.log),
    "log2": logarithm(math.log2),
    "log10": logarithm(math.log10),
    "sin": safe(math.sin),
    "cos": safe(math.cos),
    "tan": safe(math.tan),
    "asin": safe(math.asin),
    "acos": safe(math.acos),
    "atan": math.atan,
    "sinh": numbers.sinh,
    "cosh": safe(math.cosh),
    "tanh": math.tanh,
    "asinh": math.asinh,
    "acosh": safe(math.acosh),
    "atanh": numbers.atanh,
    "rad": lambda value: value * (math.pi / 180),
    "deg": lambda value: value * (180 / math.pi),
    "sgn": lambda value: value if math.isnan(value) else _sign(value),
}


def rounded(value: float, to_nearest: float) -> float:
    """Round to a multiple; ties go up."""
    inverse = numbers.divide(1.0, to_nearest)
    return numbers.divide(numbers.floor(value * inverse + 0.5), inverse)


def clamped(value: float, low: float, high: float) -> float:
    """Hold a value between two bounds; NaN stays, and a bound that is NaN makes it NaN."""
    if any(math.isnan(one) for one in (value, low, high)):
        return math.nan
    return max(low, min(high, value))


def _of_date(part: Callable[[datetime], int]) -> Function:
    """Return a part of the time that a value is, in seconds since 1970; NaN where it is none."""

    def found(value: float) -> float:
        try:
            return float(part(_EPOCH + timedelta(seconds=int(value))))
        except (ValueError, OverflowError):
            return math.nan

    return found


DATES: Mapping[str, Function] = {
    "minute": _of_date(lambda at: at.minute),
    "hour": _of_date(lambda at: at.hour),
    "day_of_week": _of_date(lambda at: at.isoweekday() % 7),
    "day_of_month": _of_date(lambda at: at.day),
    "day_of_year": _of_date(lambda at: at.timetuple().tm_yday),
    "days_in_month": _of_date(lambda at: monthrange(at.year, at.month)[1]),
    "month": _of_date(lambda at: at.month),
    "year": _of_date(lambda at: at.year),
}
