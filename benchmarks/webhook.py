"""Taking notifications in: against the baselines, at 100 alerts a body, on PostgreSQL, in storms.

Everything is on: a bearer token, incident identity, matching over 1,000 runbooks, audit. Every
alert is new. One in a hundred is one that a runbook matches: its run begins, plans and asks for
approval while the load goes on. What the two extremes cost (no alert matches; every alert does)
is measured beside it.
"""

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks import load, traffic
from benchmarks.daemon import Daemon, baseline, forget_peak, peak_mb, resident_mb
from benchmarks.load import Task
from benchmarks.measure import Bench, Curve, Figure, Measured, Target, ratios
from tests.servers.waiting import eventually

RUNBOOKS = 1000
_KNOWN_OF_100 = 1
# As many as keep the loop busy while the disk commits; more only makes the answers later.
_CONNECTIONS = 32
# A load that is busier than this is what is being measured.
_BUSY = 0.9


def single(bench: Bench) -> Measured:
    """One alert a body."""
    rounds, requests = bench.size(5, 1), bench.size(6000, 200)
    with ExitStack() as stack:
        bare = stack.enter_context(baseline("bare", bench.folder / "bare"))
        commit = stack.enter_context(baseline("commit", bench.folder / "commit"))
        daemon = stack.enter_context(_daemon(bench))
        rates = _interleaved(
            rounds,
            {
                "bare": lambda: _rate(bare, requests),
                "commit": lambda: _rate(commit, requests // 2),
                "daemon": lambda: _rate(daemon.port, requests, known_of_100=_KNOWN_OF_100),
                "none": lambda: _rate(daemon.port, requests // 2),
                "all": lambda: _rate(daemon.port, requests // 6, known_of_100=100),
            },
        )
    return Measured(
        [
            Figure(
                "requests against the bare handler's",
                ratios(rates["daemon"], rates["bare"]),
                "× bare",
                Target(at_least=0.6),
            ),
            Figure(
                "requests against one commit a request",
                ratios(rates["daemon"], rates["commit"]),
                "× commit per request",
                Target(at_least=2),
            ),
            Figure("requests", rates["daemon"], "/s"),
            Figure("requests, no alert matches", rates["none"], "/s"),
            Figure("requests, every alert begins a run", rates["all"], "/s"),
            Figure("bare handler", rates["bare"], "/s"),
            Figure("one commit a request", rates["commit"], "/s"),
        ]
    )


def hundred(bench: Bench) -> Measured:
    """A hundred alerts a body, and how the rate grows with the alerts in a body."""
    rounds, requests = bench.size(5, 1), bench.size(300, 20)
    sizes = (1, 10, 100, 1000) if not bench.quick else (1, 10)
    with ExitStack() as stack:
        commit = stack.enter_context(baseline("commit", bench.folder / "commit"))
        daemon = stack.enter_context(_daemon(bench))

        def ours(alerts: int, count: int) -> float:
            return _rate(daemon.port, count, alerts=alerts, known_of_100=_KNOWN_OF_100)

        rates = _interleaved(
            rounds,
            {
                "commit": lambda: _rate(commit, requests, alerts=100),
                "daemon": lambda: ours(100, requests),
            },
        )
        curve = {
            size: (
                size * ours(size, max(20, requests * 30 // size)),
                size * _rate(commit, max(20, requests * 30 // size), alerts=size),
            )
            for size in sizes
        }
    return Measured(
        [
            Figure("alerts", [100 * r for r in rates["daemon"]], "alerts/s", Target(10_000)),
            Figure(
                "requests against one commit a request",
                ratios(rates["daemon"], rates["commit"]),
                "× commit per request",
                Target(at_least=2),
            ),
            Figure("one commit a request", [100 * r for r in rates["commit"]], "alerts/s"),
        ],
        [
            Curve(
                "alerts-per-body",
                "Alerts a second by alerts in a body",
                "alerts in a body",
                "alerts/s",
                {
                    "remediator": [(size, ours) for size, (ours, _) in curve.items()],
                    "one commit a request": [(size, other) for size, (_, other) in curve.items()],
                },
            )
        ],
    )


def postgres(bench: Bench) -> Measured:
    """One alert a body on PostgreSQL, against SQLite on the same machine."""
    rounds, requests = bench.size(5, 1), bench.size(3000, 100)
    with ExitStack() as stack:
        sqlite = stack.enter_context(_daemon(bench))
        other = stack.enter_context(_daemon(bench, journal=bench.postgres))

        def rate(daemon: Daemon) -> Callable[[], float]:
            return lambda: _rate(daemon.port, requests, known_of_100=_KNOWN_OF_100)

        rates = _interleaved(rounds, {"sqlite": rate(sqlite), "postgres": rate(other)})
    return Measured(
        [
            Figure(
                "requests against SQLite's",
                ratios(rates["postgres"], rates["sqlite"]),
                "× SQLite",
                Target(at_least=0.5),
            ),
            Figure("requests on PostgreSQL", rates["postgres"], "/s"),
            Figure("requests on SQLite", rates["sqlite"], "/s"),
        ]
    )


def storm(bench: Bench) -> Measured:
    """Twenty thousand alerts in one body: answered, and what it takes in memory."""
    alerts, rounds = bench.size(20_000, 500), bench.size(3, 1)
    extra, took, sizes = [], [], []
    for number in range(rounds):
        with _daemon(bench, name=f"storm-{number}") as daemon:
            pid = daemon.process.pid
            _rate(daemon.port, 200)  # connections, statements and pages are there
            before = resident_mb(pid)
            forget_peak(pid)
            body = traffic.Bodies(alerts, known_of_100=_KNOWN_OF_100).next()
            sent = load.send(
                Task(daemon.port, 1, connections=1, alerts=alerts, known_of_100=_KNOWN_OF_100)
            )
            assert sent.statuses == {"200": 1}, sent.statuses
            extra.append(peak_mb(pid) - before)
            took.append(sent.seconds)
            sizes.append(len(body) / 2**20)
            _all_open(daemon, alerts + 200)
    return Measured(
        [
            Figure("peak memory over what it held before", extra, "MB", Target(at_most=300)),
            Figure("time to the answer", took, "s"),
            Figure("the body", sizes, "MiB"),
        ]
    )


def _all_open(daemon: Daemon, incidents: int) -> None:
    eventually(
        lambda: daemon.metrics()["remediator_incidents_open"] == incidents,
        60,
        what="every alert of the storm as an open incident",
    )


def _daemon(bench: Bench, *, journal: str = "", name: str = "") -> Daemon:
    runbooks = traffic.usual_runbooks(bench.size(RUNBOOKS, 50), mode="approve")
    folder = bench.folder / (name or ("postgres" if journal else "daemon"))
    return Daemon(folder, runbooks, journal=journal)


def _rate(port: int, requests: int, *, alerts: int = 1, known_of_100: int = 0) -> float:
    task = Task(port, requests, connections=_CONNECTIONS, alerts=alerts, known_of_100=known_of_100)
    sent = load.send(task)
    assert sent.statuses == {"200": requests}, f"not every request was answered: {sent.statuses}"
    assert sent.busy < _BUSY, f"the load was busy for {sent.busy:.0%} of the time: it is the limit"
    return sent.per_second


def _interleaved(rounds: int, subjects: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure each subject in turn, again and again; a first round warms up and does not count."""
    for measure in subjects.values():
        measure()
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, measure in subjects.items():
            found[name].append(measure())
    return found
