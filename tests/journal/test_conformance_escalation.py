"""Proves, over every engine, that an escalation's later calls go out when their time comes, once,
and are dropped when they are no longer needed; and that an acknowledgement is told and kept;
likewise of silences, that each is on record from before it is set until it is gone.
"""

from datetime import timedelta

from remediator.journal.protocol import Journal
from remediator.journal.values import OutboxItem
from remediator.model import escalation
from remediator.model.escalation import AcknowledgeOutcome, Call
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState
from remediator.model.silences import Silence, SilenceState
from remediator.model.views import Note, NoteKind
from tests.journal import factories as make
from tests.journal.conftest import Place
from tests.journal.factories import T0, after

CHAIN = (
    Call(to=("slack",)),
    Call(to=("pagerduty",), after=timedelta(minutes=10)),
    Call(to=("opsgenie", "email"), after=timedelta(minutes=30)),
)


async def opened(place: Place) -> Journal:
    return await place.open(subscribers=("slack",), pagers=("pagerduty", "opsgenie", "email"))


async def called(
    journal: Journal, name: str = "api", to: RunState = RunState.FAILED, **more: object
) -> Run:
    """A run that calls people as it goes to a state."""
    run = await make.claimed(journal, name)
    run = await make.move(journal, run, RunState.PLANNING)
    notes = escalation.notes(CHAIN, run.id, "a person must look", T0)
    outcome = await journal.write(make.update(run, to, notes=notes, **more))
    assert outcome.run is not None
    return outcome.run


async def told(journal: Journal, **parts: float) -> list[tuple[str, NoteKind]]:
    """Deliver all that is due at a time, as the couriers do; who was told what."""
    at, found = after(**parts), []
    await journal.calls_due(at=at)
    while items := await journal.outbox_due(at=at, limit=10):
        for item in items:
            found.append((item.notifier, item.note.kind))
            await journal.outbox_delivered(item, None)
    return found


async def test_each_call_goes_out_when_its_time_comes(place: Place) -> None:
    journal = await opened(place)
    await called(journal)
    assert await told(journal) == [("slack", NoteKind.ESCALATION)]
    assert await journal.calls_due(at=T0) == after(minutes=10)
    assert await told(journal, minutes=9) == []
    assert await told(journal, minutes=10) == [("pagerduty", NoteKind.ESCALATION)]
    last = await told(journal, minutes=31)
    assert sorted(last) == [("email", NoteKind.ESCALATION), ("opsgenie", NoteKind.ESCALATION)]
    assert await journal.calls_due(at=after(days=1)) is None


async def test_what_is_due_later_waits_over_a_restart(place: Place) -> None:
    journal = await opened(place)
    await called(journal)
    await journal.close()
    journal = await opened(place)
    assert await told(journal, minutes=10) == [
        ("slack", NoteKind.ESCALATION),
        ("pagerduty", NoteKind.ESCALATION),
    ]


async def test_an_acknowledgement_drops_the_later_calls_and_is_told(place: Place) -> None:
    journal = await opened(place)
    run = await called(journal)
    await told(journal, minutes=10)
    outcome = await journal.acknowledge(run.id, by="api:al", reason="I look", at=after(minutes=11))
    assert outcome is AcknowledgeOutcome.ACKNOWLEDGED
    assert await told(journal, hours=2) == [
        ("slack", NoteKind.ACKNOWLEDGED),
        ("pagerduty", NoteKind.ACKNOWLEDGED),
    ]
    view = await journal.view(run.id)
    assert view is not None
    assert view.acknowledged is not None
    assert (view.acknowledged.by, view.acknowledged.reason) == ("api:al", "I look")
    kinds = [record.entry.kind for record in await journal.audit(run_id=run.id)]
    assert kinds[-2:] == ["run.acknowledged", "escalation.dropped"]
    again = await journal.acknowledge(run.id, by="api:bo", reason="", at=after(minutes=12))
    assert again is AcknowledgeOutcome.REPEATED


async def test_nobody_was_called_and_nothing_known_have_their_answers(place: Place) -> None:
    journal = await opened(place)
    run = await make.claimed(journal)
    given = {"by": "api:al", "reason": "", "at": T0}
    assert (await journal.acknowledge(run.id, **given)) is AcknowledgeOutcome.NOBODY_CALLED  # type: ignore[arg-type]
    assert (await journal.acknowledge("none", **given)) is AcknowledgeOutcome.UNKNOWN  # type: ignore[arg-type]


async def test_the_alert_clearing_drops_what_is_due_later_and_tells_who_was_called(
    place: Place,
) -> None:
    journal = await opened(place)
    await called(journal)
    await told(journal, minutes=10)
    await make.resolve(journal)
    assert sorted(await told(journal, hours=2)) == [
        ("pagerduty", NoteKind.CLEARED),
        ("slack", NoteKind.CLEARED),
    ]


async def test_a_change_that_could_not_be_taken_back_calls_on(place: Place) -> None:
    journal = await opened(place)
    await called(journal, reason=Reason.UNDO_FAILED)
    await told(journal)
    await make.resolve(journal)
    assert await told(journal, minutes=10) == [("pagerduty", NoteKind.ESCALATION)]


