"""Carrying runs: how many a second, and how soon the first change begins.

The step is `benchmark.noop`, whose plan is not empty: five steps are six commits while it applies,
and a run is eight transitions in all, each judged, journalled and audited. Limits that count the
past are off (they would hold the runs); everything else is as it ships.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import load, traffic
from benchmarks.daemon import AUTO, Daemon
from benchmarks.load import Task
from benchmarks.measure import Bench, Curve, Figure, Measured, Target, quantile
from tests.servers.waiting import eventually

_STEPS = 5
_STEPS_TRIED = (1, 2, 5, 10)


def five_steps(bench: Bench) -> Measured:
    """Runs of five no-op steps a second, from the notification to the end, on both engines."""
    on_sqlite = _five_steps(bench, bench.folder / "sqlite", "")
    curve = Curve(
        "steps",
        "Runs a second by steps in the runbook (64 at once)",
        "steps",
        "runs/s",
        {
            "SQLite": [
                (steps, _by_steps(bench, steps)) for steps in _STEPS_TRIED[: bench.size(4, 2)]
            ]
        },
    )
    figures = [Figure("on SQLite", on_sqlite, "runs/s", Target(at_least=1000))]
    if bench.postgres:
        on_postgres = _five_steps(bench, bench.folder / "postgres", bench.postgres)
        figures.append(Figure("on PostgreSQL", on_postgres, "runs/s", Target(at_least=400)))
    missing = [] if bench.postgres else [f"on PostgreSQL: {bench.no_postgres}"]
    return Measured(figures, [curve], missing=missing)


def _five_steps(bench: Bench, folder: Path, journal: str) -> list[float]:
    with _daemon(folder, _STEPS, journal=journal) as daemon:
        _runs_per_s(daemon, bench.size(200, 10))
        return [_runs_per_s(daemon, bench.size(1000, 20)) for _ in range(bench.size(3, 1))]


def _by_steps(bench: Bench, steps: int) -> float:
    with _daemon(bench.folder / f"steps-{steps}", steps) as daemon:
        _runs_per_s(daemon, bench.size(100, 5))
        return _runs_per_s(daemon, bench.size(400, 10))


def first_apply(bench: Bench) -> Measured:
    """From the notification's sending to the first apply, idle and under 500 alerts a second."""
    rounds = bench.size(3, 1)
    with _daemon(bench.folder, 1) as daemon:
        _delays_ms(daemon, 20, per_second=20.0, known_of_100=100)
        idle = [
            _delays_ms(daemon, bench.size(200, 20), per_second=20.0, known_of_100=100)
            for _ in range(rounds)
        ]
        busy = [
            _delays_ms(daemon, bench.size(10_000, 200), per_second=500.0, known_of_100=5)
            for _ in range(rounds)
        ]
    return Measured(
        [
            Figure("p99, idle", [quantile(each, 0.99) for each in idle], "ms", Target(None, 50)),
            Figure(
                "p99, under 500 alerts/s",
                [quantile(each, 0.99) for each in busy],
                "ms",
                Target(None, 250),
            ),
            Figure("median, idle", [quantile(each, 0.5) for each in idle], "ms"),
            Figure("median, under 500 alerts/s", [quantile(each, 0.5) for each in busy], "ms"),
        ],
        notes=[
            "Measured from the load's send to the action's apply, on one clock. Idle: one alert"
            " every 50 ms. Under load: 5 of 100 alerts begin a run, 25 a second."
        ],
    )


def _daemon(folder: Path, steps: int, *, journal: str = "") -> Daemon:
    each = [traffic.step(number) for number in range(1, steps + 1)]
    book = traffic.runbook("known", [f'alertname=~"{traffic.KNOWN}.+"'], each, mode="auto")
    return Daemon(folder / "daemon", {"known": book}, journal=journal, policy=AUTO)


def _runs_per_s(daemon: Daemon, runs: int) -> float:
    """Start this many runs at once, and return how many ended a second, from first to last."""
    before = {run["id"] for run in daemon.items("/api/v1/runs")}
    alerts = min(100, runs)
    sent = load.send(
        Task(daemon.port, runs // alerts, connections=4, alerts=alerts, known_of_100=100)
    )
    assert sent.statuses == {"200": runs // alerts}, sent.statuses
    ended = eventually(
        lambda: _ended(daemon) >= len(before) + runs and _ended(daemon),
        180,
        what=f"the end of {runs} runs",
        interval_s=0.25,
    )
    assert ended == len(before) + runs
    mine = [run for run in daemon.items("/api/v1/runs") if run["id"] not in before]
    assert {run["state"] for run in mine} == {"succeeded"}, mine[0]
    last = max(_at(run["ended_at"]) for run in mine)
    return runs / (last - min(_at(run["created_at"]) for run in mine)).total_seconds()


def _ended(daemon: Daemon) -> int:
    return int(
        sum(
            value
            for series, value in daemon.metrics().items()
            if series.startswith("remediator_runs_ended_total")
        )
    )


def _delays_ms(
    daemon: Daemon, alerts: int, *, per_second: float, known_of_100: int
) -> Sequence[float]:
    sent = load.send(
        Task(
            daemon.port,
            alerts,
            known_of_100=known_of_100,
            per_second=per_second,
            keep_times=True,
        )
    )
    assert sent.statuses == {"200": alerts}, sent.statuses
    expected = alerts * known_of_100 // 100

    def applied() -> dict[str, int]:
        begun = daemon.applies()
        mine = {name: at for name, at in begun.items() if name in sent.times}
        return mine if len(mine) >= expected else {}

    begun = eventually(applied, 60, what=f"{expected} applies")
    return sorted((at - sent.times[name]) / 1e6 for name, at in begun.items())


def _at(text: Any) -> datetime:
    return datetime.fromisoformat(text)
