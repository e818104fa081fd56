"""Floating point as Go does it: no exceptions, and its own ways to write numbers. Pure."""

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal


def safe(function: Callable[[float], float]) -> Callable[[float], float]:
    """Return the function with NaN where Python raises, and infinity where it overflows."""

    def wrapped(value: float) -> float:
        try:
            return function(value)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return wrapped


def floor(value: float) -> float:
    """Round down; infinities and NaN stay."""
    return float(math.floor(value)) if math.isfinite(value) else value


def ceil(value: float) -> float:
    """Round up; infinities and NaN stay."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def logarithm(function: Callable[[float], float]) -> Callable[[float], float]:
    """Return a logarithm that is -Inf at 0 and NaN below."""
    return lambda value: -math.inf if value == 0 else safe(function)(value)


def sinh(value: float) -> float:
    """Hyperbolic sine; overflows to the infinity of the value's sign."""
    return math.copysign(safe(math.sinh)(abs(value)), value)


def atanh(value: float) -> float:
    """Inverse hyperbolic tangent; infinite at -1 and 1."""
    return math.copysign(math.inf, value) if abs(value) == 1 else safe(math.atanh)(value)


def divide(left: float, right: float) -> float:
    """Divide; by zero it is an infinity or NaN."""
    if right:
        return left / right
    if not left or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def modulo(left: float, right: float) -> float:
    """Return the remainder with the sign of `left`."""
    try:
        return math.fmod(left, right)
    except ValueError:
        return math.nan


def power(base: float, exponent: float) -> float:
    """Raise to a power."""
    odd = math.isfinite(exponent) and exponent % 2 == 1
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base == 0:  # to a negative power
            return math.copysign(math.inf, base) if odd else math.inf
        return math.nan


def shortest(value: float) -> str:
    """Write a number in full, in as few digits as it needs: `0.000001`, `1000000`, `+Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def in_api(value: float) -> str:
    """Write a number as the HTTP API does: in full, or with an exponent where it is very long."""
    size = abs(value)
    if not math.isfinite(value) or size == 0 or 1e-6 <= size < 1e21:
        return shortest(value)
    digits, _, exponent = f"{Decimal(repr(value)):e}".partition("e")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}e{int(exponent):+03d}"  # Go writes at least two digits of an exponent


def add(value: float, total: float, lost: float) -> tuple[float, float]:
    """Add with what is lost to rounding kept aside (Kahan's summation, improved by Neumaier)."""
    new = total + value
    if math.isinf(new):
        return new, 0.0
    if abs(total) >= abs(value):
        return new, lost + ((total - new) + value)
    return new, lost + ((value - new) + total)


def total(values: Iterable[float]) -> float:
    """Return the sum."""
    found = lost = 0.0
    for value in values:
        found, lost = add(value, found, lost)
    return found if math.isinf(found) else found + lost


def mean(values: Sequence[float]) -> float:
    """Return the average; it does not overflow where the sum would."""
    found, lost, average = values[0], 0.0, 0.0
    stepwise = False
    for count, value in enumerate(values[1:], 2):
        if not stepwise:
            new, new_lost = add(value, found, lost)
            if not math.isinf(new):
                found, lost = new, new_lost
                continue
            stepwise = True
            average, lost = found / (count - 1), lost / (count - 1)
        share = (count - 1) / count
        average, lost = add(value / count, share * average, share * lost)
    return average + lost if stepwise else found / len(values) + lost / len(values)


def variance(values: Sequence[float]) -> float:
    """Return the population's variance; an infinity among the values makes it NaN."""
    average = squares = 0.0
    for count, value in enumerate(values, 1):
        delta = value - average
        average += delta / count
        squares += delta * (value - average)
    return squares / len(values)


def quantile(share: float, values: Iterable[float]) -> float:
    """Return a quantile, interpolated between the two values around it; NaN counts as smallest."""
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    if not ordered or math.isnan(share):
        return math.nan
    if share < 0:
        return -math.inf
    if share > 1:
        return math.inf
    rank = share * (len(ordered) - 1)
    lower = math.floor(rank)
    weight = rank - lower
    if weight == 0:
        return ordered[lower]
    upper = min(len(ordered) - 1, lower + 1)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight
