"""A small world that actions read and change, and runbooks about it.

The actions are honest: they plan by reading, compare before they change, and can be taken back.
A test prepares trouble (`World.trouble`), illness (`World.health`) or a gate at which the next
apply waits, as a real system would bring them about.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from remediator.model.canonical import JSONObject
from remediator.model.plans import Change, Impact, Plan, Progress, Result, Settled, Target, WayBack
from remediator.model.quantities import Duration
from remediator.model.views import Note, RunView
from remediator.plugin.action import Action, ActionParams, Probe, Stale
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier, Undelivered


@dataclass
class World:
    """Named values; `made` holds every change in order: name, before, after."""

    values: dict[str, int] = field(default_factory=dict)
    made: list[tuple[str, int, int]] = field(default_factory=list)
    by_run: list[tuple[str, str, int]] = field(default_factory=list)
    """Every change as (run, name, after)."""
    health: dict[str, list[Progress]] = field(default_factory=dict)
    """What the next looks at a thing find; healthy when nothing is said."""
    trouble: dict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    """What the next calls of `plan`, `apply`, `undo` raise before they do anything."""
    after: dict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    """What the next calls raise when they have done it: a lost answer."""
    gate: asyncio.Event | None = None
    """While it is there and not set, an apply waits at it before it changes anything."""
    at_gate: int = 0
    mute: set[str] = field(default_factory=set)
    """Calls (`plan`, `apply`, `undo`) that do their work and never answer."""
    in_hand: list[str] = field(default_factory=list)
    """What is being changed or settles now."""
    most_in_hand: int = 0
    met: list[str] = field(default_factory=list)
    """What was changed while it was in hand already."""
    reading: int = 0
    most_reading: int = 0

    def get(self, name: str) -> int:
        """A value; 0 when nobody set it."""
        return self.values.get(name, 0)

    def set(self, name: str, value: int, run_id: str) -> None:
        """Change one, on record."""
        self.made.append((name, self.get(name), value))
        self.by_run.append((run_id, name, value))
        self.values[name] = value

    def begins(self, name: str) -> None:
        """Note that a change of this begins."""
        if name in self.in_hand:
            self.met.append(name)
        self.in_hand.append(name)
        self.most_in_hand = max(self.most_in_hand, len(self.in_hand))

    def rests(self, name: str) -> None:
        """Note that it is at rest, well or not."""
        if name in self.in_hand:
            self.in_hand.remove(name)

    async def answer(self, call: str) -> None:
        """Answer, unless this call never does."""
        if call in self.mute:
            await asyncio.Event().wait()

    def meet(self, troubles: Mapping[str, list[Exception]], call: str) -> None:
        """Raise what was prepared for this call."""
        if troubles.get(call):
            raise troubles[call].pop(0)


class SetValue(Action["SetValue.Params"]):
    """Sets a value."""

    name = "world.set"
    summary = "Set a value of the small world."
    example = "{name: a, to: 1}"

    class Params(ActionParams):
        """What to set."""

        name: str
        to: int
        lasts: Duration | None = None
        way_back: bool = True
        checkable: bool = True
        pods: int = 1

    def __init__(self, world: World) -> None:
        self.world = world

    async def plan(self, params: Params, ctx: Context) -> Plan:
        """Read."""
        self.world.meet(self.world.trouble, "plan")
        await self.world.answer("plan")
        before = self.world.get(params.name)
        changes = () if before == params.to else (Change("value", before, params.to),)
        return Plan(
            action=self.name,
            target=Target("world", "Thing", "here", params.name, uid=params.name),
            changes=changes,
            impact=Impact(pods=params.pods, of_pods=params.pods),
            summary=f"{before} → {params.to}",
            way_back=WayBack(f"{params.to} → {before}") if params.way_back else None,
            no_way_back="" if params.way_back else "it can't be unset",
            checkable=params.checkable,
            lasts=params.lasts,
        )

    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """Compare, then change."""
        world, name = self.world, plan.target.name
        call = "undo" if plan.no_way_back == "this plan is itself a way back" else "apply"
        world.begins(name)
        try:
            return await self._apply(plan, ctx, call)
        except BaseException:
            world.rests(name)
            raise

    async def _apply(self, plan: Plan, ctx: Context, call: str) -> Result:
        world, name = self.world, plan.target.name
        world.meet(world.trouble, call)
        if world.gate is not None and call == "apply":
            world.at_gate += 1
            await world.gate.wait()
        (change,) = plan.changes
        assert isinstance(change.after, int)
        if plan.checkable:
            if world.get(name) == change.after:
                return Result(f"{name} is {change.after} already", changed=False)
            if world.get(name) != change.before:
                raise Stale(f"{name} is {world.get(name)}, and was {change.before}")
        world.set(name, change.after, ctx.run_id)
        world.meet(world.after, call)
        await world.answer(call)
        return Result(f"{name} is {change.after}", output={"value": change.after})

    async def settled(self, plan: Plan, ctx: Context) -> Settled:
        """Look."""
        (change,) = plan.changes
        found = self.world.get(plan.target.name)
        if plan.checkable and found != change.after:
            self.world.rests(plan.target.name)
            return Settled(Progress.FAILED, f"it is {found}, and not {change.after}")
        looks = self.world.health.get(plan.target.name)
        progress = looks.pop(0) if looks else Progress.HEALTHY
        if progress is not Progress.PROGRESSING:
            self.world.rests(plan.target.name)
        return Settled(progress, f"it is {progress}")


class IsValue(Probe["IsValue.Params"]):
    """Looks at a value."""

    name = "world.is"
    summary = "Look at a value of the small world."
    example = "{name: a, value: 1}"
    Output = {"value": "int"}  # noqa: RUF012 - as the contract declares it

    class Params(ActionParams):
        """What it should be."""

        name: str
        value: int
        must: bool = True

    def __init__(self, world: World) -> None:
        self.world = world

    async def probe(self, params: Params, ctx: Context) -> Result:
        """Read."""
        world = self.world
        world.reading += 1
        world.most_reading = max(world.most_reading, world.reading)
        await asyncio.sleep(0)
        world.reading -= 1
        world.meet(world.trouble, "probe")
        value = self.world.get(params.name)
        return Result(
            f"{params.name} is {value}",
            ok=value == params.value or not params.must,
            output={"value": value},
        )


class Recorder(Notifier):
    """Keeps what it was told; `down` makes it fail for a while."""

    name = "recorder"

    def __init__(self) -> None:
        self.told: list[Note] = []
        self.down = 0

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Keep it."""
        if self.down:
            self.down -= 1
            raise Undelivered("not now", after=timedelta(seconds=5))
        self.told.append(note)
        return {"count": len(self.told)}


