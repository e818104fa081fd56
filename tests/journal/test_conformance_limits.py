"""What guardrails count is read back as it was written, over runs, restarts and replicas; and runs
that race get no more through than the policy allows in any window."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.engine import guardrails
from remediator.journal.errors import InUse
from remediator.journal.protocol import Journal
from remediator.journal.values import Candidate, Expiry, Guard, RunbookRecord, Written
from remediator.model.history import GoingOn, History, LookBack, Reset
from remediator.model.plans import Impact, Plan
from remediator.model.policy import Policy
from remediator.model.runs import Run, RunState, Step, StepState, Trigger
from remediator.model.verdicts import Verdict
from tests.engine import oracle
from tests.engine.asking import ask
from tests.engine.oracle import OWNERS, WISHES, Accepted, Wish
from tests.journal import factories as make
from tests.journal.conftest import Place
from tests.journal.factories import T0, after

EVERYTHING = LookBack(
    changes=after(days=-1),
    going_on=True,
    outcomes_of="scale-out",
    opened=after(hours=-1),
)


def touching(**impact: Any) -> Plan:
    return replace(make.plan(), impact=replace(Impact(pods=3, of_pods=10, down=1), **impact))


async def begin(journal: Journal, name: str, plan: Plan, **more: Any) -> Run:
    """Lead a run to where it has begun a change."""
    run = await make.claimed(journal, name)
    started = replace(make.step(run, plan_=plan), **more)
    return await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.APPLYING,
        steps=(started,),
        lock=(f"{plan.target.key}-{name}",),
    )


async def look(journal: Journal, run_id: str = "", **more: Any) -> History:
    return await journal.history(run_id=run_id, look=replace(EVERYTHING, **more), at=T0)


async def test_a_change_is_counted_with_all_that_limits_ask_for(journal: Journal) -> None:
    plan = touching(
        nodes=2, part_of="kubernetes:shop/Deployment/web", cost_per_hour=Decimal("0.24")
    )
    run = await begin(journal, "api", plan, owner="team-shop", rules=("pay", "evicting"))
    (change,) = (await look(journal)).changes
    assert (change.pods, change.nodes, change.down) == (3, 2, 1)
    assert change.workload == "kubernetes:shop/Deployment/web"
    assert (change.owner, change.rules) == ("team-shop", frozenset({"pay", "evicting"}))
    assert change.cost == Decimal("0.24")
    (step,) = await journal.steps(run.id)
    assert (step.owner, step.rules, step.plan) == ("team-shop", ("pay", "evicting"), plan)


async def test_who_is_in_the_middle_of_a_change_until_its_run_ends(journal: Journal) -> None:
    one = await begin(journal, "one", touching(), rules=("pay",))
    two = await begin(journal, "two", touching())
    found = {one_.run_id: one_ for one_ in (await look(journal)).going_on}
    assert found == {
        one.id: GoingOn(one.id, "scale-out", frozenset({"pay"})),
        two.id: GoingOn(two.id, "scale-out"),
    }
    assert [g.run_id for g in (await look(journal, one.id)).going_on] == [two.id]
    assert not (await look(journal, going_on=False)).going_on
    await make.move(journal, two, RunState.SUCCEEDED)
    assert [g.run_id for g in (await look(journal)).going_on] == [one.id]


async def test_how_the_runs_of_a_runbook_ended_and_a_reset(journal: Journal) -> None:
    ends = [
        ("a", (RunState.SUCCEEDED,)),
        ("b", (RunState.FAILED,)),
        ("c", (RunState.UNDOING, RunState.ROLLED_BACK)),
        ("d", (RunState.CANCELLED,)),
    ]
    ended = []
    for minute, (name, states) in enumerate(ends):
        run = await begin(journal, name, touching())
        ended.append(await make.move(journal, run, *states, at=after(minutes=minute)))
    untouched = await make.claimed(journal, "e")  # failed, and changed nothing
    await make.move(journal, untouched, RunState.PLANNING, RunState.FAILED)
    found = (await look(journal)).outcomes
    assert [(one.run_id, one.good, one.at) for one in found] == [
        (ended[2].id, False, after(minutes=2)),
        (ended[1].id, False, after(minutes=1)),
        (ended[0].id, True, T0),
    ]
    assert not (await look(journal, outcomes_of="another")).outcomes
    assert list(await journal.failing(since=T0)) == ["scale-out"]
    assert not await journal.failing(since=after(minutes=3))
    for minute in (5, 6):
        reset = Reset("scale-out", "api:alice", f"mended {minute}", after(minutes=minute))
        await journal.reset_breaker(reset)
    assert (await look(journal)).reset == reset
    newest = (await journal.audit())[-1].entry
    assert (newest.kind, newest.actor) == ("control", "api:alice")
    assert newest.details["do"] == "reset_breaker"


async def test_a_raised_limit_that_comes_back_says_nothing_of_its_runbook(
    journal: Journal,
) -> None:
    run = await begin(journal, "api", touching())
    done = make.step(run, StepState.DONE)
    await make.move(
        journal, run, RunState.SUCCEEDED, steps=(done,), spawn=(Expiry(done, after(hours=1)),)
    )
    (back,) = await journal.claim(at=after(hours=1), limit=9)
    assert back.trigger is Trigger.EXPIRY
    await make.move(journal, back, RunState.UNDOING, lock=("x",))
    assert not (await look(journal)).going_on
    await make.move(journal, back, RunState.ROLLED_BACK)
    assert [one.run_id for one in (await look(journal)).outcomes] == [run.id]


async def test_how_many_incidents_were_opened(journal: Journal) -> None:
    for number in range(5):
        await make.take(journal, make.alert(f"svc-{number}"), at=after(minutes=-10 * number))
    assert (await look(journal)).opened == 5
    assert (await look(journal, opened=after(minutes=-20))).opened == 3
    assert (await look(journal, opened=None)).opened == 0


async def test_how_often_an_alert_was_treated_before(journal: Journal) -> None:
    await journal.register([make.RUNBOOK])
    incident_id = ""
    for episode in range(4):
        at = after(hours=episode)
        alert = make.alert("api", starts_at=at)
        start = make.start(wake_at=at)
        receipt = await journal.take(make.notification(Candidate(alert, on_firing=(start,)), at=at))
        incident_id = receipt.incident_ids[0] or ""
        (run,) = await journal.claim(at=at, limit=1)
        states = (RunState.PLANNING, RunState.APPLYING)
        if episode != 1:  # the second time nothing was changed
            step = make.step(run, started_at=at)
            await make.move(journal, run, *states, steps=(step,), lock=("x",))
        else:
            await make.move(journal, run, *states)
        await make.move(journal, run, RunState.SUCCEEDED, at=at)
        end = make.alert("api", firing=False, starts_at=at, ends_at=at + timedelta(minutes=10))
        await journal.take(make.notification(end, at=at + timedelta(minutes=10)))
    found = await look(journal, treated=after(hours=-1), incident_id=incident_id)
    assert sorted(found.treated) == [T0, after(hours=2)]  # itself does not count
    later = await look(journal, treated=after(hours=1), incident_id=incident_id)
    assert later.treated == (after(hours=2),)
    assert not (await look(journal)).treated


async def test_the_runs_of_one_batch_count_each_other_for_concurrency(journal: Journal) -> None:
    runs = [await make.claimed(journal, f"svc-{n}") for n in range(10)]
    for run in runs:
        await make.move(journal, run, RunState.PLANNING)

    def two_at_once(history: History) -> tuple[Verdict, ...]:
        return (guardrails.concurrency(ask(policy=limit, history=history)),)

    limit = Policy.model_validate({"concurrency": {"total": 2}})
    outcomes = await asyncio.gather(
        *(
            journal.write(
                make.update(
                    run,
                    RunState.APPLYING,
                    guard=Guard(two_at_once, LookBack(going_on=True)),
                    steps=(make.step(run),),
                    lock=(run.id,),
                )
            )
            for run in runs
        )
    )
    assert sum(one.written is Written.DONE for one in outcomes) == 2


# ------------------------------------------------------------------------------------ races


class Racing:
    """A policy in force, runs that want to make changes, and what the journal let through."""

    def __init__(self, place: Place, in_force: Policy) -> None:
        self.place = place
        self.in_force = in_force
        self.now = T0
        self.accepted: list[Accepted] = []
        self.count = 0

    async def open(self) -> None:
        self.journal = await self.place.open()
        records = [
            RunbookRecord(f"v-{name}", name, "f", "s", "d", owner, {})
            for name, owner in OWNERS.items()
        ]
        await self.journal.register(records)

    async def start_anew(self) -> None:
        await self.journal.close()
        await self.open()

    async def race(self, wishes: Sequence[Wish], gap_s: int) -> None:
        """Let as many runs as wishes store their intents at once; then they end."""
        self.now += timedelta(seconds=gap_s)
        self.place.clock.time = self.now
        candidates = []
        for wish in wishes:
            self.count += 1
            start = replace(make.start(wish.runbook, wake_at=self.now), version=f"v-{wish.runbook}")
            candidates.append(
                Candidate(make.alert(f"x-{self.count}", starts_at=self.now), on_firing=(start,))
            )
        await self.journal.take(make.notification(*candidates, at=self.now))
        runs = await self.journal.claim(at=self.now + timedelta(hours=1), limit=len(wishes))
        assert len(runs) == len(wishes)
        by_runbook: dict[str, list[Run]] = {}
        for run in runs:
            by_runbook.setdefault(run.runbook, []).append(run)
        pairs = [(by_runbook[wish.runbook].pop(), wish) for wish in wishes]
        for run, _ in pairs:
            await make.move(self.journal, run, RunState.PLANNING, at=self.now)
        outcomes = await asyncio.gather(*(self._intend(run, wish) for run, wish in pairs))
        # In the order in which the journal took them: what came first stands first.
        done = [(run, wish) for (run, wish), ok in zip(pairs, outcomes, strict=True) if ok]
        self.accepted += [Accepted(wish, self.now) for _, wish in done]
        for run, _ in pairs:
            await self.journal.write(make.update(run, RunState.FAILED, at=self.now))

    async def _intend(self, run: Run, wish: Wish) -> bool:
        asked = ask(
            plan=wish.plan,
            policy=self.in_force,
            runbook=wish.runbook,
            owner=OWNERS[wish.runbook],
            run_id=run.id,
            now=self.now,
        )
        seen = guardrails.look_back(
            asked.limits, self.in_force, self.now, blocks=[block for _, block in asked.blocks]
        )

        def check(history: History) -> tuple[Verdict, ...]:
            return guardrails.judge(asked.with_history(history, self.now))

        step = Step(
            run_id=run.id,
            sequence=0,
            attempt=1,
            step_id="s",
            action="a",
            state=StepState.STARTED,
            plan=wish.plan,
            params={},
            message="",
            started_at=self.now,
            owner=asked.owner,
            rules=asked.rules,
        )
        update = make.update(
            run,
            RunState.APPLYING,
            at=self.now,
            steps=(step,),
            lock=(wish.plan.target.key,),
            guard=Guard(check, seen),
        )
        return (await self.journal.write(update)).written is Written.DONE


ROUNDS = st.lists(
    st.tuples(
        st.lists(WISHES, min_size=1, max_size=5),
        st.integers(0, 90) | st.integers(-60, 1800),
        st.booleans(),
    ),
    min_size=2,
    max_size=8,
)


async def _raced(
    place: Place, in_force: Policy, rounds: Sequence[tuple[list[Wish], int, bool]]
) -> list[Accepted]:
    racing = Racing(place, in_force)
    try:
        await racing.open()
        for wishes, gap_s, again in rounds:
            await racing.race(wishes, gap_s)
            if again:
                await racing.start_anew()
    finally:
        await place.close()
    return racing.accepted


@pytest.mark.parametrize("kind", oracle.KINDS)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), rounds=ROUNDS)
def test_runs_that_race_get_no_more_through_than_any_window_allows(
    kind: str,
    data: st.DataObject,
    rounds: list[tuple[list[Wish], int, bool]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    in_force = data.draw(oracle.policies(kind), label="policy")
    folder: Path = tmp_path_factory.mktemp("race")
    place = Place(f"sqlite:///{folder / 'journal.db'}")
    accepted = asyncio.run(_raced(place, in_force, rounds))
    oracle.check(in_force, accepted)


@pytest.mark.queue
async def test_two_replicas_that_race_count_each_others_changes(place: Place) -> None:
    if place.postgres is None:
        # One file, one daemon: the race of runs within it is the test above.
        await place.open(node="one")
        with pytest.raises(InUse):
            await place.open(node="two")
        return
    one, two = await place.open(node="one"), await place.open(node="two")
    in_force = Policy.model_validate(
        {"mode": "auto", "cooldown": "0s", "budget": {"pods": ["10/1h"]}, "storm": {"opened": None}}
    )
    journals: list[tuple[Journal, Run]] = []
    for number in range(10):
        journal = (one, two)[number % 2]
        run = await make.claimed(journal, f"svc-{number}")
        await make.move(journal, run, RunState.PLANNING)
        journals.append((journal, run))

    async def intend(journal: Journal, run: Run, at: datetime) -> bool:
        plan = replace(make.plan(run.id, pods=3))
        asked = ask(plan=plan, policy=in_force, run_id=run.id, now=at)

        def check(history: History) -> tuple[Verdict, ...]:
            return guardrails.judge(asked.with_history(history, at))

        update = make.update(
            run,
            RunState.APPLYING,
            steps=(make.step(run, plan_=plan),),
            lock=(plan.target.key,),
            guard=Guard(check, guardrails.look_back(asked.limits, in_force, at)),
        )
        return (await journal.write(update)).written is Written.DONE

    done = await asyncio.gather(*(intend(journal, run, T0) for journal, run in journals))
    assert sum(done) == 3  # nine pods; a fourth change would make it twelve
