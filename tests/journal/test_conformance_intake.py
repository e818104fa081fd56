"""Proves, over every engine, what a notification does: the identity of incidents, one run per
incident, runbook and trigger, and what *resolved* cancels, voids and wakes.
"""

import asyncio
import random

import pytest

from remediator.journal import verify
from remediator.journal.protocol import Journal
from remediator.journal.values import Candidate, RunbookRecord, Written
from remediator.model.approvals import ApprovalStatus
from remediator.model.incidents import Fate, IncidentStatus
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState, Trigger
from remediator.model.views import NoteKind
from tests.journal import factories as make
from tests.journal.factories import RUNBOOK, T0, after


async def test_firing_opens_one_incident_and_repeats_refresh_it(journal: Journal) -> None:
    first = await make.take(journal, make.alert())
    again = await make.take(journal, make.alert(annotations={"summary": "worse"}))
    assert (first.fates, again.fates) == ((Fate.OPENED,), (Fate.REFRESHED,))
    assert first.incident_ids == again.incident_ids
    page = await journal.incidents()
    (incident,) = page.items
    assert incident.annotations == {"summary": "worse"}
    assert incident.labels == make.alert().labels
    assert (incident.starts_at, incident.status) == (T0, IncidentStatus.OPEN)


async def test_an_open_incident_keeps_the_earliest_start(journal: Journal) -> None:
    await make.take(journal, make.alert(starts_at=T0))
    await make.take(journal, make.alert(starts_at=after(milliseconds=-14)))
    await make.take(journal, make.alert(starts_at=after(milliseconds=14)))
    (incident,) = (await journal.incidents()).items
    assert incident.starts_at == after(milliseconds=-14)


async def test_resolved_closes_and_a_late_firing_of_the_peer_is_stale(journal: Journal) -> None:
    await make.take(journal, make.alert())
    closed = await make.resolve(journal)
    late = await make.take(journal, make.alert(starts_at=after(milliseconds=14)))
    assert (closed.fates, late.fates) == ((Fate.CLOSED,), (Fate.STALE,))
    (incident,) = (await journal.incidents()).items
    assert (incident.status, incident.ends_at) == (IncidentStatus.RESOLVED, after(minutes=10))


async def test_resolved_for_something_never_seen_firing_is_kept_as_over(journal: Journal) -> None:
    receipt = await make.resolve(journal)
    assert (receipt.fates, receipt.started) == ((Fate.UNKNOWN_RESOLVED,), ())
    (kept,) = (await journal.incidents()).items
    assert kept.status is IncidentStatus.RESOLVED
    late = await make.take(journal, make.alert())
    assert (late.fates, late.started) == ((Fate.STALE,), ())


async def test_a_later_start_opens_the_next_incident(journal: Journal) -> None:
    first = await make.take(journal, make.alert())
    await make.resolve(journal)
    second = await make.take(journal, make.alert(starts_at=after(minutes=11)))
    assert second.fates == (Fate.OPENED,)
    assert second.incident_ids != first.incident_ids
    assert len((await journal.incidents(status=IncidentStatus.OPEN)).items) == 1
    assert len((await journal.incidents(status=IncidentStatus.RESOLVED)).items) == 1


async def test_senders_do_not_share_fingerprints(journal: Journal) -> None:
    for sender in ("main", "staging"):
        receipt = await journal.take(make.notification(make.alert(), sender=sender))
        assert receipt.fates == (Fate.OPENED,)
    assert (await journal.backlog()).open_incidents == 2


async def test_one_body_may_tell_a_whole_story(journal: Journal) -> None:
    receipt = await make.take(
        journal,
        make.starting(),
        make.alert(firing=False),
        make.starting(starts_at=after(minutes=20)),
        make.alert(starts_at=after(minutes=19)),
        at=after(minutes=20),
    )
    assert receipt.fates == (Fate.OPENED, Fate.CLOSED, Fate.OPENED, Fate.REFRESHED)
    first, same, second, again = receipt.incident_ids
    assert first == same != second == again
    # The alert that came and went within the body needs no repair.
    (run,) = (await journal.runs()).items
    assert (run.incident_id, receipt.started) == (second, (run.id,))
    incident = await journal.incident(str(second))
    assert incident is not None
    assert incident.starts_at == after(minutes=19)