class Pager(Recorder):
    """Is told of escalations alone."""

    name = "pager"
    escalates = True


Step = dict[str, Any]


def setting(name: str, to: int, *, id: str | None = None, **more: Any) -> Step:  # noqa: A002 - as the runbook calls it
    """A step that sets a value; `if_`, `timeout`, `retry`, `for_each`, `most`, `parallel` are the
    step's, the rest parameters."""
    return _step("world.set", id or name, {"name": name, "to": to}, more)


def being(name: str, value: int, *, id: str | None = None, **more: Any) -> Step:  # noqa: A002 - likewise
    """A step that looks at a value."""
    return _step("world.is", id or f"look-{name}", {"name": name, "value": value}, more)


_OWN = ("if_", "timeout", "retry", "for_each", "most", "parallel")


def using(used: str, /, *, id: str | None = None, **more: Any) -> Step:  # noqa: A002 - likewise
    """A step that uses a fragment."""
    step = _step("", id or used, {}, more)
    del step["action"]
    return {**step, "use": used}


def group(*steps: Step, id: str = "both", **more: Any) -> Step:  # noqa: A002 - likewise
    """Steps that may run at once."""
    return {"id": id, "steps": list(steps), **more}


def _step(action: str, step_id: str, params: dict[str, Any], more: dict[str, Any]) -> Step:
    step = {"id": step_id, "action": action, "with": params}
    for key, value in more.items():
        own = key in _OWN
        (step if own else params)[key.rstrip("_")] = value
    return step


def runbook(*steps: Step, name: str = "repair", mode: str = "auto", **more: Any) -> str:
    """A runbook for the alert `Broken`."""
    spec = {
        "name": name,
        "description": "Sets values.",
        "match": ['alertname="Broken"'],
        "mode": mode,
        "steps": list(steps),
        **{key.rstrip("_"): value for key, value in more.items()},
    }
    return json.dumps(spec)


def fragment(*steps: Step, name: str, **more: Any) -> str:
    """Steps for others to use."""
    return json.dumps({"name": name, "description": "Some steps.", "steps": list(steps), **more})


def together(*documents: str) -> str:
    """One source of several documents: a runbook, and what it uses."""
    return "\n---\n".join(documents)


def operations(world: World) -> Sequence[Any]:
    """What the runbooks may use."""
    return (SetValue(world), IsValue(world))
