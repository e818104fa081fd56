"""Proves overrides on every engine: to which run they go, that they are used once, and expire."""

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest

from remediator.journal.protocol import Journal
from remediator.journal.values import Guard, Written
from remediator.model.history import History, LookBack
from remediator.model.overrides import Granted, GrantOutcome, Override, OverrideState, lifting
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, StepState, Trigger
from remediator.model.verdicts import Ruling, Verdict
from tests.journal import factories as make
from tests.journal.factories import T0, after

AGAIN = make.start(trigger=Trigger.MANUAL)
REFUSED = Verdict("cooldown", Ruling.REFUSE, "changed 4m ago; the cooldown is 5m", "waiting")


def wanted(run: Run, guardrail: str = "cooldown", *, at: datetime = T0) -> Override:
    return Override(
        id="",
        run_id=run.id,
        asked_for=run.id,
        guardrail=guardrail,
        by="api:alice",
        reason="customers wait",
        via="api",
        state=OverrideState.OPEN,
        created_at=at,
        expires_at=after(minutes=15),
    )


async def refused(journal: Journal, name: str = "api") -> Run:
    """Bring a run to where a guardrail ended it."""
    run = await make.claimed(journal, name)
    return await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.SUPPRESSED,
        reason=Reason.GUARDRAIL_REFUSES,
        verdicts=(REFUSED,),
    )


def by_override(history: History) -> tuple[Verdict, ...]:
    """A guardrail that refuses all but what a person lets through."""
    lifted = lifting(history.overrides, "cooldown", T0)
    if lifted is None:
        return (REFUSED,)
    return (Verdict("cooldown", Ruling.ALLOW, f"overridden by {lifted.by}", override=lifted.id),)


async def begin(journal: Journal, run: Run, *, sequence: int = 0) -> Written:
    outcome = await journal.write(
        make.update(
            run,
            RunState.APPLYING,
            guard=Guard(by_override),
            steps=(make.step(run, StepState.STARTED, sequence=sequence),),
        )
    )
    return outcome.written


async def test_a_run_that_was_refused_is_started_again_once(journal: Journal) -> None:
    run = await refused(journal)
    granted = await journal.grant_override(wanted(run), AGAIN)
    assert granted.outcome is GrantOutcome.STARTED
    assert granted.override is not None
    fresh = await journal.run(granted.override.run_id)
    assert fresh is not None
    assert (fresh.trigger, fresh.incident_id) == (Trigger.MANUAL, run.incident_id)
    assert fresh.about_alert
    assert (fresh.state, fresh.started_by, fresh.epoch) == (RunState.PENDING, "api:alice", 0)
    entry = next(
        r.entry for r in await journal.audit(run_id=fresh.id) if r.entry.kind == "override.created"
    )
    assert entry.actor == "api:alice"
    assert entry.details["reason"] == "customers wait"
    assert entry.details["asked_for"] == run.id
    notes = [i.note.text for i in await journal.outbox_due(at=T0, limit=9)]
    assert "cooldown overridden by api:alice: customers wait" in notes

    again = await journal.grant_override(wanted(run), AGAIN)
    assert again == Granted(GrantOutcome.BUSY, other_run=fresh.id)


async def test_two_people_at_once_start_one_run(journal: Journal) -> None:
    run = await refused(journal)
    both = await asyncio.gather(
        *(journal.grant_override(replace(wanted(run), by=f"api:{n}"), AGAIN) for n in "ab")
    )
    assert sorted(one.outcome for one in both) == [GrantOutcome.BUSY, GrantOutcome.STARTED]


async def test_it_is_used_up_with_the_intent_and_holds_to_the_end_of_its_run(
    journal: Journal,
) -> None:
    await refused(journal)
    run = (await journal.runs()).items[0]
    granted = await journal.grant_override(wanted(run), AGAIN)
    assert granted.override is not None
    (fresh,) = await journal.claim(at=T0, limit=1)
    fresh = await make.move(journal, fresh, RunState.PLANNING)
    assert await begin(journal, fresh) is Written.DONE
    (used,) = await journal.overrides(fresh.id)
    assert (used.state, used.used_at) == (OverrideState.USED, T0)
    assert await begin(journal, fresh, sequence=1) is Written.DONE
    kinds = [r.entry.kind for r in await journal.audit(run_id=fresh.id)]
    assert kinds.count("override.used") == 1
    # Another run gets nothing of it.
    history = await journal.history(run_id=run.id, look=LookBack(), at=T0)
    assert history.overrides == ()
    assert await journal.expire_overrides(at=after(hours=1)) == 0


async def test_without_an_override_the_guard_refuses(journal: Journal) -> None:
    run = await make.claimed(journal)
    run = await make.move(journal, run, RunState.PLANNING)
    assert await begin(journal, run) is Written.GUARDED


