"""The daemon does not grow: a minute of mixed load here, half an hour by `make soak`; and the rule
that says so finds what grows."""

import asyncio
from pathlib import Path

from benchmarks.soak import Soak, judge

_MINUTES = 1.0


def test_a_minute_of_mixed_load_leaves_memory_files_threads_and_tasks_flat(
    tmp_path: Path,
) -> None:
    soak = Soak(tmp_path)
    with soak.daemon:
        asyncio.run(soak.run(_MINUTES, sample_s=1.0))
        samples = soak.daemon.metrics()
    assert not soak.unexpected, soak.daemon.log_tail()
    verdicts = judge(soak.samples)
    assert all(verdict.flat for verdict in verdicts), "\n".join(map(str, verdicts))
    ended = {series for series in samples if series.startswith("remediator_runs_ended_total")}
    for state in ("succeeded", "cancelled", "denied", "expired"):
        assert any(f'state="{state}"' in series for series in ended), f"no run was {state}"


def sample(resident: float, files: float = 30, tasks: float = 12) -> dict[str, float]:
    return {"resident MB": resident, "open files": files, "threads": 9, "tasks": tasks}


def growing(what: list[dict[str, float]]) -> list[str]:
    return [verdict.what for verdict in judge(what) if not verdict.flat]


def test_the_rule_forgives_the_beginning_and_finds_what_grows() -> None:
    warming = [sample(60 + n) for n in range(40)]
    assert growing(warming + [sample(100)] * 80) == []
    assert growing([sample(100 + n * 0.2) for n in range(120)]) == ["resident MB"]
    assert growing([sample(100, files=30 + n) for n in range(120)]) == ["open files"]
    assert growing([sample(100, tasks=12 + n) for n in range(120)]) == ["tasks"]
    spikes = [sample(300 if n % 10 == 0 else 100) for n in range(120)]
    assert growing(spikes) == []
