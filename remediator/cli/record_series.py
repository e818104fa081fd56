"""The series behind a plan's queries: asked for raw, and written on a grid in promtool's notation.

A constant would give a plain selector its value, but not a rate: where a query looks back, so does
this, and the test begins that much earlier.
"""

import itertools
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from remediator.clients.errors import ClientError
from remediator.rehearsal.recording import Series
from remediator.runbook import promql
from remediator.runbook.promql import Expr, NotPromQL, Selector, Subquery, Window

Ask = Callable[[str], Awaitable[Sequence[Any]]]
"""Asks Prometheus a query for now; gives the result's items as its API has them."""

_LOOKBACK_S = 300
# Samples of one series; a longer look back gets a coarser grid.
_MOST_SAMPLES = 400
_MOST_SERIES = 500
_GOES_ON = 240
"""So many intervals after the recording the last value stays."""


async def series(
    queries: Iterable[str], ask: Ask, now: datetime, also: timedelta = timedelta()
) -> Series:
    """Return what these queries read, and so much further back."""
    selectors: dict[str, float] = {}
    doubts: list[str] = []
    for query in dict.fromkeys(queries):
        try:
            for selector, back_s in _selectors(promql.parse(query), 0.0):
                text = _written(selector)
                selectors[text] = max(back_s, selectors.get(text, 0.0))
        except NotPromQL as error:
            doubts.append(f"A query could not be read, so its series are missing: {error}")
    back_s = max(selectors.values(), default=0.0) + also.total_seconds()
    back_s = math.ceil(back_s / 60) * 60
    found: dict[str, list[tuple[float, str]]] = {}
    for text in selectors:
        asked = f"{text}[{int(back_s) + _LOOKBACK_S}s]"
        try:
            items = await ask(asked)
        except ClientError as error:
            doubts.append(f"The series of {text} could not be had: {error}")
            continue
        for item in items:
            found[_named(item["metric"])] = [
                (float(at), str(v)) for at, v in item.get("values", ())
            ]
    if len(found) > _MOST_SERIES:
        doubts.append(f"Only {_MOST_SERIES} of {len(found)} series were kept.")
    kept = {name: samples for name, samples in list(found.items())[:_MOST_SERIES] if samples}
    lead = timedelta(seconds=back_s)
    step_s = _step_s(kept.values(), back_s)
    items = tuple((name, _values(samples, now, back_s, step_s)) for name, samples in kept.items())
    return Series(lead, timedelta(seconds=step_s), items, tuple(doubts))


def _selectors(expr: Expr, back_s: float) -> Iterator[tuple[Selector, float]]:
    """Yield the selectors of a query, with how far back each is looked at."""
    match expr:
        case Selector(when=when):
            yield expr, back_s + max(0.0, when.offset_s)
        case Window(selector, range_s):
            yield from _selectors(selector, back_s + range_s)
        case Subquery(inner, range_s, _, when):
            yield from _selectors(inner, back_s + range_s + max(0.0, when.offset_s))
        case _:
            for inner in promql.children(expr):
                yield from _selectors(inner, back_s)


def _written(selector: Selector) -> str:
    parts = (f"{m.name}{m.match.value}{_quoted(m.value)}" for m in selector.matchers)
    return "{" + ",".join(parts) + "}"


def _named(metric: dict[str, str]) -> str:
    name = metric.get(promql.NAME, "")
    labels = ",".join(f"{k}={_quoted(v)}" for k, v in sorted(metric.items()) if k != promql.NAME)
    return f"{name}{{{labels}}}" if labels or not name else name


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _step_s(found: Iterable[Sequence[tuple[float, str]]], back_s: float) -> int:
    """Return the grid's step: as the samples came, but not more of them than a file should hold."""
    gaps = [b[0] - a[0] for samples in found for a, b in itertools.pairwise(samples)]
    scraped = round(median(gaps)) if gaps and back_s else 60
    return max(1, min(scraped, 300), math.ceil(back_s / _MOST_SAMPLES))


def _values(samples: Sequence[tuple[float, str]], now: datetime, back_s: float, step_s: int) -> str:
    """Return the newest sample at each point of the grid, then the last one for a while."""
    begin = now.timestamp() - back_s
    words: list[str] = []
    position = -1
    for n in range(int(back_s // step_s) + 1):
        at = begin + n * step_s
        while position + 1 < len(samples) and samples[position + 1][0] <= at:
            position += 1
        fresh = position >= 0 and at - samples[position][0] <= _LOOKBACK_S
        words.append(samples[position][1] if fresh else "_")
    last = words[-1]
    return " ".join([*words, f"{last}x{_GOES_ON}"])
