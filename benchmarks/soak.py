"""`python -m benchmarks.soak --minutes 30`: a daemon under mixed load, and whether anything grows.

All at once: alerts that fire, repeat and resolve, a burst every so often, runs that act by
themselves, that people approve, deny and never answer, that resolve before they begin; reloads of
changed runbooks; lists, metrics and strangers without a token. Every few seconds the process is
looked at from outside: memory, open files, threads, and the event loop's tasks.

The rule for flat: the first third warms up; then the median of the last third is at most what the
median of the middle third was, plus an allowance (`ALLOWED`). Exits 1 when something was not flat,
or when a request was answered as it should not be.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from benchmarks import traffic
from benchmarks.daemon import AUTO, Daemon, open_files, resident_mb, threads

_AUTO, _ASK, _LATER = "SoakAuto", "SoakAsk", "SoakLater"
# What is fired is resolved so many rounds later.
_ROUNDS_OPEN = 40
_BURST = 500


@dataclass(frozen=True)
class Allowance:
    """How much the last third may lie above the middle one: the greater of share and amount."""

    share: float
    amount: float


ALLOWED: Mapping[str, Allowance] = {
    "resident MB": Allowance(0.02, 4),
    "open files": Allowance(0.0, 4),
    "threads": Allowance(0.0, 2),
    "tasks": Allowance(0.1, 10),
}


@dataclass(frozen=True)
class Verdict:
    """What one quantity did."""

    what: str
    middle: float
    last: float
    most: float

    @property
    def flat(self) -> bool:
        """Whether it stayed within its allowance."""
        allowed = ALLOWED[self.what]
        return self.last <= self.middle + max(self.middle * allowed.share, allowed.amount)

    def __str__(self) -> str:
        return (
            f"{self.what}: {'flat' if self.flat else 'GROWS'}: {self.middle:,.1f} in the middle"
            f" third, {self.last:,.1f} in the last, {self.most:,.1f} at most"
        )


def judge(samples: Sequence[Mapping[str, float]]) -> list[Verdict]:
    """Return a verdict for each quantity, from samples at equal distances."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    return [
        Verdict(
            what,
            median(one[what] for one in middle),
            median(one[what] for one in last),
            max(one[what] for one in samples),
        )
        for what in ALLOWED
    ]


