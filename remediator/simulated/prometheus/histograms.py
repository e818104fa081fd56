"""Quantiles of classic histograms: series of buckets with the label `le`. Pure."""

import math
from collections.abc import Sequence

from remediator.simulated.prometheus.series import Labels, key
from remediator.simulated.prometheus.vectors import Element, Vector, unnamed, without

_BUCKET = "le"
# Relative differences of neighbouring buckets below this come from rounding.
_ROUNDING = 1e-12

Bucket = tuple[float, float]
"""Upper bound, and how many observations were at most that."""


def quantiles(share: float, elements: Vector) -> tuple[Vector, list[str]]:
    """Return a quantile for each histogram among buckets, and what Prometheus warns of."""
    found: dict[tuple[tuple[str, str], ...], tuple[Labels, list[Bucket]]] = {}
    warnings = []
    for one in elements:
        bound = _bound(one.labels.get(_BUCKET, ""))
        if bound is None:
            warnings.append(
                f'PromQL warning: bucket label "le" is missing or has a malformed value of '
                f'"{one.labels.get(_BUCKET, "")}"'
            )
            continue
        rest = without(one.labels, [_BUCKET])
        found.setdefault(key(rest), (rest, []))[1].append((bound, one.value))
    return [
        Element(unnamed(labels), quantile(share, buckets)) for labels, buckets in found.values()
    ], warnings


def quantile(share: float, buckets: Sequence[Bucket]) -> float:
    """Return a quantile, on the assumption that each bucket is filled evenly."""
    if math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    merged = _monotonic(_merged(buckets))
    if merged[-1][0] != math.inf or len(merged) < 2 or not merged[-1][1]:
        return math.nan
    rank = share * merged[-1][1]
    index = next((i for i, (_, count) in enumerate(merged[:-1]) if count >= rank), len(merged) - 1)
    upper, count = merged[index]
    if index == len(merged) - 1:
        return merged[-2][0]
    if index == 0 and upper <= 0:
        return upper
    lower, before = merged[index - 1] if index else (0.0, 0.0)
    if count == before:  # an empty first bucket, asked for the smallest
        return math.nan
    return lower + (upper - lower) * ((rank - before) / (count - before))


def _bound(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _merged(buckets: Sequence[Bucket]) -> list[Bucket]:
    counts: dict[float, float] = {}
    for bound, count in buckets:
        counts[bound] = counts.get(bound, 0.0) + count
    return sorted(counts.items())


def _monotonic(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Let no bucket hold less than one below it, nor more by what is rounding."""
    found = [buckets[0]]
    most = buckets[0][1]
    for bound, count in buckets[1:]:
        if count > most and not math.isclose(count, most, rel_tol=_ROUNDING):
            most = count
        found.append((bound, count if math.isnan(count) else most))
    return found