async def test_one_run_per_incident_runbook_and_trigger(journal: Journal) -> None:
    both = Candidate(make.alert(), on_firing=(make.start(), make.start("restart")))
    first = await make.take(journal, make.starting())
    again = await make.take(journal, make.starting())
    more = await make.take(journal, both)
    assert (len(first.started), len(again.started), len(more.started)) == (1, 0, 1)
    runs = (await journal.runs()).items
    assert [run.runbook for run in runs] == ["restart", "scale-out"]
    assert {run.started_by for run in runs} == {"sender:main"}
    assert {run.state for run in runs} == {RunState.PENDING}


async def test_a_resolved_trigger_starts_when_the_incident_closes(journal: Journal) -> None:
    calm = make.start("clean-up", trigger=Trigger.RESOLVED)
    await make.take(journal, make.alert())
    done = Candidate(make.alert(firing=False), on_resolved=(calm,))
    closed = await make.take(journal, done, at=after(minutes=10))
    again = await make.take(journal, done, at=after(minutes=11))
    assert (len(closed.started), len(again.started)) == (1, 0)
    (run,) = (await journal.runs()).items
    assert (run.trigger, run.state) == (Trigger.RESOLVED, RunState.PENDING)


async def test_a_thousand_concurrent_duplicates_make_one_incident_and_one_run_each(
    journal: Journal,
) -> None:
    await journal.register([RUNBOOK])
    rng = random.Random(1)  # noqa: S311 - a fixed order, not a secret
    names = [f"svc-{i % 50}" for i in range(1000)]
    rng.shuffle(names)
    shifts = [rng.randint(-20, 20) for _ in names]
    receipts = await asyncio.gather(
        *(
            journal.take(
                make.notification(make.starting(name, starts_at=after(milliseconds=shift)))
            )
            for name, shift in zip(names, shifts, strict=True)
        )
    )
    assert sum(receipt.fates == (Fate.OPENED,) for receipt in receipts) == 50
    incidents = (await journal.incidents(limit=1000)).items
    assert len(incidents) == len({i.fingerprint for i in incidents}) == 50
    runs = (await journal.runs(limit=1000)).items
    assert len(runs) == len({run.incident_id for run in runs}) == 50
    earliest = {
        name: min(s for n, s in zip(names, shifts, strict=True) if n == name) for name in names
    }
    assert {i.labels["deployment"]: i.starts_at for i in incidents} == {
        name: after(milliseconds=shift) for name, shift in earliest.items()
    }


async def test_a_body_of_20000_alerts_is_taken_whole(journal: Journal) -> None:
    alerts = [make.alert(f"svc-{i}") for i in range(20_000)]
    body = b"x" * 1_000_000
    receipt = await journal.take(make.notification(*alerts, body=body))
    assert receipt.fates == (Fate.OPENED,) * 20_000
    assert len(set(receipt.incident_ids)) == 20_000
    assert (await journal.backlog()).open_incidents == 20_000
    assert (await journal.audit_head())[0] == 20_001


