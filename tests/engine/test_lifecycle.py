"""Around the run: the version of its runbook, what people are told and in which order, a journal
that takes nothing for a while, and a bug inside an action."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.journal import verify
from remediator.journal.values import AuditEntry, Overloaded
from remediator.model.escalation import Call
from remediator.model.plans import Progress
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.plugin.notifier import NotAuthorised
from remediator.plugin.source import Rejected
from tests.engine.conftest import Begin, Scene
from tests.engine.world import SetValue, being, runbook, setting


async def test_a_run_keeps_the_version_that_it_began_with(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="5m"))
    await scene.daemon.load(runbook(setting("b", 1)))
    await scene.daemon.restart()  # nothing is left in memory
    await scene.advance(minutes=6)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]
    await scene.fire(n="2")
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1)]


async def test_a_runbook_whose_action_is_gone_ends_the_run_before_a_change(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="5m"))
    await _without_its_action(scene)
    await scene.advance(minutes=6)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.RUNBOOK_GONE)
    assert "world.set" in run.message
    assert [note.run_id for note in scene.pager.told] == [run.id]


async def test_a_runbook_whose_action_is_gone_waits_for_a_person_inside_a_change(
    begin: Begin,
) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING] * 100

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    await _without_its_action(scene)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, Reason.RUNBOOK_GONE)
    assert list((await scene.locks()).values()) == [run.id]
    assert len(scene.pager.told) == 1


async def _without_its_action(scene: Scene) -> None:
    """Start again, as a version of the daemon in which `world.set` was removed."""
    await scene.daemon.crash()
    kept = tuple(one for one in scene.daemon.setup.operations if not isinstance(one, SetValue))
    scene.daemon.setup = replace(scene.daemon.setup, operations=kept)
    scene.daemon.force(runbook(being("a", 1)))
    await scene.daemon.start()


async def test_people_are_told_in_order_and_only_of_what_is_news(begin: Begin) -> None:
    scene = await begin(
        runbook(
            setting("a", 1),
            setting("b", 1),
            mode="approve",
            verify={"resolved_within": "1m"},
        )
    )
    await scene.daemon.decide((await scene.run()).id)
    await scene.advance(minutes=2)
    assert [note.kind for note in scene.recorder.told] == [
        NoteKind.APPROVAL,
        NoteKind.STATE,  # approved
        NoteKind.STEP,  # a
        NoteKind.STEP,  # b
        NoteKind.STATE,  # verifying
        NoteKind.STATE,  # undoing
        NoteKind.STEP,  # b taken back
        NoteKind.STEP,  # a taken back
        NoteKind.STATE,  # rolled back
    ]
    assert [note.kind for note in scene.pager.told] == [NoteKind.ESCALATION]


@pytest.mark.parametrize("answered", [False, True])
async def test_a_later_call_goes_out_unless_somebody_answers(begin: Begin, answered: bool) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.FAILED]

    chain = ("recorder", Call(to=("pager",), after=timedelta(minutes=10)))
    scene = await begin(runbook(setting("a", 1)), prepare=prepare, escalate_to=chain)
    assert await scene.state() is RunState.ROLLED_BACK
    await scene.advance(minutes=9)
    assert [note.kind for note in scene.pager.told] == []
    if answered:
        await scene.daemon.control.acknowledge((await scene.run()).id, by="api:al", reason="")
    await scene.advance(minutes=2)
    told = [note.kind for note in scene.pager.told]
    assert told == ([] if answered else [NoteKind.ESCALATION])


async def test_a_notifier_that_is_down_holds_up_no_run_and_loses_nothing(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.recorder.down = 4

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.recorder.told == []
    await scene.daemon.restart()
    await scene.advance(minutes=2)
    kinds = [note.kind for note in scene.recorder.told]
    assert kinds == [NoteKind.STATE, NoteKind.STEP, NoteKind.STATE]


async def test_a_journal_that_takes_nothing_for_a_while_loses_no_run(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING]

    scene = await begin(runbook(setting("a", 1), setting("b", 1)), prepare=prepare, write_queue=1)
    assert scene.world.made == [("a", 0, 1)]
    # Another program holds the file's write lock, and the queue before it is full.
    other = sqlite3.connect(scene.daemon.journal_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    stuck = await _fill_the_queue(scene)
    scene.daemon.clock.advance(timedelta(seconds=2))
    await _turn(100)
    assert scene.world.made == [("a", 0, 1)], "no intent was stored, so nothing was changed"
    other.execute("ROLLBACK")
    other.close()
    await asyncio.gather(*stuck)
    await scene.advance(seconds=10)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1)]


async def _fill_the_queue(scene: Scene) -> list[asyncio.Future[None]]:
    entry = AuditEntry("test", "test", scene.daemon.clock.now(), {})
    stuck: list[asyncio.Future[None]] = []
    while True:
        record = asyncio.ensure_future(scene.daemon.journal.record([entry]))
        await _turn(5)
        if record.done():
            assert isinstance(record.exception(), Overloaded)
            return stuck
        stuck.append(record)
        assert len(stuck) < 50, "the queue has no bound"


async def _turn(rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


async def test_a_bug_inside_an_action_waits_for_a_person(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.after["apply"] = [KeyError("a bug of ours")]

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, Reason.INTERNAL)
    assert list((await scene.locks()).values()) == [run.id]
    assert len(scene.pager.told) == 1
    await scene.advance(hours=2)
    assert scene.world.made == [("a", 0, 1)]


async def test_a_run_by_hand_needs_no_alert(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), fire=False)
    await scene.daemon.control.start("repair", {"alertname": "Broken"}, by="api:alice")
    await scene.daemon.settle()
    run = await scene.run()
    assert (run.state, run.started_by) == (RunState.SUCCEEDED, "api:alice")


async def test_a_run_for_what_resolved(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), when="resolved"))
    assert await scene.daemon.runs() == ()
    await scene.clear()
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]


async def test_a_duplicate_starts_no_second_run_and_a_new_episode_does(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)))
    await scene.fire()
    assert len(await scene.daemon.runs()) == 1
    await scene.advance(minutes=1)
    await scene.clear()
    await scene.advance(minutes=1)
    await scene.fire()
    assert len(await scene.daemon.runs()) == 2


async def test_the_chain_of_all_this_proves_itself(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), verify={"resolved_within": "1m"}))
    await scene.advance(minutes=2)
    head = await scene.daemon.journal.audit_head()
    found = verify.verify(await scene.daemon.audit(), expected_head=head)
    assert found.ok, found.problem
    assert found.records > 10


async def test_a_condition_that_can_t_be_told_is_on_record(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), if_="int(labels.n) > 5"), fire=False)
    await scene.fire(n="many")
    assert await scene.daemon.runs() == ()
    (failed,) = [
        r for r in await scene.daemon.audit() if r.entry.kind == "runbook.condition_failed"
    ]
    assert str(failed.entry.details["reason"]).startswith("repair: ")


async def test_a_pause_of_a_runbook_that_is_not_there_is_refused(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), fire=False)
    with pytest.raises(Rejected, match="no runbook is called 'repiar'; did you mean repair"):
        await scene.daemon.pauses.pause("runbook:repiar", by="local", reason="", for_=None)
    await scene.daemon.pauses.pause("runbook:rep*", by="local", reason="", for_=None)


async def test_a_pause_for_no_time_is_refused_and_not_for_ever(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), fire=False)
    desk = scene.daemon.desk
    said = await desk.pause("*", actor="local", reason="x", for_=timedelta(), via="slack")
    assert said.startswith("Nothing was paused: for: a pause for no time")
    assert await scene.daemon.journal.controls(scene.daemon.clock.now()) == ()


async def test_only_people_of_the_run_acknowledge_it(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.FAILED]

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    run = await scene.run()
    desk = scene.daemon.desk
    with pytest.raises(NotAuthorised):
        await desk.acknowledge(run.id, actor="slack:U0EVIL", reason="", via="slack")
    said = await desk.acknowledge(run.id, actor="local", reason="", via="cli")
    assert said == "Acknowledged. Nobody else is called for this run."
    said = await desk.acknowledge(run.id, actor="local", reason="", via="cli")
    assert said == "Somebody had acknowledged it before."
