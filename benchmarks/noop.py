"""An action that plans, is journalled and settles like any other, and changes nothing.

Its plan is not empty, so intent and outcome are written: a run of n steps costs n + 1 commits
while it applies. The daemon loads it as it loads a stranger's plugin, through an entry point that
`daemon` puts on its path. Where `REMEDIATOR_TEST_APPLIED` names a file, each apply writes a line
there, with the time on the clock that all processes of a machine share.
"""

import os
import time
from typing import ClassVar

from remediator.model.plans import Change, Impact, Plan, Progress, Result, Settled, Target, WayBack
from remediator.plugin.action import Action, ActionParams
from remediator.plugin.context import Context

APPLIED = "REMEDIATOR_TEST_APPLIED"


class NoopParams(ActionParams):
    """Whose step this is."""

    name: str
    number: int = 1


class Noop(Action[NoopParams]):
    """Does nothing."""

    name = "benchmark.noop"
    Params: ClassVar[type[ActionParams]] = NoopParams
    summary = "Changes nothing; for measurements"
    example = "{name: api, number: 1}"

    def __init__(self) -> None:
        path = os.environ.get(APPLIED)
        self._applied = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if path else None

    async def plan(self, params: NoopParams, ctx: Context) -> Plan:
        """Plan to go from one number to the next."""
        return Plan(
            action=self.name,
            target=Target("benchmark", "Thing", "shop", params.name),
            changes=(Change(f"step.{params.number}", params.number - 1, params.number),),
            impact=Impact(note="none"),
            summary=f"step {params.number}",
            way_back=WayBack("back"),
        )

    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """Do nothing, and say when."""
        if self._applied is not None:
            os.write(self._applied, f"{plan.target.name} {time.monotonic_ns()}\n".encode())
        return Result("done")

    async def settled(self, plan: Plan, ctx: Context) -> Settled:
        """It is healthy at once."""
        return Settled(Progress.HEALTHY, "")