async def test_it_goes_to_a_run_that_waits_and_wakes_it(journal: Journal) -> None:
    run = await make.claimed(journal)
    run = await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.PENDING,
        reason=Reason.TARGET_BUSY,
        wake_at=after(minutes=5),
        release=True,
    )
    granted = await journal.grant_override(wanted(run, at=after(minutes=1)), AGAIN)
    assert granted.outcome is GrantOutcome.GRANTED
    assert granted.override is not None
    assert granted.override.run_id == run.id
    (woken,) = await journal.claim(at=after(minutes=1), limit=1)
    assert woken.id == run.id
    again = await journal.grant_override(wanted(run), AGAIN)
    assert again == Granted(GrantOutcome.REPEATED, granted.override)
    other = await journal.grant_override(wanted(run, "rate"), AGAIN)
    assert other.outcome is GrantOutcome.GRANTED
    history = await journal.history(run_id=run.id, look=LookBack(), at=T0)
    assert [one.guardrail for one in history.overrides] == ["cooldown", "rate"]


async def test_what_is_over_is_not_started_again(journal: Journal) -> None:
    run = await refused(journal)
    await make.resolve(journal)
    granted = await journal.grant_override(wanted(run), AGAIN)
    assert granted == Granted(GrantOutcome.OVER)
    assert len((await journal.runs()).items) == 1


@pytest.mark.parametrize("guardrail", ["rate", "impact"])
async def test_only_what_refused_the_run_is_overridden(journal: Journal, guardrail: str) -> None:
    run = await refused(journal)
    assert await journal.grant_override(wanted(run, guardrail), AGAIN) == Granted(
        GrantOutcome.NOT_REFUSED
    )
    assert await journal.grant_override(wanted(run), None) == Granted(GrantOutcome.NOT_REFUSED)


async def test_an_unknown_run(journal: Journal) -> None:
    run = await make.claimed(journal)
    missing = replace(wanted(run), asked_for="nobody")
    assert await journal.grant_override(missing, AGAIN) == Granted(GrantOutcome.UNKNOWN)


async def test_what_nobody_used_is_put_on_record_as_expired(journal: Journal) -> None:
    run = await refused(journal)
    granted = await journal.grant_override(wanted(run), AGAIN)
    assert granted.override is not None
    assert await journal.expire_overrides(at=after(minutes=14)) == 0
    assert await journal.expire_overrides(at=after(minutes=15)) == 1
    assert await journal.expire_overrides(at=after(minutes=16)) == 0
    (gone,) = await journal.overrides(granted.override.run_id)
    assert gone.state is OverrideState.EXPIRED
    entries = [r.entry for r in await journal.audit(run_id=gone.run_id)]
    assert entries[-1].kind == "override.expired"
    assert entries[-1].details["guardrail"] == "cooldown"
    (fresh,) = await journal.claim(at=after(minutes=16), limit=1)
    fresh = await make.move(journal, fresh, RunState.PLANNING)
    assert await begin(journal, fresh) is Written.GUARDED


async def test_what_was_not_used_goes_along_when_another_guardrail_refused(
    journal: Journal,
) -> None:
    run = await refused(journal)
    first = await journal.grant_override(wanted(run), AGAIN)
    (fresh,) = await journal.claim(at=T0, limit=1)
    fresh = await make.move(
        journal,
        fresh,
        RunState.PLANNING,
        RunState.SUPPRESSED,
        reason=Reason.GUARDRAIL_REFUSES,
        verdicts=(replace(REFUSED, rule="rate"),),
    )
    second = await journal.grant_override(wanted(fresh, "rate"), AGAIN)
    assert first.override is not None
    assert second.override is not None
    both = await journal.overrides(second.override.run_id)
    assert [(one.guardrail, one.state) for one in both] == [
        ("cooldown", OverrideState.OPEN),
        ("rate", OverrideState.OPEN),
    ]
    assert both[0].id == first.override.id
    kinds = [r.entry.kind for r in await journal.audit(run_id=second.override.run_id)]
    assert kinds.count("override.carried_on") == 1
    (last,) = await journal.claim(at=T0, limit=1)
    last = await make.move(journal, last, RunState.PLANNING)
    assert await begin(journal, last) is Written.DONE


async def test_one_given_under_a_clock_that_was_ahead_does_not_last_longer(
    journal: Journal,
) -> None:
    run = await make.claimed(journal)
    ahead = replace(wanted(run, at=after(days=3)), expires_at=after(days=3, minutes=15))
    await journal.grant_override(ahead, AGAIN)
    await journal.straighten(at=T0)
    (one,) = await journal.overrides(run.id)
    assert (one.created_at, one.expires_at) == (T0, after(minutes=15))


def test_it_lifts_its_guardrail_only_and_in_time() -> None:
    one = Override(
        *("o-1", "r-1", "r-1", "cooldown", "api:alice", "why", "api"),
        OverrideState.OPEN,
        T0,
        after(minutes=15),
    )
    assert one.lifts("cooldown", after(minutes=14))
    assert not one.lifts("cooldown", after(minutes=15))
    assert not one.lifts("rate", T0)
    used = replace(one, state=OverrideState.USED)
    assert used.lifts("cooldown", after(hours=3))
    assert not replace(one, state=OverrideState.EXPIRED).lifts("cooldown", T0)
