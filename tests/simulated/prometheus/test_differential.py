"""Proves that the simulated Prometheus answers as the real ones do: as Prometheus 3's own engine,
and, with ranges closed on the left, as promtool 2; for a table of queries that uses all that is
simulated, for queries by chance, and for those of the shipped runbooks."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.runbook import promql
from remediator.simulated.prometheus.evaluating import Rules
from tests.simulated.prometheus import queries, table
from tests.simulated.prometheus.oracle import Engine, Said, differences, ours, promtool, simulated

TIMES = [
    timedelta(minutes=30), timedelta(minutes=23, seconds=17), timedelta(minutes=4),
    timedelta(minutes=51, milliseconds=1), timedelta(0),
]  # fmt: skip
# What Prometheus 2 does not know, or does otherwise than 3 (which is what is simulated).
NOT_IN_2 = (
    "first_over_time", "mad_over_time", "ts_of_", "double_exponential_smoothing", "sort_by_label",
)  # fmt: skip
OTHERWISE_IN_2 = {
    # A dot does not stand for a line break.
    "flag{a=~": "a regular expression's dot",
    # An error there, and no error here.
    "topk(NaN": "a limit that is no number",
    "topk(Inf": "likewise",
    '"a-b"': "label names beyond the classic ones",
    # A counter's zero point was looked for before its series' start was guessed.
    "rate(requests_total[1h])": "extrapolation of a series that begins inside the range",
    "increase(requests_total[1h])": "likewise",
    # Only what a filter lets through was checked to be unique.
    "up == on (job) limits": "many to one under a filter",
    "up > on (job) limits": "likewise",
    "up >= on (job) limits": "likewise",
    # The name stayed.
    "atan2": "the name after atan2",
}

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Prometheus's own."""
    made = Engine()
    yield made
    made.close()


def compared(
    series: dict[str, str],
    asked: Sequence[str],
    at: timedelta,
    real: Sequence[Said],
    rules: Rules | None = None,
) -> list[str]:
    """Say where ours differs; in order, too, where that is what a query is about."""
    made = simulated(series, at, rules)
    found = []
    for query, expected in zip(asked, real, strict=True):
        got = ours(made, query)
        if re.match("topk|bottomk", query) and _values(expected) == _values(got):
            continue  # which of equal ones is taken, is left to chance
        wrong = differences(expected, got)
        if not wrong and rules is None and query.startswith("sort"):  # promtool sorts by labels
            wrong = _disorder(query, expected, got)
        found += [f"{query} at {at}: {one}" for one in wrong]
    return found


def _disorder(query: str, expected: Said, got: Said) -> list[str]:
    by_label = query.startswith("sort_by_label")
    real, ours = (list(one.values if by_label else one.values.values()) for one in (expected, got))
    return [] if str(real) == str(ours) else [f"the order {real} and not {ours}"]


def _values(said: Said) -> list[str]:
    return sorted(str(value) for value in said.values.values())


@pytest.mark.parametrize("kind", table.QUERIES)
def test_the_table_is_answered_as_by_prometheus_3(engine: Engine, kind: str) -> None:
    asked = table.QUERIES[kind]
    wrong = []
    for at in TIMES:
        real = engine.ask(table.SERIES, asked, at)
        if at == TIMES[0] and kind != "wrong":
            assert sum(bool(one.values) for one in real) > len(real) / 2
        wrong += compared(table.SERIES, asked, at, real)
    assert wrong == []


@pytest.mark.parametrize("kind", table.QUERIES)
def test_the_table_is_answered_as_by_promtool_2(kind: str, tmp_path: Path) -> None:
    asked = [
        query
        for query in table.QUERIES[kind]
        if _is_vector(query) and not any(text in query for text in (*NOT_IN_2, *OTHERWISE_IN_2))
    ]
    wrong = []
    for at in TIMES[:2]:  # promtool loads samples as it goes: it sees none of what is to come
        real = promtool(table.SERIES, asked, at, tmp_path)
        wrong += compared(table.SERIES, asked, at, real, Rules(generation=2))
    assert wrong == []


def _is_vector(query: str) -> bool:
    """Whether promtool can test it: it refuses texts and ranges."""
    try:
        expr = promql.parse(query)
    except promql.NotPromQL:
        return True
    ranged = isinstance(expr, promql.Window | promql.Subquery | promql.Text)
    return not ranged


@given(
    queries.series(),
    st.lists(queries.query(), min_size=10, max_size=25),
    st.integers(0, 40 * 60),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_queries_by_chance_are_answered_as_by_prometheus_3(
    engine: Engine, series: dict[str, str], asked: list[str], at_s: int
) -> None:
    at = timedelta(seconds=at_s)
    assert compared(series, asked, at, engine.ask(series, asked, at)) == []


def test_the_shipped_runbooks_queries_are_answered(engine: Engine) -> None:
    asked = queries.shipped()
    assert len(asked) >= 3
    names = {
        name
        for query in asked
        for one in promql.walk(promql.parse(query))
        if isinstance(one, promql.Selector)
        for matcher in one.matchers
        if matcher.name == promql.NAME
        for name in matcher.value.split("|")
        if re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name)
    }
    labels = {
        matcher.name
        for query in asked
        for one in promql.walk(promql.parse(query))
        if isinstance(one, promql.Selector)
        for matcher in one.matchers
        if matcher.name != promql.NAME
    }
    pairs = ", ".join(f'{name}="5"' for name in sorted(labels - {"code"}))
    series = {
        f'{name}{{{pairs}, code="{code}", le="{bound}"}}': f"0+{code}x60"
        for name in sorted(names)
        for code in ("200", "500")
        for bound in ("1", "+Inf")
    }
    for at in TIMES:
        assert compared(series, asked, at, engine.ask(series, asked, at)) == []
