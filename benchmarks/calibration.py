"""What notifications cost a replica and a database: the figures that `fleet` plays with.

Batches of known sizes are written to a real journal on PostgreSQL, one at a time, and a plane is
fitted through their times (least squares). The replica's processor is what the kernel says that a
whole daemon used under load, at one alert a body and at a hundred.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import load, traffic
from benchmarks.daemon import Daemon, cpu_s
from benchmarks.fleet import Costs
from benchmarks.load import Task
from benchmarks.noop import Noop
from remediator.engine.clock import SystemClock
from remediator.engine.intake import IntakeDesk
from remediator.engine.library import Library
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import Opening
from remediator.observe import metrics
from remediator.plugin import registry as plugins
from remediator.plugin.registry import Registry
from remediator.runbook.compile import compile_runbook

# Notifications in a batch, alerts in each.
_SHAPES = ((1, 1), (16, 1), (64, 1), (256, 1), (1, 10), (16, 10), (64, 10), (1, 100), (16, 100))
_REQUESTS = {1: 6000, 100: 300}
_KNOWN_OF_100 = 1


class Batch(NamedTuple):
    """One measured batch, in seconds."""

    notifications: int
    alerts: int
    whole_s: float
    chain_s: float
    cpu_s: float


def measure(url: str, folder: Path, *, rounds: int) -> Costs:
    """Measure on this machine, with nothing else running.

    Args:
        url: an empty journal on PostgreSQL.
        folder: where a daemon may live for a minute.
        rounds: how often each shape is written; the median counts.
    """
    batches = asyncio.run(_batches(url, rounds))
    one, hundred = _processor_s(url, folder)
    alert_s = (hundred - one) / 99
    return _fitted(batches, notification_s=max(0.0, one - alert_s), alert_s=alert_s)


def _processor_s(url: str, folder: Path) -> tuple[float, float]:
    """Return what a daemon's processes use for a body of one alert, and of a hundred."""
    daemon = Daemon(folder, traffic.usual_runbooks(1000), journal=url)
    daemon.start()
    try:
        used = []
        for alerts, requests in _REQUESTS.items():
            before = cpu_s(daemon.process.pid)
            sent = load.send(Task(daemon.port, requests, alerts=alerts, known_of_100=_KNOWN_OF_100))
            assert sent.statuses == {"200": requests}, sent.statuses
            used.append((cpu_s(daemon.process.pid) - before) / requests)
    finally:
        daemon.close()
    return used[0], used[1]


async def _batches(url: str, rounds: int) -> list[Batch]:
    clock = SystemClock()
    journal = await open_journal(url, clock, Opening("calibration"))
    try:
        desk = await _desk(journal)
        batches = []
        for notifications, alerts in _SHAPES:
            bodies = traffic.Bodies(alerts)
            timed = [
                await _one(desk, clock, [bodies.next() for _ in range(notifications)])
                for _ in range(rounds)
            ]
            whole, chain, cpu = (statistics.median(column) for column in zip(*timed, strict=True))
            batches.append(Batch(notifications, notifications * alerts, whole, chain, cpu))
    finally:
        await journal.close()
    return batches


async def _desk(journal: Journal) -> IntakeDesk:
    shipped = plugins.load(third_party=False)
    operations = {**shipped.operations, Noop.name: Noop()}
    registry = Registry(operations, shipped.sources, shipped.notifiers)
    library = Library(journal, lambda source, file: compile_runbook(source, file, registry))
    books = [
        compile_runbook(text, f"{name}.yaml", registry)
        for name, text in traffic.usual_runbooks(1000).items()
    ]
    await library.replace(books)
    return IntakeDesk(journal, library, registry.sources, lambda: None)


async def _one(
    desk: IntakeDesk, clock: SystemClock, bodies: Sequence[bytes]
) -> tuple[float, float, float]:
    """Let these be one batch; returns its seconds as a whole, at the chain, and of processor."""
    before, cpu, began = _chain_sum(), time.process_time(), time.perf_counter()
    await asyncio.gather(
        *(desk.receive("default", "alertmanager", body, clock.now()) for body in bodies)
    )
    whole = time.perf_counter() - began
    return whole, _chain_sum() - before, time.process_time() - cpu


def _chain_sum() -> float:
    samples = next(iter(metrics.CHAIN_DURATION.collect())).samples
    return sum(sample.value for sample in samples if sample.name.endswith("_sum"))


def _fitted(batches: Sequence[Batch], *, notification_s: float, alert_s: float) -> Costs:
    chain = _plane(
        [(1.0, b.notifications + b.alerts, 0.0) for b in batches], [b.chain_s for b in batches]
    )
    rest = _plane(
        [(1.0, b.notifications, b.alerts) for b in batches],
        [max(0.0, b.whole_s - b.chain_s - b.cpu_s) for b in batches],
    )
    return Costs(
        notification_s=notification_s,
        alert_s=alert_s,
        batch_s=rest[0],
        batch_notification_s=rest[1],
        batch_alert_s=rest[2],
        chain_s=chain[0],
        chain_record_s=chain[1],
    )


def _plane(
    rows: Sequence[tuple[float, float, float]], values: Sequence[float]
) -> tuple[float, float, float]:
    """Fit value = a·x + b·y + c·z with nothing below zero, by gradient on the normal equations.

    Weighted by 1 / value, so that small batches count like large ones.
    """
    weights = [1 / max(value, 1e-6) for value in values]
    fit = [0.0, 0.0, 0.0]
    for _ in range(4000):  # coordinate descent: each unknown in turn, the others held
        for k in range(3):
            over = under = 0.0
            for row, value, weight in zip(rows, values, weights, strict=True):
                others = sum(fit[j] * row[j] for j in range(3) if j != k)
                over += weight * weight * row[k] * (value - others)
                under += weight * weight * row[k] * row[k]
            fit[k] = max(0.0, over / under) if under else 0.0
    return fit[0], fit[1], fit[2]
