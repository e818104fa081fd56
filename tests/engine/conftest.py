"""`begin(runbook, …)` starts an in-process daemon over a small world and lets an alert fire."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.history import LookBack
from remediator.model.limits import Mode
from remediator.model.policy import Breaker, Flapping, Policy, Rates, Storm
from remediator.model.runs import Run, RunState
from remediator.testing import InProcessDaemon, Setup
from tests.engine.world import Pager, Recorder, World, operations

FREE = Policy(
    mode=Mode.AUTO,
    cooldown=timedelta(),
    rate=Rates(per_runbook=(), total=()),
    storm=Storm(opened=None),
    breaker=Breaker(failures=None),
    flapping=Flapping(treated=None),
)
"""A policy that limits nothing, for tests about something else."""


class Scene:
    """A daemon, its world, and who is told."""

    def __init__(self, folder: Path, runbooks: tuple[str, ...], setup: dict[str, Any]) -> None:
        self.world = World()
        self.recorder = Recorder()
        self.pager = Pager()
        values: dict[str, Any] = {
            "operations": operations(self.world),
            "notifiers": (self.recorder, self.pager),
            "escalate_to": ("pager",),
            "policy": FREE,
            **setup,
        }
        self.daemon = InProcessDaemon(folder, runbooks, Setup(**values))

    async def fire(self, **labels: str) -> None:
        """Let `Broken` fire with these labels besides."""
        await self.daemon.fire(tell=True, alertname="Broken", **labels)

    async def clear(self, *, tell: bool = True, **labels: str) -> None:
        """Let it stop."""
        await self.daemon.clear(tell=tell, alertname="Broken", **labels)

    async def run(self) -> Run:
        """The only run."""
        (run,) = await self.daemon.runs()
        return run

    async def state(self) -> RunState:
        """The only run's state."""
        return (await self.run()).state

    async def advance(self, **span: float) -> None:
        """Let time pass."""
        await self.daemon.advance(timedelta(**span))

    async def kinds(self) -> list[str]:
        """The audit kinds of the only run, in order."""
        run = await self.run()
        return [record.entry.kind for record in await self.daemon.audit(run.id)]

    async def states(self) -> list[str]:
        """Every state of the only run, in order, out of the audit chain."""
        run = await self.run()
        return [
            str(record.entry.details["to"])
            for record in await self.daemon.audit(run.id)
            if record.entry.kind == "run.state"
        ]

    async def locks(self) -> dict[str, str]:
        """Target key → holder."""
        history = await self.daemon.journal.history(
            run_id="", look=LookBack(), at=self.daemon.clock.now()
        )
        return dict(history.locks)


Begin = Callable[..., Awaitable[Scene]]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """`await begin(*runbooks, values={…}, fire=True, **setup)`; stopped after the test."""
    async with AsyncExitStack() as stack:

        async def make(
            *runbooks: str,
            values: dict[str, int] | None = None,
            fire: bool = True,
            prepare: Callable[[Scene], None] = lambda scene: None,
            **setup: Any,
        ) -> Scene:
            scene = Scene(tmp_path, runbooks, setup)
            scene.world.values.update(values or {})
            prepare(scene)
            await scene.daemon.start()
            stack.push_async_callback(scene.daemon.stop)
            if fire:
                await scene.fire()
            return scene

        yield make


def policy(**more: Any) -> Policy:
    """`FREE` with something else in it."""
    return Policy.model_validate({**FREE.model_dump(), **more})