class Soak:
    """One daemon, those who use it, and what was seen of it."""

    def __init__(self, folder: Path, *, seed: int = 7) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a load that can be had again
        self._books = 0
        self.daemon = Daemon(folder, self._runbooks(), policy={**AUTO, "mode": "auto"})
        self.samples: list[dict[str, float]] = []
        self.answers: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()
        self._open: deque[list[dict[str, Any]]] = deque()
        self._session: aiohttp.ClientSession

    async def run(self, minutes: float, *, sample_s: float = 5.0) -> None:
        """Use the daemon for so long."""
        until = time.monotonic() + minutes * 60
        async with (
            aiohttp.ClientSession(self.daemon.url) as self._session,
            asyncio.timeout(minutes * 60 + 120),
            asyncio.TaskGroup() as users,
        ):
            for each, every_s in (
                (self._alerts, 0.25),
                (self._burst, max(5.0, minutes * 4)),
                (self._people, 1.0),
                (self._reload, 4.0),
                (self._readers, 0.5),
                (self._stranger, 3.0),
                (self._sample, sample_s),
            ):
                users.create_task(self._again(each, every_s, until))

    async def _again(
        self, act: Callable[[], Awaitable[None]], every_s: float, until: float
    ) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(every_s)
            await act()

    # --- who uses it ----------------------------------------------------------------------

    async def _alerts(self) -> None:
        """New alerts, a repeat of some that fire, and the end of those that fired long ago."""
        names = [_AUTO, _ASK, _LATER, "Noise", "Noise"]
        fresh = [
            traffic.alert(name, f"{self._random.getrandbits(64):x}")
            for name in self._random.sample(names, 3)
        ]
        self._open.append(fresh)
        await self._post(fresh)
        await self._post(self._random.choice(self._open))
        if len(self._open) > _ROUNDS_OPEN:
            await self._post([_resolved(one) for one in self._open.popleft()])
        if self._random.random() < 0.3:
            await self._post([_resolved(one) for one in fresh])

    async def _burst(self) -> None:
        storm = [traffic.alert("Noise", f"{self._random.getrandbits(64):x}") for _ in range(_BURST)]
        await self._post(storm)
        await self._post([_resolved(one) for one in storm])

    async def _people(self) -> None:
        """Approve some, deny some, and let the others expire."""
        page = await self._get("/api/v1/runs?state=awaiting_approval&limit=1")
        for run in page["items"]:
            view = await self._get(f"/api/v1/runs/{run['id']}")
            if view["approval"] is None:
                continue
            answer = self._random.choice(["approve", "approve", "deny"])
            # A run may be decided, or its alert resolved, since it was listed: 409.
            await self._ask(
                "POST",
                f"/api/v1/runs/{run['id']}/{answer}",
                (200, 409),
                json={"approval_id": view["approval"]["id"]},
            )

    async def _reload(self) -> None:
        for name, text in self._runbooks().items():
            (self.daemon.folder / "runbooks" / f"{name}.yaml").write_text(text)
        await self._ask("POST", "/-/reload", (200,))

    async def _readers(self) -> None:
        path = self._random.choice(
            ["/api/v1/runs", "/api/v1/incidents?status=open", "/api/v1/audit", "/api/v1/runbooks"]
        )
        await self._get(path)

    async def _stranger(self) -> None:
        await self._ask("POST", "/webhook/alertmanager", (401,), data=b"{}")

    async def _sample(self) -> None:
        async with self._session.get("/metrics") as answer:
            text = await answer.text()
        (tasks,) = [line for line in text.splitlines() if line.startswith("remediator_tasks ")]
        pid = self.daemon.process.pid
        self.samples.append(
            {
                "resident MB": resident_mb(pid),
                "open files": open_files(pid),
                "threads": threads(pid),
                "tasks": float(tasks.split()[1]),
            }
        )

    # --- how it is asked ------------------------------------------------------------------

    async def _post(self, alerts: list[dict[str, Any]]) -> None:
        headers = {"Authorization": f"Bearer {traffic.TOKEN}"}
        body = json.dumps(traffic.notification(alerts)).encode()
        await self._ask("POST", "/webhook/alertmanager", (200,), data=body, headers=headers)

    async def _get(self, path: str) -> Any:
        return await self._ask("GET", path, (200,))

    async def _ask(self, method: str, path: str, expected: Sequence[int], **options: Any) -> Any:
        async with self._session.request(method, path, **options) as answer:
            what = f"{method} {path.partition('?')[0].rpartition('/')[2]} {answer.status}"
            self.answers[what] += 1
            if answer.status not in expected:
                self.unexpected[what] += 1
            return await answer.json(content_type=None)

    def _runbooks(self) -> dict[str, str]:
        """Return the runbooks, each time as new versions."""
        self._books += 1
        about = {"owner": f"team-{self._books}"}

        def book(name: str, **more: str) -> str:
            steps = [traffic.step(1), traffic.step(2)]
            return traffic.runbook(name.lower(), [f'alertname="{name}"'], steps, **about, **more)

        return {
            "auto": book(_AUTO, mode="auto"),
            "ask": book(_ASK, mode="approve", approval="{timeout: 5s}"),
            "later": book(_LATER, mode="auto", wait_for="5s"),
        }


def _resolved(alert: Mapping[str, Any]) -> dict[str, Any]:
    over = traffic.alert("", "", status="resolved")
    return {**alert, "status": "resolved", "endsAt": over["startsAt"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, say what was seen, and whether it was flat."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--sample-seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path, help="the samples and verdicts, as JSON")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="remediator-soak-") as folder:
        soak = Soak(Path(folder))
        with soak.daemon:
            asyncio.run(soak.run(given.minutes, sample_s=given.sample_seconds))
            ended = {k: v for k, v in soak.daemon.metrics().items() if "runs_ended" in k}
    verdicts = judge(soak.samples)
    print("\n".join(str(verdict) for verdict in verdicts))
    print(f"requests: {sum(soak.answers.values()):,}; runs that ended: {sum(ended.values()):,.0f}")
    for what, count in soak.unexpected.items():
        print(f"UNEXPECTED: {what}, {count} times")
    if given.out:
        found = [
            {"what": v.what, "middle": v.middle, "last": v.last, "most": v.most, "flat": v.flat}
            for v in verdicts
        ]
        given.out.write_text(json.dumps({"verdicts": found, "samples": soak.samples}, indent=1))
    return 0 if all(v.flat for v in verdicts) and not soak.unexpected else 1


if __name__ == "__main__":
    sys.exit(main())
