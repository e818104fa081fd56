"""Proves that the journal's SQL is the common part of both engines: a real PostgreSQL accepts the
migrations, and prepares every statement that the operations yield, before there is a driver for it.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from remediator.journal import audit, nodes, runs
from remediator.journal.handle import Handle
from remediator.journal.ids import Ids
from remediator.journal.protocol import (
    AuditEntry,
    Control,
    Expiry,
    Guard,
    Journal,
    Opening,
    ResumeHow,
)
from remediator.journal.sqlite import engine as sqlite_engine
from remediator.journal.sqlite import migrate
from remediator.journal.statements import Env, Operation, Record
from remediator.model.approvals import Answer
from remediator.model.incidents import IncidentStatus
from remediator.model.plans import Fact
from remediator.model.runs import RunState, StepState, Trigger
from remediator.model.views import Note, NoteKind
from tests.journal import factories as make
from tests.journal.factories import T0, HandClock, after
from tests.servers.postgres import Postgres

T = TypeVar("T")


class _Listening:
    """An engine that hands everything to SQLite's and keeps the text of each statement."""

    def __init__(self, engine: sqlite_engine.SqliteEngine) -> None:
        self._engine = engine
        self.heard: set[str] = set()

    async def write(
        self, start: Callable[[], Operation[T]], *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write`."""
        return await self._engine.write(
            lambda: self._listen(start()), weight=weight, patient=patient
        )

    async def read(self, start: Callable[[], Operation[T]]) -> T:
        """See `Engine.read`."""
        return await self._engine.read(lambda: self._listen(start()))

    async def close(self) -> None:
        """See `Engine.close`."""
        await self._engine.close()

    @property
    def writable(self) -> bool:
        return True

    def _listen(self, operation: Operation[T]) -> Operation[T]:
        try:
            statement = next(operation)
            while True:
                if not isinstance(statement, Record):
                    self.heard.add(statement.sql)
                answer: Any = yield statement
                statement = operation.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result


async def _use_everything(journal: Journal) -> None:
    """Call every method, each on the way that writes most."""
    run = await make.asked(journal, quorum=2)
    await make.take(journal, make.starting())  # refreshed
    await make.asked(journal, "other", id_="q-2")
    await make.resolve(journal, "other")  # cancelled
    for who in ("slack:U1", "slack:U2"):
        await journal.decide(make.answer(who))
    await journal.decide(make.answer(what=Answer.DENY))
    (run,) = await journal.claim(at=T0, limit=5)
    await journal.beat(at=T0)
    await journal.pause(Control("*", "api:al", "", T0, None))
    done = make.step(run, StepState.DONE)
    outcome = await journal.write(
        make.update(
            run,
            RunState.VERIFYING,
            steps=(done,),
            lock=("x",),
            guard=Guard(lambda _: (), T0),
            verdicts=(make.HOLDS,),
            facts=(Fact("kind", "subject", "value"),),
            notes=tuple(Note(NoteKind.STEP, run.id, text, T0) for text in "abc"),
            audit=(AuditEntry("step.done", "remediator", T0, {}),),
            spawn=(Expiry(done, after(hours=1)),),
            wake_at=after(hours=1),
            release=True,
        )
    )
    assert outcome.run is not None
    await make.resolve(journal)  # woken
    item = (await journal.outbox_due(at=after(hours=1), limit=1))[0]
    await journal.outbox_retry(item, at=T0, error="503")
    await journal.outbox_delivered(item, {"ts": "1"})
    item = (await journal.outbox_due(at=after(hours=1), limit=1))[0]
    await journal.outbox_refused(item, at=T0, error="gone")
    await journal.unpause("*", by="api:al", at=T0)
    by_hand = await journal.start_run(make.start(trigger=Trigger.MANUAL), by="api:al", at=T0)
    (manual,) = [one for one in await journal.claim(at=T0, limit=9) if one.id == by_hand]
    await make.move(journal, manual, RunState.PLANNING, RunState.APPLYING)
    started = (make.step(manual),)
    await make.move(journal, manual, RunState.APPLYING, steps=started)
    await journal.cancel(by_hand, by="api:al", reason="", at=T0)
    await make.move(journal, manual, RunState.INTERRUPTED)
    await journal.resume(by_hand, by="api:al", how=ResumeHow.DONE, at=T0)
    await journal.cancel(by_hand, by="api:al", reason="", at=T0)
    await journal.runs(
        states=(RunState.PENDING,), runbook="x", incident_id="x", cursor="x", limit=1
    )
    await journal.runs(states=(RunState.FAILED,))
    for status in (None, IncidentStatus.OPEN, IncidentStatus.RESOLVED):
        await journal.incidents(status=status)
        await journal.incidents(status=status, cursor="x")
    await journal.history(run_id=run.id, since=T0, at=T0)
    await journal.controls(T0)
    await journal.facts("kind", "subject")
    await journal.run(run.id[-8:])
    await journal.steps(run.id)
    await journal.view(run.id)
    await journal.approval("q-1")
    await journal.runbook("v1")
    await journal.backlog()
    await journal.next_wake()
    await journal.outbox_wake()
    await journal.audit(run_id=run.id)
    await journal.audit()
    await journal.audit_head()
    await journal.record([AuditEntry("x", "y", T0, {})])
    await journal.prune(before=after(days=1))


def _for_postgres(sql: str) -> str:
    return re.sub(r"\beach\((\$\d+)\)", r"json_array_elements_text(\1::json)", sql)


async def test_postgresql_accepts_every_statement(tmp_path: Path, postgres: Postgres) -> None:
    clock = HandClock()
    env = Env("node-1", ("slack",), Ids(clock))
    engine = _Listening(
        await sqlite_engine.open_engine(tmp_path / "journal.db", clock, Opening("node-1"), env)
    )
    journal = Handle(engine, env, clock)
    try:
        await _use_everything(journal)
    finally:
        await journal.close()
    # Those that the engine itself brings, and what only a take-over yields.
    heard = set(engine.heard)
    for operation, answers in (
        (audit.append([AuditEntry("x", "y", T0, {})]), ([(0, "0" * 64)], None, 1)),
        (nodes.join(env, T0), (1,)),
        (runs.free(at=T0), ([("r", "i", "planning", "n")], None, None)),
    ):
        statement = next(operation)
        for answer in answers:
            if not isinstance(statement, Record):
                heard.add(statement.sql)
            try:
                statement = operation.send(answer)
            except StopIteration:
                break
    assert len(heard) > 60

    dsn = postgres.create_database()
    for migration in migrate.known():
        identity = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        postgres.psql(migration.sql.replace("IDENTITY_KEY", identity), dsn)
    prepared = [
        f"PREPARE s{number} AS {_for_postgres(sql)};" for number, sql in enumerate(sorted(heard))
    ]
    postgres.psql("\n".join(prepared), dsn)
    assert postgres.psql("SELECT hash FROM audit_head", dsn) == "0" * 64