async def test_a_notification_is_on_the_record(journal: Journal) -> None:
    receipt = await make.take(journal, make.starting(), make.alert("web"))
    records = await journal.audit()
    received = records[0].entry
    assert received.kind == "notification"
    assert received.actor == "sender:main"
    assert received.details["id"] == receipt.notification_id
    assert received.details["fates"] == {"opened": 2}
    assert received.details["sha256"] == (
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    kinds = [record.entry.kind for record in records]
    assert kinds == ["notification", "incident.opened", "incident.opened", "run.state"]
    begun = records[3].entry
    assert (begun.details["from"], begun.details["to"]) == (None, "pending")
    assert begun.run_id == receipt.started[0]
    assert verify.verify(records, expected_head=await journal.audit_head()).ok


async def test_resolved_cancels_a_run_that_changed_nothing(journal: Journal) -> None:
    run = await make.asked(journal)
    receipt = await make.resolve(journal)
    assert receipt.cancelled == (run.id,)
    view = await journal.view(run.id)
    assert view is not None
    assert view.run.state is RunState.CANCELLED
    assert view.run.reason is Reason.RESOLVED_BY_ITSELF
    assert (view.run.wake_at, view.run.ended_at) == (None, after(minutes=10))
    assert view.approval is not None
    assert view.approval.status is ApprovalStatus.VOID
    (item,) = await journal.outbox_due(at=after(hours=1), limit=10)
    assert (item.note.kind, item.note.run_id) == (NoteKind.STATE, run.id)
    last = (await journal.audit(run_id=run.id))[-1].entry
    assert last.details["to"] == "cancelled"
    assert last.details["reason"] == "resolved_by_itself"


async def test_resolved_fences_a_worker_that_is_still_planning(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PLANNING)
    assert (await make.resolve(journal)).cancelled == (run.id,)
    outcome = await journal.write(
        make.update(run, RunState.APPLYING, steps=(make.step(run),), lock=("k",))
    )
    assert outcome.written is Written.FENCED
    assert not await journal.steps(run.id)


async def test_resolved_cancels_an_applying_run_only_before_its_first_change(
    journal: Journal,
) -> None:
    run = await make.claimed(journal, "probe-only")
    probe = make.step(run, StepState.DONE, plan_=make.plan(empty=True))
    await make.move(journal, run, RunState.PLANNING, RunState.APPLYING, steps=(probe,))
    other = await make.claimed(journal, "changing")
    await make.move(journal, other, RunState.PLANNING, RunState.APPLYING, steps=(make.step(other),))
    both = (make.alert(name, firing=False) for name in ("probe-only", "changing"))
    receipt = await make.take(journal, *both, at=after(minutes=10))
    assert receipt.cancelled == (run.id,)
    still = await journal.run(other.id)
    assert still is not None
    assert (still.state, still.epoch) == (RunState.APPLYING, other.epoch)


async def test_resolved_keeps_a_waiting_run_that_has_changed_something(journal: Journal) -> None:
    # Its first rung is done; ending it here would leave that change without a verdict.
    run = await make.claimed(journal)
    await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.APPLYING,
        RunState.AWAITING_APPROVAL,
        steps=(make.step(run, StepState.DONE),),
        ask=make.question(run),
        wake_at=after(minutes=30),
        release=True,
    )
    assert (await make.resolve(journal)).cancelled == ()
    now = await journal.run(run.id)
    assert now is not None
    assert now.state is RunState.AWAITING_APPROVAL


async def test_resolved_wakes_a_run_that_verifies(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.APPLYING,
        RunState.VERIFYING,
        steps=(make.step(run, StepState.DONE),),
        wake_at=after(hours=1),
        deadline_at=after(hours=2),
        release=True,
    )
    assert not await journal.claim(at=after(minutes=10), limit=1)
    assert (await make.resolve(journal)).cancelled == ()
    (woken,) = await journal.claim(at=after(minutes=10), limit=1)
    assert (woken.id, woken.deadline_at) == (run.id, after(hours=2))


async def test_an_unregistered_runbook_version_is_refused_whole(journal: Journal) -> None:
    strange = RunbookRecord("v2", "x", "x.yaml", "", "", "", {})
    await journal.register([strange])
    # Each engine has its own class of error for it; all of them name the constraint.
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await journal.take(make.notification(make.starting()))
    assert not (await journal.incidents()).items
    assert (await journal.audit_head())[0] == 0
