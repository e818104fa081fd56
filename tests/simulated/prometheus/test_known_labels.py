"""Proves that what is claimed of an expression's labels before it runs (`runbook.alert_labels`)
holds for whatever it gives, for queries and series by chance."""

from datetime import timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from remediator.runbook import alert_labels, promql
from remediator.simulated.prometheus.vectors import Failed
from tests.simulated.prometheus import queries, table
from tests.simulated.prometheus.oracle import simulated


def _broken(query: str, found: list[dict[str, str]]) -> list[str]:
    """Say which claims do not hold."""
    claimed = alert_labels.carried(promql.parse(query))
    wrong = []
    for labels in found:
        for name, value in claimed.certain.items():
            if name not in labels or value not in (None, labels[name]):
                wrong.append(f"{query}: {name}={value} is certain, but there is {labels}")
        wrong += [
            f"{query}: {name} can't be, but there is {labels}"
            for name in labels
            if not claimed.may(name)
        ]
    return wrong


def _labels(series: dict[str, str], query: str, at: timedelta) -> list[dict[str, str]]:
    try:
        result, _ = simulated(series, at).evaluate(query)
    except Failed:
        return []
    return [dict(one.labels) for one in result] if isinstance(result, list) else []


@given(queries.series(), st.lists(queries.query(), min_size=5, max_size=15), st.integers(0, 1200))
@settings(max_examples=80, deadline=None)
def test_claims_hold_for_queries_by_chance(
    series: dict[str, str], asked: list[str], at_s: int
) -> None:
    wrong = []
    for query in asked:
        found = _labels(series, query, timedelta(seconds=at_s))
        event(f"elements: {min(len(found), 3)}")
        wrong += _broken(query, found)
    assert wrong == []


def test_claims_hold_for_the_table() -> None:
    wrong = []
    for kind, asked in table.QUERIES.items():
        if kind != "wrong":
            for query in asked:
                try:
                    wrong += _broken(query, _labels(table.SERIES, query, timedelta(minutes=30)))
                except promql.NotPromQL:
                    assert query == "max_over_time(time()[5m:1m])"
    assert wrong == []
