"""What every action owes the engine, whatever it changes: a suite to inherit.

A test class inherits `ActionContract` and gives a fixture `case`: the action, its parameters, a
world prepared for it, and three ways to look at or meddle with that world. Free of any target
system. `Bench` is the context that an action is handed in tests; its clock moves by hand.

Proves for the action: planning only reads; a plan's digest stands still while only time passes;
a plan survives the journal; applying it twice changes the world once; it settles; taking it back
restores the world, and twice is once; it refuses when somebody else has changed the world.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
import structlog
from ruamel.yaml import YAML

from remediator.model.canonical import JSON
from remediator.model.plans import Fact, Plan, Progress, Settled
from remediator.plugin.action import Action, ActionParams, AnyOperation, Permanent, Stale, Temporary
from remediator.plugin.context import Log

Client = TypeVar("Client")


class Bench:
    """A context on a workbench: clients by type, a clock that a test moves, facts in a list."""

    run_id = "run-of-a-test"

    def __init__(self, *clients: object) -> None:
        self._clients = clients
        self._now = datetime.now(UTC)
        self.known: list[Fact] = []
        self.proofs = 0

    @property
    def log(self) -> Log:
        """A log that goes to the captured output."""
        log: Log = structlog.get_logger()
        return log

    def now(self) -> datetime:
        """The time, which stands until `advance` moves it."""
        return self._now

    def advance(self, span: timedelta) -> None:
        """Let time pass."""
        self._now += span

    def monotonic(self) -> float:
        """The real one: real servers are asked."""
        return time.monotonic()

    def client(self, kind: type[Client]) -> Client:
        """The client of this class that the bench was made with."""
        for client in self._clients:
            if isinstance(client, kind):
                return client
        raise Permanent(f"the bench has no {kind.__name__}")

    async def prove_alive(self) -> None:
        """Nobody else has the run; how often it was asked is counted."""
        self.proofs += 1

    async def facts(self, kind: str, subject: str) -> Sequence[str]:
        """What earlier results said, as the journal would return it: newest first, each once."""
        said = [f.value for f in reversed(self.known) if (f.kind, f.subject) == (kind, subject)]
        return list(dict.fromkeys(said))


@dataclass
class Case:
    """One action with a world that is ready for it."""

    action: Action[Any]
    params: Mapping[str, Any]
    """As a runbook writes them under `with:`."""
    bench: Bench
    state: Callable[[], JSON]
    """The part of the world that the action is about: what an undo must restore."""
    trace: Callable[[], JSON]
    """All on which a write by the action would leave a mark, as versions or times."""
    meddle: Callable[[], None]
    """Somebody else changes what the action is about, to neither its before nor its after."""
    needs_permissions: bool = True
    timeout_s: float = 30.0
    """How long settling may take."""
    plans: list[Plan] = field(default_factory=list)

    async def plan(self) -> Plan:
        """Plan with these parameters."""
        plan = await self.action.plan(params_of(self.action, self.params), self.bench)
        self.plans.append(plan)
        return plan

    async def settle(self, plan: Plan) -> Settled:
        """Look until it is healthy or has failed, as the engine does."""
        return await settle(self.action, plan, self.bench, self.timeout_s)


class ActionContract:
    """Inherit this, and give a fixture `case`."""

    def test_it_describes_itself(self, case: Case) -> None:
        example = YAML(typ="safe", pure=True).load(case.action.example)
        assert isinstance(params_of(case.action, example), case.action.Params)
        assert case.action.summary.endswith(".")
        assert case.action.Params.model_json_schema()["properties"], "it can name no target"
        needed = case.action.permissions(params_of(case.action, case.params))
        if case.needs_permissions:
            assert needed
        assert all(permission.verbs for permission in needed)

    async def test_planning_only_reads(self, case: Case) -> None:
        before = case.trace()
        plan = await case.plan()
        assert not plan.empty, f"the case must have something to change: {plan}"
        assert case.trace() == before

    async def test_the_digest_stands_still_while_only_time_passes(self, case: Case) -> None:
        first = await case.plan()
        case.bench.advance(timedelta(hours=1, seconds=7))
        second = await case.plan()
        assert second.digest == first.digest

    async def test_a_plan_says_what_it_touches_and_survives_the_journal(self, case: Case) -> None:
        plan = await case.plan()
        stored = Plan.from_json(json.loads(json.dumps(plan.to_json())))
        assert stored == plan
        assert stored.digest == plan.digest
        assert plan.target.uid
        assert plan.summary
        assert plan.way_back is not None or plan.no_way_back

    async def test_applying_twice_changes_the_world_once(self, case: Case) -> None:
        untouched, unmarked = case.state(), case.trace()
        plan = await case.plan()
        asked = case.bench.proofs
        first = await case.action.apply(plan, case.bench)
        assert first.changed
        assert case.bench.proofs > asked, "a change without proof that the run is still ours"
        assert case.trace() != unmarked, "a trace that misses this write would miss one by plan"
        changed = case.state()
        assert changed != untouched
        # After a crash: only what the journal holds is left, and time has passed.
        case.bench.advance(timedelta(minutes=10))
        stored = Plan.from_json(json.loads(json.dumps(plan.to_json())))
        again = await case.action.apply(stored, case.bench)
        assert not again.changed
        assert case.state() == changed
        assert again.facts == first.facts

    async def test_it_settles(self, case: Case) -> None:
        plan = await case.plan()
        await case.action.apply(plan, case.bench)
        settled = await case.settle(plan)
        assert settled.progress is Progress.HEALTHY, settled.message

    async def test_taking_it_back_restores_the_world_once(self, case: Case) -> None:
        before = case.state()
        plan = await case.plan()
        await case.action.apply(plan, case.bench)
        if plan.way_back is None:
            assert plan.no_way_back
            with pytest.raises(ValueError, match="no way back"):
                plan.inverse()
            return
        await case.settle(plan)
        stored = Plan.from_json(json.loads(json.dumps(plan.to_json())))
        undone = await case.action.undo(stored, case.bench)
        assert undone.changed
        assert case.state() == before
        again = await case.action.undo(stored, case.bench)
        assert not again.changed
        assert case.state() == before
        settled = await case.settle(stored.inverse())
        assert settled.progress is Progress.HEALTHY, settled.message

    async def test_it_does_not_touch_what_somebody_else_has_changed(self, case: Case) -> None:
        plan = await case.plan()
        case.meddle()
        theirs = case.state()
        with pytest.raises(Stale):
            await case.action.apply(plan, case.bench)
        assert case.state() == theirs


def params_of(operation: AnyOperation, params: Mapping[str, Any]) -> ActionParams:
    """Read parameters as the runbook's loader does."""
    return operation.Params.model_validate(dict(params))


async def settle(action: Action[Any], plan: Plan, bench: Bench, timeout_s: float) -> Settled:
    """Look until it is healthy or has failed, or the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            settled = await action.settled(plan, bench)
        except Temporary as error:
            settled = Settled(Progress.PROGRESSING, str(error))
        if settled.progress is not Progress.PROGRESSING or time.monotonic() > deadline:
            return settled
        await asyncio.sleep(0.05)
