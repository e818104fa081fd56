"""Ten thousand runs that wait for a person: what they cost, and how soon a decision counts."""

import time
from pathlib import Path

from benchmarks import load, traffic
from benchmarks.daemon import AUTO, Daemon, cpu_s, resident_mb
from benchmarks.load import Task
from benchmarks.measure import Bench, Curve, Figure, Measured, Target
from tests.servers.waiting import eventually

_SETTLE_S = 5.0


def ten_thousand(bench: Bench) -> Measured:
    """Memory and processor time of waiting runs over an idle daemon's; a decision's delay."""
    look_s = bench.size(20, 1)
    counts = (1000, 10_000) if not bench.quick else (10, 20)
    with _daemon(bench.folder / "idle") as daemon:
        _settle(bench)
        idle_mb, idle_cpu = resident_mb(daemon.process.pid), _cpu_percent(daemon, look_s)
    folder = bench.folder / "waiting"
    extra: list[tuple[float, float]] = []
    cpu = [idle_cpu]
    for count in counts:
        with _daemon(folder) as daemon:
            _fill(daemon, count)
            built_mb = resident_mb(daemon.process.pid)
        # Started anew, so that what is measured is waiting, and not what the coming of ten
        # thousand alerts left in the allocator.
        with _daemon(folder) as daemon:
            _settle(bench)
            extra.append((count, resident_mb(daemon.process.pid) - idle_mb))
            cpu.append(_cpu_percent(daemon, look_s))
            if count == counts[-1]:
                delays = [_decision_ms(daemon) for _ in range(bench.size(30, 3))]
    return Measured(
        [
            Figure("memory over idle", [extra[-1][1]], "MB", Target(at_most=10)),
            Figure(
                "processor time over idle", [max(0.0, cpu[-1] - idle_cpu)], "%", Target(at_most=0.5)
            ),
            Figure("from a decision to the apply", delays, "ms", Target(at_most=50)),
            Figure("memory right after they had come, over idle", [built_mb - idle_mb], "MB"),
            Figure("processor time, idle", [idle_cpu], "%"),
        ],
        [
            Curve(
                "waiting",
                "Memory by runs that wait for approval",
                "waiting runs",
                "MB",
                {"resident": [(0.1 * counts[0], idle_mb), *((n, idle_mb + mb) for n, mb in extra)]},
            )
        ],
        ["“No measurable CPU”: within 0.5 % of one processor of the idle daemon's share."],
    )


def _daemon(folder: Path) -> Daemon:
    match = [f'alertname=~"{traffic.KNOWN}.+"']
    book = traffic.runbook(
        "known", match, [traffic.step(1)], mode="approve", approval="{timeout: 24h}"
    )
    # Limits that count the past would refuse the eleventh change within the hour.
    return Daemon(folder, {"known": book}, policy={**AUTO, "mode": "approve"})


def _fill(daemon: Daemon, count: int) -> None:
    there = _waiting(daemon)
    alerts = min(100, count - there)
    left = (count - there) // alerts
    sent = load.send(Task(daemon.port, left, connections=2, alerts=alerts, known_of_100=100))
    assert sent.statuses == {"200": left}, sent.statuses
    eventually(lambda: _waiting(daemon) == count, 600, what=f"{count} waiting runs", interval_s=1.0)


def _waiting(daemon: Daemon) -> int:
    return int(daemon.metrics().get('remediator_runs{state="awaiting_approval"}', 0))


def _decision_ms(daemon: Daemon) -> float:
    """Approve one run, and return how soon its apply begins."""
    (run,) = daemon.api("/api/v1/runs?state=awaiting_approval&limit=1")["items"]
    view = daemon.api(f"/api/v1/runs/{run['id']}")
    name = view["target"].rpartition("/")[2]
    began = time.monotonic_ns()
    answer = daemon.post(
        f"/api/v1/runs/{run['id']}/approve", {"approval_id": view["approval"]["id"]}
    )
    assert answer.status == 200, answer.text
    at = eventually(lambda: daemon.applies()[name], 10, what="the approved apply", interval_s=0.005)
    return (at - began) / 1e6


def _cpu_percent(daemon: Daemon, span_s: float) -> float:
    pid = daemon.process.pid
    before = cpu_s(pid)
    time.sleep(span_s)
    return (cpu_s(pid) - before) / span_s * 100


def _settle(bench: Bench) -> None:
    time.sleep(0.1 if bench.quick else _SETTLE_S)
