"""Proves what a status says, that only what differs is written, and by one replica."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from remediator.app import reporting
from remediator.app.accepting import Ruling, Why
from remediator.app.reporting import Figures, Reporter
from remediator.app.watching import Held, Shelf
from remediator.clients.errors import Conflict, Missing, Refused, Unavailable
from remediator.clients.kubernetes.resources import POLICIES, RUNBOOKS
from remediator.engine.hint import Hint
from remediator.journal.protocol import Journal
from remediator.model.evidence import LastRun, RunCount
from remediator.model.policy import Policy
from remediator.model.runs import RunState
from remediator.plugin import registry
from remediator.runbook import manifests
from remediator.runbook.compile import compile_runbook
from remediator.runbook.manifests import Home
from remediator.testing.clock import ManualClock
from tests.resources.making import SPEC

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOME = Home("shop", "restart")
BOOK = compile_runbook(
    manifests.text_of("Runbook", HOME, SPEC), "f", registry.load(third_party=False)
)


def _held(name: str = "restart", generation: int = 1, **status: Any) -> Held:
    home = Home("shop", name)
    return Held(RUNBOOKS, home, f"uid-{name}", generation, "2026-01-01T00:00:00Z", {}, status)


def _good(held: Held) -> Ruling:
    return Ruling(held, True, Why.IN_FORCE, "in force", BOOK)


def _count(state: RunState, count: int, *, acted: bool = True) -> RunCount:
    return RunCount(
        *("shop/restart", "", state, True, False, False, False, acted, False),
        *(count, timedelta(), 0),
    )


def test_a_status_says_what_is_in_force_and_how_it_did() -> None:
    last = LastRun("shop/restart", "01run", RunState.ROLLED_BACK, NOW)
    counts = [
        _count(RunState.SUCCEEDED, 18),
        _count(RunState.ROLLED_BACK, 2),
        _count(RunState.SUPPRESSED, 5, acted=False),
    ]
    done = reporting.figures(counts, {"shop/restart": last})["shop/restart"]
    said = reporting.status(_good(_held()), {}, done, Policy(mode="observe"), NOW)
    assert said == {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "InForce",
                "message": "in force",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-03-01T12:00:00Z",
            }
        ],
        "name": "shop/restart",
        "version": BOOK.version,
        "mode": "observe",
        "runs": 25,
        "successRate": "90%",
        "lastRun": {"id": "01run", "state": "rolled_back", "endedAt": "2026-03-01T12:00:00Z"},
    }
    later = NOW + timedelta(hours=1)
    again = reporting.status(_good(_held()), said, done, Policy(mode="observe"), later)
    assert again == said, "nothing changed, and neither does a time"


def test_the_transition_has_its_time_and_others_conditions_stay() -> None:
    theirs = {"type": "Reviewed", "status": "True"}
    before = reporting.status(_good(_held()), {"conditions": [theirs]}, Figures(), Policy(), NOW)
    assert before["conditions"][0] == theirs
    bad = Ruling(_held(generation=2), False, Why.INVALID, "spec.if: …", BOOK)
    later = NOW + timedelta(hours=1)
    after = reporting.status(bad, before, Figures(), Policy(), later)
    assert after["conditions"][0] == theirs
    assert after["conditions"][1]["lastTransitionTime"] == "2026-03-01T13:00:00Z"
    assert after["conditions"][1]["observedGeneration"] == 2
    assert after["observedGeneration"] == 2
    assert "successRate" not in after, "nothing was changed by it yet"


def test_a_last_run_that_is_no_longer_counted_stays() -> None:
    before = {"lastRun": {"id": "old"}}
    said = reporting.status(_good(_held()), before, Figures(), Policy(), NOW)
    assert said["lastRun"] == {"id": "old"}


@dataclass
class World:
    """A cluster, a journal and a rulebook in one, as far as reporting needs them."""

    rulings: list[Ruling] = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    now: dict[Home, Held] = field(default_factory=dict)
    duty: bool = True
    written: list[tuple[str, Any]] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    counted: int = 0

    def put(self, *held: Held) -> None:
        """Judge these as good."""
        self.rulings = [_good(one) for one in held]
        self.now = {one.home: one for one in held}

    def find(self, one: Held) -> Held | None:
        return self.now.get(one.home)

    def on_duty(self, _: str) -> bool:
        return self.duty

    async def run_counts(self, **_: Any) -> tuple[RunCount, ...]:
        self.counted += 1
        return ()

    async def last_runs(self, **_: Any) -> tuple[LastRun, ...]:
        return ()

    async def patch(
        self, resource: Any, namespace: str, name: str, patch: Any, *, sub: str
    ) -> dict[str, Any]:
        assert (resource, namespace, sub) == (RUNBOOKS, "shop", "status")
        if self.trouble:
            raise self.trouble.pop(0)
        self.written.append((name, patch))
        before = self.now[Home(namespace, name)]
        status = {k: v for k, v in patch["status"].items() if v is not None}
        self.now[before.home] = replace(before, status=status)
        return {}


async def _settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


class Reporting:
    """A reporter at work."""

    def __init__(self) -> None:
        self.world = World()
        self.clock = ManualClock()
        self.hint = Hint()
        self.tasks: list[asyncio.Task[None]] = []
        self.reporter = Reporter(
            self.world,
            cast(Journal, self.world),
            self.world,
            cast(Shelf, self.world),
            self.clock,
            every=timedelta(seconds=15),
            hint=self.hint,
        )

    async def look(self) -> None:
        """Let it look again."""
        if not self.tasks:
            self.tasks.append(asyncio.create_task(self.reporter.run()))
        else:
            self.hint.poke()
        await _settle()


@pytest.fixture
async def at_work() -> Any:
    """Reporting, from the first `look` on."""
    made = Reporting()
    yield made
    for task in made.tasks:
        assert not task.done(), "it goes on"
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_only_what_differs_is_written(at_work: Reporting) -> None:
    world = at_work.world
    world.put(_held("a"), _held("b"))
    await at_work.look()
    assert sorted(name for name, _ in world.written) == ["a", "b"]
    assert world.written[0][1]["metadata"] == {"uid": "uid-a"}, "the precondition"
    for _ in range(5):
        await at_work.look()
    assert len(world.written) == 2
    world.policy = Policy(mode="auto")
    await at_work.look()
    assert len(world.written) == 4, "its mode is another now"


async def test_off_duty_nothing_is_read_or_written(at_work: Reporting) -> None:
    at_work.world.duty = False
    at_work.world.put(_held("a"))
    await at_work.look()
    assert (at_work.world.written, at_work.world.counted) == ([], 0)
    at_work.world.duty = True
    at_work.clock.advance(timedelta(seconds=15))
    await _settle()
    assert len(at_work.world.written) == 1, "taken over with the next look"


async def test_its_pace_is_bounded(at_work: Reporting) -> None:
    at_work.world.put(*(_held(f"r{n}") for n in range(250)))
    await at_work.look()
    assert len(at_work.world.written) == 100
    await at_work.look()
    await at_work.look()
    assert len(at_work.world.written) == 250
    assert at_work.world.counted <= 2, "the figures are counted once for several looks"


@pytest.mark.parametrize("error", [Missing("gone"), Conflict("another of this name")])
async def test_what_went_meanwhile_is_no_trouble(at_work: Reporting, error: Exception) -> None:
    at_work.world.put(_held("a"), _held("b"))
    at_work.world.trouble = [error]
    await at_work.look()
    assert [name for name, _ in at_work.world.written] == ["b"]


@pytest.mark.parametrize(
    ("error", "wait_s"), [(Refused("may not patch"), 60), (Unavailable("cut"), 15)]
)
async def test_trouble_is_waited_out(at_work: Reporting, error: Exception, wait_s: int) -> None:
    at_work.world.put(_held("a"))
    at_work.world.trouble = [error]
    await at_work.look()
    assert at_work.world.written == []
    at_work.clock.advance(timedelta(seconds=wait_s - 1))
    await _settle()
    assert at_work.world.written == []
    at_work.clock.advance(timedelta(seconds=1))
    await _settle()
    assert len(at_work.world.written) == 1


async def test_a_spec_that_was_not_judged_yet_is_not_spoken_of(at_work: Reporting) -> None:
    at_work.world.put(_held("a", 1))
    at_work.world.now[Home("shop", "a")] = _held("a", 2)
    await at_work.look()
    assert at_work.world.written == []


def test_a_policy_says_how_many_rules_it_makes() -> None:
    held = Held(POLICIES, Home("shop", "p"), "u", 1, "", {})
    said = reporting.status(
        Ruling(held, True, Why.IN_FORCE, "in force"), {}, Figures(), Policy(), NOW
    )
    assert said["rules"] == 0
    assert "name" not in said
