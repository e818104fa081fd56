"""Proves what a restore does to a copy's runs, whatever state they were copied in: nothing of them
is carried on by itself, nothing that was begun is let go, and people are told.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.journal import restoring, verify
from remediator.journal.copies import Copy, Restored
from remediator.journal.ids import Ids
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.restoring import Mark
from remediator.journal.sqlite import copying, offline
from remediator.journal.statements import Env
from remediator.journal.values import AuditEntry, Expiry, Opening
from remediator.model import escalation
from remediator.model.escalation import Call
from remediator.model.history import Control, LookBack
from remediator.model.overrides import Override, OverrideState
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, StepState
from remediator.model.views import NoteKind
from tests.journal import factories as make
from tests.journal.factories import HandClock, after

NOW = after(hours=5)
S = RunState


async def _open(path: Path) -> Journal:
    opening = Opening("node-1", ("slack",), ("pagerduty",))
    return await open_journal(f"sqlite:///{path}", HandClock(), opening)


def _mark(copy: Copy) -> Mark:
    env = Env("restore", ("slack",), Ids(HandClock()), ("pagerduty",))
    return lambda: restoring.restored(
        env, copy, file="copy.db", by="cli:al", at=NOW, escalate_to=escalation.calls("pagerduty")
    )


def _restore(folder: Path) -> tuple[Restored, Copy]:
    copy = copying.backup(folder / "journal.db", folder / "copy.db", force=False)
    new = folder / "new" / "journal.db"
    done, kept = offline.restore(new, folder / "copy.db", _mark(copy), at=NOW, force=False)
    assert kept is None
    return done, copy


async def _began(journal: Journal, name: str, *states: RunState, done: bool = True) -> Run:
    """Lead a run to where it has begun to change its target, and on through these states."""
    run = await make.claimed(journal, name)
    state = StepState.DONE if done else StepState.STARTED
    step = make.step(run, state, plan_=make.plan(name))
    first = {"steps": (step,), "lock": (f"deployment shop/{name}",)}
    run = await make.move(journal, run, S.PLANNING, S.APPLYING, **first)
    return await make.move(journal, run, *states, wake_at=after(hours=1)) if states else run


async def _raised(journal: Journal, name: str) -> Run:
    """Return the run that is to take a raised limit back, an hour later."""
    run = await _began(journal, name)
    step = make.step(run, StepState.DONE, plan_=make.plan(name))
    await make.move(journal, run, S.SUCCEEDED, spawn=(Expiry(step, after(hours=9)),))
    return next(one for one in (await journal.runs(states=(S.PENDING,))).items)


async def _pending(journal: Journal, name: str) -> Run:
    receipt = await make.take(journal, make.starting(name))
    run = await journal.run(receipt.started[0])
    assert run is not None
    return run


async def _planning(journal: Journal, name: str) -> Run:
    return await make.move(journal, await make.claimed(journal, name), S.PLANNING)


async def _only_looks(journal: Journal, name: str) -> Run:
    run = await make.claimed(journal, name)
    probe = make.step(run, plan_=make.plan(empty=True))
    return await make.move(journal, run, S.PLANNING, S.APPLYING, steps=(probe,))


CASES: list[tuple[str, Callable[[Journal, str], object], RunState]] = [
    ("pending", _pending, S.CANCELLED),
    ("planning", _planning, S.CANCELLED),
    ("waits for a person", make.asked, S.CANCELLED),
    ("only looks", _only_looks, S.CANCELLED),
    ("applying", lambda j, n: _began(j, n, done=False), S.INTERRUPTED),
    ("between steps", _began, S.INTERRUPTED),
    ("asks midway", lambda j, n: _began(j, n, S.AWAITING_APPROVAL), S.INTERRUPTED),
    ("verifying", lambda j, n: _began(j, n, S.VERIFYING), S.INTERRUPTED),
    ("undoing", lambda j, n: _began(j, n, S.UNDOING), S.INTERRUPTED),
    ("raised limit", _raised, S.INTERRUPTED),
]


async def test_an_override_that_nobody_had_used_is_void(tmp_path: Path) -> None:
    journal = await _open(tmp_path / "journal.db")
    run = await _began(journal, "api")
    given = Override(
        *("", run.id, run.id, "cooldown", "api:alice", "customers wait", "api"),
        OverrideState.OPEN,
        NOW,
        after(days=1),
    )
    await journal.grant_override(given, None)
    await journal.close()
    _restore(tmp_path)
    journal = await _open(tmp_path / "new" / "journal.db")
    try:
        (kept,) = await journal.overrides(run.id)
        assert kept.state is OverrideState.EXPIRED
        kinds = [record.entry.kind for record in await journal.audit(run_id=run.id)]
        assert "override.expired" in kinds
    finally:
        await journal.close()


async def test_calls_that_were_due_later_are_dropped_like_every_note(tmp_path: Path) -> None:
    journal = await _open(tmp_path / "journal.db")
    run = await make.claimed(journal)
    later = Call(to=("pagerduty",), after=timedelta(minutes=10))
    notes = escalation.notes((later,), run.id, "a person must look", after())
    run = await make.move(journal, run, S.PLANNING)
    await journal.write(make.update(run, S.FAILED, notes=notes))
    await journal.close()
    _restore(tmp_path)
    journal = await _open(tmp_path / "new" / "journal.db")
    try:
        assert await journal.calls_due(at=after(days=1)) is None
        assert not await journal.outbox_due(at=after(days=1), limit=10)
    finally:
        await journal.close()


@pytest.mark.parametrize(("name", "bring", "to"), CASES, ids=[case[0] for case in CASES])
async def test_nothing_goes_on_by_itself(
    tmp_path: Path, name: str, bring: Callable[[Journal, str], object], to: RunState
) -> None:
    journal = await _open(tmp_path / "journal.db")
    run: Run = await bring(journal, "api")  # type: ignore[misc] # each returns an awaitable run
    held = (await journal.history(run_id="", look=LookBack(), at=NOW)).locks
    await journal.close()
    done, copy = _restore(tmp_path)
    assert (done.cancelled, done.interrupted) == ((1, 0) if to is S.CANCELLED else (0, 1))
    journal = await _open(tmp_path / "new" / "journal.db")
    try:
        now = await journal.run(run.id)
        assert now is not None
        assert (now.state, now.reason) == (to, Reason.RESTORED)
        assert now.epoch > run.epoch  # whoever had it in hand can write nothing more
        assert not await journal.claim(at=after(days=99), limit=10)
        locks = (await journal.history(run_id="", look=LookBack(), at=NOW)).locks
        assert locks == (held if to is S.INTERRUPTED else {})
        view = await journal.view(run.id)
        assert view is not None
        assert view.approval is None or view.approval.status != "open"
        (pause,) = await journal.controls(NOW)
        assert (pause.scope, pause.until, pause.by) == ("*", None, "cli:al")
        due = await journal.outbox_due(at=NOW, limit=10)
        kinds = {(item.notifier, item.note.kind) for item in due}
        paged = ("pagerduty", NoteKind.ESCALATION) in kinds
        assert paged == (to is S.INTERRUPTED)
        assert ("slack", NoteKind.STATE) in kinds
        await _records(journal, copy)
    finally:
        await journal.close()


async def _records(journal: Journal, copy: Copy) -> None:
    """Check that the chain goes on from the copy's head, and says why first of all."""
    records = await journal.audit()
    found = verify.verify(records, expected_head=await journal.audit_head())
    assert found.ok, found.problem
    first: AuditEntry = records[copy.head[0]].entry
    assert (first.kind, first.actor, first.at) == (verify.RESTORED, "cli:al", NOW)
    assert first.details["copy"] == {
        "seq": copy.head[0],
        "hash": copy.head[1],
        "file": "copy.db",
    }


async def test_what_had_ended_or_was_interrupted_stays_and_old_notes_are_dropped(
    tmp_path: Path,
) -> None:
    journal = await _open(tmp_path / "journal.db")
    interrupted = await _began(journal, "one", S.INTERRUPTED)
    ended = await _began(journal, "two", S.SUCCEEDED)
    asks = await make.asked(journal, "three")
    await journal.cancel(asks.id, by="api:al", reason="", at=NOW)
    before = [await journal.run(run.id) for run in (interrupted, ended, asks)]
    waiting = len(await journal.outbox_due(at=NOW, limit=99))
    await journal.pause(Control("scope:shop", "api:al", "release", NOW, None))
    await journal.close()
    done, _ = _restore(tmp_path)
    assert (done.cancelled, done.interrupted, done.notes_dropped) == (0, 0, waiting)
    assert waiting > 0
    journal = await _open(tmp_path / "new" / "journal.db")
    try:
        assert [await journal.run(run.id) for run in (interrupted, ended, asks)] == before
        assert not await journal.outbox_due(at=NOW, limit=99)
        scopes = [control.scope for control in await journal.controls(NOW)]
        assert scopes == ["*", "scope:shop"]
    finally:
        await journal.close()
