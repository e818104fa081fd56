"""Proves on every engine how runs are counted as evidence, and what a report reads."""

from dataclasses import replace
from datetime import timedelta

from remediator.journal.protocol import Journal
from remediator.journal.values import RunStart
from remediator.model.approvals import Answer
from remediator.model.evidence import Evidence, LastRun, RunCount, evidence
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, StepState, Trigger
from remediator.model.verdicts import Ruling, Verdict
from remediator.model.views import Note, NoteKind
from tests.journal import factories as make
from tests.journal.factories import RUNBOOK, T0, after


async def approved(journal: Journal, name: str, end: RunState) -> Run:
    """Lead a run through a yes and one change to its end."""
    asked = await make.asked(journal, name, id_=f"q-{name}")
    await journal.decide(make.answer(approval_id=f"q-{name}"))
    (run,) = await journal.claim(at=T0, limit=1)
    assert run.id == asked.id
    changed = make.step(run, StepState.DONE, plan_=make.plan(name))
    states = [RunState.UNDOING, end] if end is RunState.ROLLED_BACK else [end]
    run = await make.move(journal, run, RunState.APPLYING, steps=(changed,))
    return await make.move(journal, run, *states, at=after(minutes=4))


async def test_runs_are_counted_by_how_they_went(journal: Journal) -> None:
    await journal.register([replace(RUNBOOK, substance="s1")])
    await journal.take(make.notification(make.starting("a")))
    (run,) = await journal.claim(at=T0, limit=1)
    await make.move(journal, run, RunState.PLANNING, RunState.OBSERVED, at=after(minutes=1))
    await approved(journal, "b", RunState.SUCCEEDED)
    await approved(journal, "c", RunState.ROLLED_BACK)
    await make.asked(journal, "d", id_="q-d")
    await journal.decide(make.answer(what=Answer.DENY, approval_id="q-d"))
    await make.claimed(journal, "goes-on")
    await journal.register([replace(RUNBOOK, substance="s1")])

    counts = await journal.run_counts(since=T0 - timedelta(days=1))
    assert {(c.runbook, c.substance, c.by_alert, c.count) for c in counts} == {
        ("scale-out", "s1", True, 1)
    }
    by_state = {count.state: count for count in counts}
    assert set(by_state) == {
        RunState.OBSERVED,
        RunState.SUCCEEDED,
        RunState.ROLLED_BACK,
        RunState.DENIED,
    }
    helped = by_state[RunState.SUCCEEDED]
    assert (helped.asked, helped.approved, helped.denied, helped.acted) == (True, True, False, True)
    assert (helped.took, helped.decisions, helped.helped) == (timedelta(minutes=4), 1, True)
    denied = by_state[RunState.DENIED]
    assert (denied.asked, denied.approved, denied.denied, denied.acted) == (
        *(True, False, True, False),
    )
    assert evidence(counts, "scale-out", "s1") == Evidence(
        observed=1, asked=3, approved=2, helped=1, denied=1
    )
    assert evidence(counts, "scale-out", "s2") == Evidence()
    assert evidence(counts, "other", "s1") == Evidence()
    own = await journal.run_counts(since=T0, runbook="scale-out", substance="s1")
    assert own == counts
    assert await journal.run_counts(since=T0, runbook="scale-out", substance="s2") == ()
    assert await journal.run_counts(since=after(minutes=5)) == ()


async def test_what_a_person_started_is_no_evidence(journal: Journal) -> None:
    await journal.register([replace(RUNBOOK, substance="s1")])
    start: RunStart = make.start(trigger=Trigger.MANUAL)
    await journal.start_run(start, by="api:alice", at=T0)
    (run,) = await journal.claim(at=T0, limit=1)
    await make.move(journal, run, RunState.PLANNING, RunState.OBSERVED)
    (count,) = await journal.run_counts(since=T0)
    assert (count.by_alert, count.state) == (False, RunState.OBSERVED)
    assert evidence((count,), "scale-out", "s1") == Evidence()


async def test_what_is_kept_in_the_cluster_is_counted_by_itself(journal: Journal) -> None:
    await journal.register([RUNBOOK])
    ends = [
        ("shop/restart", RunState.OBSERVED, 1),
        ("scale-out", RunState.OBSERVED, 2),
        ("shop/restart", RunState.SUPPRESSED, 3),
        ("pay/restart", RunState.OBSERVED, 4),
    ]
    newest = {}
    for name, end, minutes in ends:
        await journal.start_run(
            make.start(name, trigger=Trigger.MANUAL), by="api:alice", at=after(minutes=minutes)
        )
        (run,) = await journal.claim(at=after(minutes=minutes), limit=1)
        await make.move(journal, run, RunState.PLANNING, end, at=after(minutes=minutes))
        newest[name] = run.id
    await journal.start_run(make.start("shop/restart"), by="api:alice", at=after(minutes=5))

    counts = await journal.run_counts(since=T0, namespaced=True)
    assert {(one.runbook, one.state) for one in counts} == {
        ("shop/restart", RunState.OBSERVED),
        ("shop/restart", RunState.SUPPRESSED),
        ("pay/restart", RunState.OBSERVED),
    }
    assert await journal.last_runs(since=T0) == (
        LastRun("pay/restart", newest["pay/restart"], RunState.OBSERVED, after(minutes=4)),
        LastRun("shop/restart", newest["shop/restart"], RunState.SUPPRESSED, after(minutes=3)),
    )
    (one,) = await journal.last_runs(since=after(minutes=4))
    assert one.runbook == "pay/restart"


async def test_a_report_counts_refusals_by_guardrail_and_calls(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.SUPPRESSED,
        reason=Reason.GUARDRAIL_REFUSES,
        verdicts=(
            Verdict("cooldown", Ruling.REFUSE, "too soon"),
            Verdict("rate", Ruling.REFUSE, "too many"),
            Verdict("mode", Ruling.HOLD, "approve"),
        ),
        notes=(Note(NoteKind.ESCALATION, run.id, "look", T0),),
    )
    found = await journal.track_record(since=T0, until=after(hours=1))
    assert [(r.runbook, r.guardrail, r.count) for r in found.refusals] == [
        ("scale-out", "cooldown", 1),
        ("scale-out", "rate", 1),
    ]
    (count,) = found.counts
    assert count.called
    assert not found.partial
    other = await journal.track_record(since=T0, until=after(hours=1), runbook="other")
    assert (other.counts, other.refusals) == ((), ())


def test_success_is_of_what_people_approved_and_that_acted() -> None:
    one = RunCount(
        *("r", "s", RunState.SUCCEEDED),
        by_alert=True,
        asked=True,
        approved=True,
        denied=False,
        acted=True,
        called=False,
        count=19,
        took=timedelta(),
        decisions=19,
    )
    failed = replace(one, state=RunState.FAILED, count=1)
    idle = replace(one, acted=False, count=7)  # the alert cleared before the change
    automatic = replace(one, asked=False, approved=False, count=50)
    halfway = replace(one, approved=False, denied=True, state=RunState.ROLLED_BACK, count=1)
    found = evidence((one, failed, idle, halfway), "r", "s")
    assert found == Evidence(asked=28, approved=20, helped=19, denied=1)
    assert found.success == 0.95
    both = evidence((one, automatic), "r", "s")
    assert both == Evidence(asked=19, approved=19, automatic=50, helped=69)
    assert Evidence().success == 0.0
