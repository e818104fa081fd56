"""What it costs to find an alert's runbooks, by how many runbooks there are and how they are told.

In this process: `engine.matching.candidates` for notifications of one alert, as the daemon calls it
for each. Realistic sets name their alert; the others are there to show how it degrades.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks import traffic
from benchmarks.measure import Bench, Curve, Figure, Measured, Target, ratios
from remediator.engine import matching
from remediator.model import matchers
from remediator.model.alerts import Notification
from remediator.plugin import registry as plugins
from remediator.runbook.compile import compile_runbook
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook
from remediator.sources.alertmanager import Alertmanager

SHAPES: dict[str, Callable[[int], str]] = {
    "an alert's name each": lambda n: (
        f'alertname="Known{n}", severity=~"warning|critical", namespace!="kube-system"'
    ),
    "a shared literal and a regex each": lambda n: (
        f'severity=~"warning|critical", alertname=~"Known{n}(Slow|Down)?"'
    ),
    "a regex each": lambda n: f'alertname=~"Known{n}(Slow)?|Other{n}(Slow|Down)"',
    "exclusions only": lambda n: f'namespace!="team-{n}", job!~"batch-{n}-.*"',
}
_REALISTIC = "an alert's name each"
_ALERTS = 64


def ten_thousand(bench: Bench) -> Measured:
    """The cost of one alert over 10,000 runbooks against 10."""
    rounds = bench.size(5, 1)
    few, many = 10, bench.size(10_000, 200)
    one = _one()
    notifications = _notifications()
    costs: dict[int, list[float]] = {few: [], many: []}
    indexes = {count: _index(one, _REALISTIC, count) for count in costs}
    for _ in range(rounds):
        for count, index in indexes.items():
            costs[count].append(_cost_us(index, notifications, bench.size(200, 5)))
    return Measured(
        [
            Figure(
                "cost over 10,000 runbooks against 10",
                ratios(costs[many], costs[few]),
                "×",
                Target(at_most=2),
            ),
            Figure("an alert over 10,000 runbooks", costs[many], "µs"),
            Figure("an alert over 10 runbooks", costs[few], "µs"),
        ],
        [_curve(bench, one, notifications)],
        ["“Exclusions only” can't be flat: nearly every such runbook matches nearly every alert."],
    )


def _curve(bench: Bench, one: Runbook, notifications: Sequence[Notification]) -> Curve:
    counts = (10, 100, 1000, 10_000) if not bench.quick else (10, 100)
    lines = {
        shape: [
            (float(n), _cost_us(_index(one, shape, n), notifications, bench.size(5, 1)))
            for n in counts
            # Each of them begins a run for each alert: the cost is that of the runs.
            if shape != "exclusions only" or n <= 1000
        ]
        for shape in SHAPES
    }
    return Curve("runbooks", "Matching one alert, by runbooks in force", "runbooks", "µs", lines)


def _cost_us(index: Index, notifications: Sequence[Notification], times: int) -> float:
    now = datetime.now(UTC)
    began = time.perf_counter()
    for _ in range(times):
        for notification in notifications:
            matching.candidates(notification, index, now)
    return (time.perf_counter() - began) / times / len(notifications) * 1e6


def _notifications() -> list[Notification]:
    """Return notifications of one alert each; one of four has a runbook (in the smallest set)."""
    names = [f"Known{n % 10}" if n % 4 == 0 else f"Noise{n}" for n in range(_ALERTS)]
    return [Alertmanager().parse(traffic.body([name])) for name in names]


def _one() -> Runbook:
    steps = "steps: [{id: a, action: http.check, with: {url: 'http://x'}}]"
    source = f"name: r\ndescription: d\nmatch: ['a=b']\n{steps}\n"
    return compile_runbook(source, "r.yaml", plugins.load(third_party=False))


def _index(one: Runbook, shape: str, count: int) -> Index:
    return Index(
        [
            replace(one, name=f"known-{n}", matchers=(matchers.parse(SHAPES[shape](n)),))
            for n in range(count)
        ]
    )