async def test_a_run_that_ends_well_calls_nobody_later(place: Place) -> None:
    journal = await opened(place)
    run = await called(journal, to=RunState.APPLYING)
    await told(journal)
    await journal.write(make.update(run, RunState.SUCCEEDED))
    assert await told(journal, hours=2) == []


async def test_a_person_s_cancel_answers_too(place: Place) -> None:
    journal = await opened(place)
    run = await called(journal, to=RunState.APPLYING)
    await told(journal)
    await journal.cancel(run.id, by="api:al", reason="", at=after(minutes=1))
    view = await journal.view(run.id)
    assert view is not None
    assert view.acknowledged is not None
    assert await told(journal, hours=2) == [
        ("slack", NoteKind.ACKNOWLEDGED),
        ("slack", NoteKind.STATE),
    ]


async def test_a_call_that_reaches_nobody_brings_the_next_forward(place: Place) -> None:
    journal = await opened(place)
    run = await called(journal)
    (item,) = await journal.outbox_due(at=T0, limit=10)
    instead = Note(NoteKind.ESCALATION, run.id, "meant for slack", T0, ("email",))
    await journal.outbox_refused(item, at=T0, error="no such channel", instead=instead)
    assert await told(journal) == [("pagerduty", NoteKind.ESCALATION)]


async def test_one_of_a_call_that_is_lost_calls_nobody_else_while_another_is_told(
    place: Place,
) -> None:
    journal = await opened(place)
    run = await make.claimed(journal)
    run = await make.move(journal, run, RunState.PLANNING)
    chain = (Call(to=("opsgenie", "email")), Call(to=("pagerduty",), after=timedelta(minutes=10)))
    notes = escalation.notes(chain, run.id, "a person must look", T0)
    await journal.write(make.update(run, RunState.FAILED, notes=notes))
    both = await journal.outbox_due(at=T0, limit=10, besides=("slack",))
    one, other = sorted(both, key=lambda item: item.notifier)
    await journal.outbox_delivered(other, None)
    instead = Note(NoteKind.ESCALATION, run.id, "meant for email", T0, ("slack",))
    await journal.outbox_refused(one, at=T0, error="no such address", instead=instead)
    assert await told(journal) == []
    assert await told(journal, minutes=10) == [("pagerduty", NoteKind.ESCALATION)]


async def test_a_call_that_waits_already_is_not_made_twice(place: Place) -> None:
    journal = await opened(place)
    run = await called(journal, to=RunState.APPLYING)
    more = escalation.notes(CHAIN, run.id, "still", after(minutes=5))
    await journal.write(make.update(run, RunState.APPLYING, notes=more))
    assert sorted(await told(journal, minutes=14)) == [
        ("pagerduty", NoteKind.ESCALATION),
        ("slack", NoteKind.ESCALATION),
        ("slack", NoteKind.ESCALATION),
    ]
    assert await told(journal, minutes=20) == []


async def test_a_note_keeps_its_name_over_tries(place: Place) -> None:
    journal = await opened(place)
    await called(journal)

    async def first() -> OutboxItem:
        (item,) = await journal.outbox_due(at=after(hours=1), limit=1)
        return item

    before = await first()
    await journal.outbox_retry(before, at=after(minutes=1), error="503")
    assert before.note.id == (await first()).note.id != ""


async def test_a_silence_is_on_record_from_before_it_is_set_until_it_is_gone(place: Place) -> None:
    journal = await opened(place)
    run = await make.claimed(journal)
    one = Silence(run.id, 1, "default", 'alertname="A"', after(minutes=15), SilenceState.WANTED)
    assert not await journal.silences_wanted([one], epoch=run.epoch + 1, at=T0)
    for _ in range(2):
        assert await journal.silences_wanted([one], epoch=run.epoch, at=T0)
    assert await journal.silences_of(run.id) == (one,)
    await journal.silence_made(one, id_="s-1", error="", at=T0)
    assert await journal.silences_ending(at=after(hours=1), limit=9) == ()
    run = await make.move(journal, run, RunState.PLANNING)
    await journal.write(make.update(run, RunState.FAILED))
    (due,) = await journal.silences_ending(at=T0, limit=9)
    assert (due.id, due.state) == ("s-1", SilenceState.ENDING)
    await journal.silence_again(due, at=after(minutes=1), error="503")
    assert await journal.silences_ending(at=T0, limit=9) == ()
    (due,) = await journal.silences_ending(at=after(minutes=1), limit=9)
    for _ in range(2):
        await journal.silence_gone(due, SilenceState.REMOVED, at=after(minutes=1))
    kinds = [record.entry.kind for record in await journal.audit(run_id=run.id)]
    assert [kind for kind in kinds if kind.startswith("silence")] == [
        "silence.set",
        "silence.removed",
    ]


async def test_a_silence_that_is_set_after_its_run_ended_is_still_removed(place: Place) -> None:
    journal = await opened(place)
    run = await make.claimed(journal)
    one = Silence(run.id, 1, "default", 'alertname="A"', after(minutes=15), SilenceState.WANTED)
    await journal.silences_wanted([one], epoch=run.epoch, at=T0)
    await journal.cancel(run.id, by="api:al", reason="", at=T0)
    await journal.silence_made(one, id_="s-1", error="", at=T0)
    (due,) = await journal.silences_ending(at=T0, limit=9)
    assert due.id == "s-1"
