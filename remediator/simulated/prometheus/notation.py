"""promtool's notation of series: `up{job="api"}` and `1x5 0x20 _ stale 1+2x10`. Pure reading."""

import re
from collections.abc import Iterator, Mapping

from remediator.runbook import promql
from remediator.runbook.promql import Match, NotPromQL, Selector, When

MOST_SAMPLES = 20_000
"""Of one series: at one a minute, two weeks."""

# No hexadecimal ones: 0x20 is 0, and twenty times more.
_NUMBER = r"(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[iI]nf|[nN]a[nN])"
_ITEM = re.compile(
    rf"(?P<blank>_)(?:x(?P<blanks>\d+))?|(?P<stale>stale)"
    rf"|(?P<first>[+-]?{_NUMBER})(?:(?P<step>[+-]{_NUMBER})?x(?P<times>\d+))?"
)


class Stale:
    """The marker that ends a series: it is gone at once, and not after five minutes."""


STALE = Stale()

Value = float | Stale | None
"""None: nothing was scraped."""


class BadSeries(ValueError):
    """A series can't be read; the message says what is wrong."""


def parse_labels(text: str) -> Mapping[str, str]:
    """Read `up{job="api"}`; the name is the label `__name__`.

    Raises:
        BadSeries: it is no series.
    """
    try:
        expr = promql.parse(text)
    except NotPromQL as error:
        raise BadSeries(f"{text[:200]!r} is no series: {error}") from None
    if not isinstance(expr, Selector) or expr.when != When():
        raise BadSeries(f'{text[:200]!r} is no series; write name and labels, like up{{job="api"}}')
    found: dict[str, str] = {}
    for one in expr.matchers:
        if one.match is not Match.EQUAL:
            raise BadSeries(f"{text[:200]!r} is no series: a label has one value; write = for it")
        if one.name in found:
            raise BadSeries(f"{text[:200]!r} names the label {one.name} twice")
        if one.value:
            found[one.name] = one.value
    return found


def parse_values(text: str) -> list[Value]:
    """Read `1x5 0x20 _ stale 1+2x10 -3`; one for each interval.

    `1x5` is six times 1; `1+2x3` is 1 3 5 7; `_` is no sample, `_x3` three of them.

    Raises:
        BadSeries: it is no such notation.
    """
    found: list[Value] = []
    for word in text.split():
        for value in _item(word):
            if len(found) >= MOST_SAMPLES:
                raise BadSeries(f"more than {MOST_SAMPLES} samples in one series")
            found.append(value)
    return found


def _item(word: str) -> Iterator[Value]:
    match = _ITEM.fullmatch(word)
    if match is None:
        if "{{" in word or "}}" in word:
            raise BadSeries(
                "native histograms are not simulated; write the buckets as series with the label le"
            )
        raise BadSeries(f"{word[:60]!r} is no value; write 1, 1x5, 1+2x10, -1, _, _x5 or stale")
    if match["blank"]:
        yield from (None for _ in range(_count(match["blanks"] or "1")))
    elif match["stale"]:
        yield STALE
    else:
        value, step = float(match["first"]), float(match["step"] or "0")
        # A value and so many more, as promtool counts.
        for number in range(_count(match["times"] or "0") + 1):
            if number:
                value += step
            yield value


def _count(text: str) -> int:
    """Read a count; one beyond the limit is cut there, where it is found."""
    return min(int(text[:12]), MOST_SAMPLES + 1)
