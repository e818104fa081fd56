"""Proves what several replicas on one PostgreSQL rely on: who is dead writes nothing, what it had
is taken over in time, no duty is done twice, no answer is guessed, and none waits for ever.
"""

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.journal import verify
from remediator.journal.protocol import Journal
from remediator.journal.values import (
    AuditEntry,
    JournalUnavailable,
    NodeDead,
    Turn,
    Turned,
    Written,
)
from remediator.model import escalation
from remediator.model.escalation import AcknowledgeOutcome, Call
from remediator.model.incidents import Fate
from remediator.model.repeats import RepeatMode
from remediator.model.runs import Run, RunState, Trigger
from remediator.settings import PostgresSettings
from tests.journal import factories as make
from tests.journal.conftest import Place, Places, postgres_places
from tests.journal.cutter import Cutter, Moment
from tests.journal.factories import RUNBOOK, T0
from tests.servers.postgres import Postgres
from tests.servers.waiting import eventually_async

pytestmark = pytest.mark.servers

_ROOT = Path(__file__).parents[2]
# What the default settings promise, from a replica's death to its runs being free.
_TAKE_OVER_WITHIN_S = 5.0


@pytest.fixture(params=["postgres", "serializable"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty journal on PostgreSQL, in both modes."""
    places: Places = postgres_places(request, request.param)
    made = places(tmp_path)
    yield made
    await made.close()


class Replica:
    """A replica in another process."""

    def __init__(self, url: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.journal.replica", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            text=True,
        )

    async def hears(self, word: str) -> None:
        """Ask for something."""
        assert self._child.stdin is not None
        self._child.stdin.write(word + "\n")
        self._child.stdin.flush()

    async def says(self) -> str:
        """The next line."""
        assert self._child.stdout is not None
        async with asyncio.timeout(30):
            return (await asyncio.to_thread(self._child.stdout.readline)).strip()

    def signal(self, number: signal.Signals) -> None:
        """SIGKILL, SIGSTOP, SIGCONT."""
        self._child.send_signal(number)

    def end(self) -> None:
        """Leave nothing behind."""
        self._child.kill()
        self._child.communicate()


@contextlib.contextmanager
def _replica(place: Place) -> Iterator[Replica]:
    replica = Replica(place.url)
    try:
        yield replica
    finally:
        replica.end()


async def _claimed_by(replica: Replica) -> str:
    word, run_id = (await replica.says()).split()
    assert word == "claimed"
    return run_id


async def _free(journal: Journal, run_id: str) -> None:
    """Until nobody has the run in hand."""

    async def is_free() -> bool:
        run = await journal.run(run_id)
        return run is not None and run.owner is None

    answer: bool = await eventually_async(is_free, what="the run to be free", interval_s=0.02)
    assert answer


async def _whole(journal: Journal) -> None:
    records = await journal.audit(limit=10_000)
    found = verify.verify(records, expected_head=await journal.audit_head())
    assert found.ok, found.problem


async def test_the_runs_of_a_replica_that_died_are_taken_over_in_time(place: Place) -> None:
    journal = await place.open(node="survivor")
    await _due(journal)
    with _replica(place) as replica:
        run_id = await _claimed_by(replica)
        # The survivor must have been in contact for a lease before it may say that others were not.
        await _in_contact(journal)
        replica.signal(signal.SIGKILL)
        died_at = time.monotonic()
        await _free(journal, run_id)
    assert time.monotonic() - died_at < _TAKE_OVER_WITHIN_S
    (again,) = await journal.claim(at=place.clock.now(), limit=5)
    assert (again.id, again.epoch) == (run_id, 2)
    kinds = [record.entry.kind for record in await journal.audit()]
    assert kinds[-2:] == ["node.gone", "run.freed"]
    await _whole(journal)


async def test_a_replica_that_leaves_is_not_waited_for(place: Place) -> None:
    journal = await place.open(node="survivor")
    await _due(journal)
    with _replica(place) as replica:
        run_id = await _claimed_by(replica)
        await replica.hears("leave")
        assert await replica.says() == "left"
        run = await journal.run(run_id)
        assert run is not None
        assert run.owner is None


async def test_a_replica_that_was_paused_for_too_long_writes_nothing_more(place: Place) -> None:
    journal = await place.open(node="survivor")
    await _due(journal)
    with _replica(place) as replica:
        run_id = await _claimed_by(replica)
        replica.signal(signal.SIGSTOP)
        await _free(journal, run_id)
        (taken,) = await journal.claim(at=place.clock.now(), limit=5)
        await replica.hears("write")
        replica.signal(signal.SIGCONT)
        # It knows by its own clock that it may be dead, before it has asked anybody.
        assert await replica.says() == "not sure to be alive"
        assert (await replica.says()).startswith("refused NodeDead node child-")
        assert await replica.says() == "told to stop"
    now = await journal.run(run_id)
    assert now is not None
    assert (now.epoch, now.state) == (taken.epoch, RunState.PENDING)
    assert (await journal.write(make.update(taken, RunState.PLANNING))).written is Written.DONE


async def test_a_replica_that_froze_inside_a_transaction_is_no_obstacle(place: Place) -> None:
    journal = await place.open(node="survivor")
    await _due(journal)
    with _replica(place) as replica:
        run_id = await _claimed_by(replica)
        await replica.hears("enter")
        assert await replica.says() == "alive"
        assert await replica.says() == "inside"
        replica.signal(signal.SIGSTOP)
        await _free(journal, run_id)
        replica.signal(signal.SIGCONT)
        await replica.hears("go on")
        assert (await replica.says()).startswith("refused")
    now = await journal.run(run_id)
    assert now is not None
    assert now.state is RunState.PENDING


async def test_each_duty_has_one_owner_and_another_when_that_is_gone(place: Place) -> None:
    first = await place.open(node="first", duties=("a", "b"))
    second = await place.open(node="second", duties=("a", "b"))

    def owners(duty: str) -> list[str]:
        return [name for name, one in (("1", first), ("2", second)) if one.on_duty(duty)]

    await eventually_async(lambda: owners("a") and owners("b"), what="the duties to be taken")
    assert (owners("a"), owners("b")) == (["1"], ["1"])
    assert not first.on_duty("c")
    await first.close()
    await eventually_async(lambda: owners("a") == owners("b") == ["2"], what="the second to take")


_IN_THE_WAY = """
    CREATE SEQUENCE in_the_way;
    CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('in_the_way') <= 12 THEN
            RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER in_the_way BEFORE UPDATE ON nodes
        FOR EACH ROW EXECUTE FUNCTION in_the_way();
"""
_OUT_OF_THE_WAY = "DROP FUNCTION in_the_way CASCADE; DROP SEQUENCE in_the_way;"


async def test_a_heartbeat_that_met_another_transaction_is_made_again(
    postgres: Postgres, place: Place
) -> None:
    """At `serializable` any statement may be told to come again, the lease's own as well."""
    first = await place.open(node="first", duties=("a",))
    lease_s = PostgresSettings().lease.total_seconds()
    postgres.psql(_IN_THE_WAY, place.url)
    try:
        until = time.monotonic() + 1.5 * lease_s
        await eventually_async(
            lambda: time.monotonic() >= until and first.alive and first.on_duty("a"),
            what="it to live on for more than a lease",
        )
        met = int(postgres.psql("SELECT last_value FROM in_the_way", place.url))
        assert met > 12, "no heartbeat met another transaction"
    finally:
        postgres.psql(_OUT_OF_THE_WAY, place.url)


async def test_a_death_of_the_database_is_nobody_elses(postgres: Postgres, place: Place) -> None:
    """All were out of contact: the first that comes back must not bury the rest."""
    first = await place.open(node="first")
    second = await place.open(node="second")
    await _in_contact(first)
    lease_s = PostgresSettings().lease.total_seconds()
    postgres.freeze()
    try:
        with pytest.raises(JournalUnavailable):
            async with asyncio.timeout(30):
                await first.record([AuditEntry("x", "y", T0, {})])
        await eventually_async(
            lambda: not first.alive and not second.alive, what="both to know that they are not sure"
        )
        with pytest.raises(JournalUnavailable):
            await first.prove_alive()
        await asyncio.sleep(lease_s)  # longer than a lease, by everybody's clock
    finally:
        postgres.thaw()
    await eventually_async(lambda: first.alive and second.alive, what="contact with both again")
    await _in_contact(second)
    for journal in (first, second):
        await journal.prove_alive()
        await journal.record([AuditEntry("x", "y", T0, {})])
    await _whole(first)


async def test_shuffled_duplicates_at_two_replicas_neither_deadlock_nor_double(
    postgres: Postgres, place: Place
) -> None:
    replicas = [await place.open(node=name) for name in ("first", "second")]
    await replicas[0].register([RUNBOOK])
    alerts = [make.starting(f"svc-{number}") for number in range(1000)]
    before = _deadlocks(postgres, place)
    chance = random.Random(7)  # noqa: S311 - the same order each time
    posts = [
        replica.take(make.notification(alert))
        for replica in replicas
        for alert in chance.sample(alerts, len(alerts))
    ]
    receipts = await asyncio.gather(*posts)
    fates = [fate for receipt in receipts for fate in receipt.fates]
    assert (fates.count(Fate.OPENED), fates.count(Fate.REFRESHED)) == (1000, 1000)
    assert sum(len(receipt.started) for receipt in receipts) == 1000
    assert (await replicas[0].backlog()).open_incidents == 1000
    assert _deadlocks(postgres, place) == before
    await _whole(replicas[1])


@pytest.mark.parametrize("mode", [RepeatMode.SINGLE, RepeatMode.QUEUED, RepeatMode.RESTART])
async def test_of_runs_of_one_line_one_goes_on_whichever_replicas_ask(
    postgres: Postgres, place: Place, mode: RepeatMode
) -> None:
    replicas = [await place.open(node="first"), await place.open(node="second")]
    await replicas[0].register([RUNBOOK])
    for _ in range(12):
        start = make.start(trigger=Trigger.MANUAL)
        await replicas[0].start_run(start, by="api:al", at=T0)
    theirs = [(journal, await journal.claim(at=T0, limit=6)) for journal in replicas]
    asked = [(journal, run) for journal, runs in theirs for run in runs]
    assert len(asked) == 12
    turn = Turn("scale-out/", mode, 20)
    random.Random(7).shuffle(asked)  # noqa: S311 - the same order each time
    before = _deadlocks(postgres, place)
    outcomes = await asyncio.gather(
        *(journal.take_turn(run.id, turn, epoch=run.epoch, at=T0) for journal, run in asked)
    )
    stopped = {run.id for outcome in outcomes for run in outcome.stopped}
    going = [
        run.id
        for (_, run), outcome in zip(asked, outcomes, strict=True)
        if outcome.turned is Turned.TAKEN and run.id not in stopped
    ]
    assert len(going) == 1, outcomes
    assert _deadlocks(postgres, place) == before
    if mode is RepeatMode.QUEUED:
        assert sum(outcome.turned is Turned.WAITS for outcome in outcomes) == 11


async def test_a_later_call_comes_due_or_is_dropped_whichever_replica_is_first(
    place: Place,
) -> None:
    pagers = ("pagerduty",)
    one = await place.open(node="one", pagers=pagers)
    two = await place.open(node="two", pagers=pagers)
    at = make.after(minutes=10)
    chain = (Call(to=pagers, after=timedelta(minutes=10)),)
    for number in range(12):
        run = await make.claimed(one, f"n{number}")
        run = await make.move(one, run, RunState.PLANNING)
        notes = escalation.notes(chain, run.id, "a person must look", T0)
        await one.write(make.update(run, RunState.FAILED, notes=notes))
        outcome, *_ = await asyncio.gather(
            two.acknowledge(run.id, by="api:al", reason="", at=at),
            one.calls_due(at=at),
            two.calls_due(at=at),
        )
        assert outcome is AcknowledgeOutcome.ACKNOWLEDGED
        due = await one.outbox_due(at=at, limit=100, notifier="pagerduty")
        calls = [item for item in due if item.note.run_id == run.id]
        kinds = [record.entry.kind for record in await one.audit(run_id=run.id)]
        dropped = kinds.count("escalation.dropped")
        # Dropped, or told: once, and never both.
        assert (len(calls), dropped) in ((1, 0), (0, 1))
        for item in calls:
            await two.outbox_delivered(item, None)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lost_answer_to_commit_is_looked_up(
    postgres: Postgres, place: Place, moment: Moment
) -> None:
    cutter = Cutter(postgres.port)
    await cutter.start()
    direct = place.url
    try:
        place.url = direct.replace(f":{postgres.port}/", f":{cutter.port}/")
        journal = await place.open(node="cut-off")
        place.url = direct
        await journal.register([RUNBOOK])
        cutter.arm(moment)
        taking = make.take(journal, make.starting("once"))
        if moment == "after":
            receipt = await taking
            assert len(receipt.started) == 1
        else:
            with pytest.raises(JournalUnavailable, match="does not answer"):
                await taking
            assert (await journal.backlog()).open_incidents == 0
            receipt = await make.take(journal, make.starting("once"))
        assert cutter.cuts == 1
        assert receipt.fates == (Fate.OPENED,)
        received = [r for r in await journal.audit() if r.entry.kind == "notification"]
        assert len(received) == 1
        await _whole(journal)
        await journal.close()
    finally:
        await cutter.close()


async def test_a_batch_that_takes_long_is_nobodys_death(postgres: Postgres, place: Place) -> None:
    journal = await place.open(node="slow", duties=("a",))
    other = await place.open(node="other")
    run = await make.claimed(journal)
    gate = place.gate()
    shut = await gate.shut(journal, run)
    postgres.psql("DELETE FROM duties", place.url)  # there is something to write for the lease
    await _in_contact(journal)
    await _in_contact(journal)
    gate.open()
    assert (await shut).written is Written.DONE
    assert "node.gone" not in [record.entry.kind for record in await other.audit()]


async def test_a_claim_whose_answer_was_lost_is_handed_back(place: Place) -> None:
    journal = await place.open()
    first, lost = await make.claimed(journal, "first"), await make.claimed(journal, "lost")
    assert await journal.unhand([first.id], at=T0) == 1
    (again,) = await journal.claim(at=T0, limit=5)
    assert (again.id, again.epoch) == (lost.id, lost.epoch + 1)
    assert (await journal.write(make.update(lost, RunState.PLANNING))).written is Written.FENCED


async def test_a_commit_wakes_the_other_replica_where_it_may(place: Place) -> None:
    hinted = asyncio.Event()
    first = await place.open(node="first")
    await place.open(node="second", on_due=lambda _: hinted.set())
    await _due(first)
    assert place.postgres is not None
    if place.postgres.listen_notify:
        async with asyncio.timeout(10):
            await hinted.wait()
    else:
        await first.record([AuditEntry("x", "y", T0, {})])  # time enough for a hint to arrive
        assert not hinted.is_set()


async def test_a_node_that_was_declared_dead_says_so_to_everything(
    postgres: Postgres, place: Place
) -> None:
    dead = asyncio.Event()
    journal = await place.open(on_dead=dead.set)
    postgres.psql("UPDATE nodes SET dead_us = 1", place.url)
    with pytest.raises(NodeDead):
        await make.take(journal, make.alert())
    async with asyncio.timeout(10):
        await dead.wait()
    assert (journal.alive, journal.writable) == (False, False)
    with pytest.raises(NodeDead):
        await journal.prove_alive()
    assert (await journal.backlog()).open_incidents == 0  # it can still look


async def _due(journal: Journal) -> Run:
    await journal.register([RUNBOOK])
    receipt = await make.take(journal, make.starting())
    run = await journal.run(receipt.started[0])
    assert run is not None
    return run


async def _in_contact(journal: Journal) -> None:
    """Until it has been for more than a lease without a break."""
    lease_s = PostgresSettings().lease.total_seconds()
    until = time.monotonic() + 1.2 * lease_s

    def long_enough() -> bool:
        assert journal.alive
        return time.monotonic() > until

    await eventually_async(long_enough, what="a whole lease of contact")


def _deadlocks(postgres: Postgres, place: Place) -> str:
    return postgres.psql(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", place.url
    )


async def test_no_plan_of_the_database_claims_more_than_there_is_room_for(place: Place) -> None:
    """With these off, PostgreSQL looks for the rows of a plain IN at each row that it updates."""
    others = ("hashjoin", "mergejoin", "hashagg", "sort", "material")
    off = "&".join(f"enable_{plan}=off" for plan in others)
    steered = Place(f"{place.url}?{off}", place.postgres)
    journal = await steered.open()
    try:
        await journal.register([RUNBOOK])
        for _ in range(5):
            await journal.start_run(make.start(trigger=Trigger.MANUAL), by="api:a", at=T0)
        assert len(await journal.claim(at=T0, limit=2)) == 2
        assert len(await journal.claim(at=T0, limit=9)) == 3
    finally:
        await steered.close()
