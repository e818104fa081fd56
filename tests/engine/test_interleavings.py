"""Several daemons over one journal, in every interleaving that hypothesis finds.

Nodes are killed at any write and after any apply, frozen (also between the check of the lease and
the call), declared dead, thawed; answers get lost; notifications come twice, late and in another
order; people answer at two nodes at once; the clock jumps. After each step:

- a notification that was acknowledged is on record, and no fingerprint has two open incidents;
- an incident, a runbook and a trigger have one run;
- at the moment of every change its intent is committed and the run holds the lock, and no change is
  made twice unless it was taken back or a person said «repeat»;
- no write of a node lands after it was declared dead;
- of runs that are queued behind each other one goes on at a time;
- transitions follow the table, only runs that live or are interrupted hold locks;
- and when everything is let run, every run ends and the audit chain proves itself.

The nodes here are not told that they are dead: what keeps them out is owner and epoch alone.
`REMEDIATOR_TEST_EXAMPLES=1000` looks at more.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from remediator.journal import verify
from remediator.journal.values import JournalUnavailable, ResumeHow
from remediator.model.alerts import Alert, AlertStatus, Notification, fingerprint
from remediator.model.approvals import Answer
from remediator.model.reasons import Reason
from remediator.model.runs import TRANSITIONS, Run, RunState
from remediator.plugin.action import Temporary
from tests.engine.cluster import Cluster, Fault, Node
from tests.engine.test_invariants import RUNBOOKS, Witness, unknown

_NODES = 3
_node = st.integers(0, _NODES - 1)
_n = st.sampled_from(["1", "2"])
_A_WHILE = st.sampled_from([1, 11, 70, 301, 700])


class Interleavings(RuleBasedStateMachine):
    """What may happen, and what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.world = Witness(journal=folder / "journal.db")
        self.cluster = self.do(_made(folder, self.world))
        self.acknowledged: set[str] = set()
        self.states: dict[str, str] = {}
        self.held_back: list[Alert] = []
        self.told: list[Alert] = []

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Let something be done, and everything that follows from it without time."""
        return self._loop.run_until_complete(work)

    def teardown(self) -> None:
        try:
            self.do(self._finish())
        finally:
            self.do(self.cluster.stop())
            self._loop.close()
            self._folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.do(self._start_all())

    # --- what senders do

    @rule(n=_n, number=_node, held_back=st.booleans())
    def fires(self, n: str, number: int, held_back: bool) -> None:
        labels = {"alertname": "Broken", "n": n}
        alert = Alert(
            AlertStatus.FIRING, labels, {}, self.cluster.clock.now(), None, "", fingerprint(labels)
        )
        self.cluster.alerts.fire(alert)
        self._tell(alert, number, held_back)

    @rule(n=_n, number=_node, held_back=st.booleans())
    def resolves(self, n: str, number: int, held_back: bool) -> None:
        labels = {"alertname": "Broken", "n": n}
        self.cluster.alerts.clear(labels)
        now = self.cluster.clock.now()
        alert = Alert(AlertStatus.RESOLVED, labels, {}, now, now, "", fingerprint(labels))
        self._tell(alert, number, held_back)

    @precondition(lambda self: self.told)
    @rule(data=st.data(), numbers=st.permutations(range(_NODES)))
    def comes_again(self, data: st.DataObject, numbers: list[int]) -> None:
        """A peer's duplicate, perhaps of long ago, at two nodes at once."""
        alert = data.draw(st.sampled_from(self.told))
        self.do(self._at_once(*(self._post(alert, n) for n in numbers[:2])))

    @precondition(lambda self: self.held_back)
    @rule(data=st.data(), number=_node)
    def comes_late(self, data: st.DataObject, number: int) -> None:
        alert = self.held_back.pop(data.draw(st.integers(0, len(self.held_back) - 1)))
        self._tell(alert, number, held_back=False)

    @rule(yes=st.booleans())
    def alertmanager_answers(self, yes: bool) -> None:
        self.cluster.alerts.reachable = yes

    # --- what happens to nodes

    @rule(number=_node, fault=st.sampled_from(Fault), after=st.integers(0, 4))
    def a_write_will_fail(self, number: int, fault: Fault, after: int) -> None:
        self.cluster.nodes[number].arm(fault, after)

    @rule(number=_node)
    def will_die_after_an_apply(self, number: int) -> None:
        self.cluster.nodes[number].dies_after_apply = True

    @rule(number=_node)
    def will_freeze_at_a_call(self, number: int) -> None:
        self.cluster.nodes[number].freezes_at_call = True

    @rule(number=_node)
    def is_killed(self, number: int) -> None:
        self.cluster.nodes[number].kill()
        self.do(self.cluster.settle())

    @rule(number=_node)
    def freezes(self, number: int) -> None:
        self.cluster.nodes[number].freeze()

    @rule(number=_node)
    def is_reaped(self, number: int) -> None:
        """Only who is frozen or gone stops its heartbeat; others are declared dead wrongly."""
        node = self.cluster.nodes[number]
        if node.identity and not node.declared_dead and (node.frozen or not node.up):
            self.cluster.declare_dead(node)
            self.do(self.cluster.settle())

    @rule(number=_node)
    def thaws(self, number: int) -> None:
        """A node that was declared dead goes on with what it has in hand, and starts again."""
        self.do(self._thaw(self.cluster.nodes[number]))

    @rule(n=_n, seconds=_A_WHILE)
    def stands_still_and_is_replaced(self, n: str, seconds: int) -> None:
        """Between the check of the lease and the call; then another takes over, then it goes on."""
        for node in self.cluster.nodes:
            node.freezes_at_call = True
        self.fires(n, 0, held_back=False)
        for node in self.cluster.nodes:
            node.freezes_at_call = False
            if node.frozen and not node.declared_dead:
                self.cluster.declare_dead(node)
        self.do(self.cluster.advance(timedelta(seconds=seconds)))
        for node in self.cluster.nodes:
            self.do(self._thaw(node))

    @rule(number=_node)
    def starts(self, number: int) -> None:
        self.do(self._start(self.cluster.nodes[number]))

    @rule(seconds=_A_WHILE)
    def time_passes(self, seconds: int) -> None:
        self.do(self.cluster.advance(timedelta(seconds=seconds)))

    @rule(seconds=st.sampled_from([-3600, -60, -1, 60, 3600]))
    def the_clock_is_set(self, seconds: int) -> None:
        self.cluster.set_clock(timedelta(seconds=seconds))
        self.do(self.cluster.settle())

    @rule(call=st.sampled_from(["plan", "apply", "undo"]))
    def the_target_is_busy(self, call: str) -> None:
        self.world.trouble[call].append(Temporary("busy"))

    # --- what people do

    @rule(
        one=st.sampled_from(Answer),
        other=st.sampled_from(Answer),
        numbers=st.permutations(range(_NODES)),
    )
    def two_people_answer(self, one: Answer, other: Answer, numbers: list[int]) -> None:
        for run in self._runs(RunState.AWAITING_APPROVAL):
            self.do(
                self._at_once(
                    self._decide(run, "alice", one, numbers[0]),
                    self._decide(run, "bob", other, numbers[1]),
                )
            )

    @rule(data=st.data(), number=_node)
    def cancels(self, data: st.DataObject, number: int) -> None:
        known = self._runs()
        node = self.cluster.nodes[number]
        if known and node.up and not node.frozen:
            run = data.draw(st.sampled_from(known))
            self.do(self._asked(node.control.cancel(run.id, by="api:bob", reason="")))

    @rule(undo=st.booleans())
    def resumes(self, undo: bool) -> None:
        self.do(self._resume(undo))

    @rule(days=st.sampled_from([0, 1]))
    def prunes(self, days: int) -> None:
        before = self.cluster.clock.now() - timedelta(days=days)
        gone = self.do(self.cluster.journal.prune(before=before))
        assert gone >= 0

    # --- what must hold

    @invariant()
    def nobody_did_what_is_forbidden(self) -> None:
        assert self.cluster.violations == []
        assert self.world.violations == []
        self.world.check_once()

    @invariant()
    def the_journal_is_sound(self) -> None:
        select = self.cluster.engine.select
        audited = "SELECT details FROM audit WHERE kind = 'notification'"
        recorded = " ".join(row[0] for row in select(audited))
        assert all(one in recorded for one in self.acknowledged)
        assert not select(
            "SELECT fingerprint FROM incidents WHERE status = 'open'"
            " GROUP BY sender, fingerprint HAVING COUNT(*) > 1"
        )
        assert not select(
            "SELECT incident_id FROM runs WHERE incident_id IS NOT NULL AND trigger <> 'expiry'"
            " GROUP BY incident_id, runbook, trigger HAVING COUNT(*) > 1"
        )
        held = select("SELECT r.state FROM locks AS l LEFT JOIN runs AS r ON r.id = l.run_id")
        assert all(state is not None and not RunState(state).ended for (state,) in held), held
        beside = select(
            "SELECT line, COUNT(*) FROM runs WHERE line <> '' AND ended_us IS NULL AND has_turn = 1"
            " GROUP BY line HAVING COUNT(*) > 1"
        )
        early = select(
            "SELECT id, state FROM runs WHERE runbook = 'in-turn' AND ended_us IS NULL"
            " AND has_turn = 0 AND state <> 'pending' AND trigger <> 'expiry'"
        )
        assert (beside, early) == ([], []), "runs that take turns go on side by side"

    @invariant()
    def states_follow_the_table(self) -> None:
        states = self.states
        for record in self.do(self.cluster.new_records()):
            if record.entry.kind == "run.state":
                run_id, told = str(record.entry.run_id), record.entry.details
                assert told["from"] == states.get(run_id), record
                if told["from"] is not None:
                    assert RunState(str(told["to"])) in TRANSITIONS[RunState(str(told["from"]))]
                assert told["reason"] != Reason.INTERNAL, record
                states[run_id] = str(told["to"])
        for run in self._runs():
            assert states[run.id] == run.state

    # --- how it is done

    def _runs(self, *states: RunState) -> list[Run]:
        page = self.do(self.cluster.journal.runs(states=states, limit=500))
        return sorted(page.items, key=lambda run: run.id)

    def _tell(self, alert: Alert, number: int, held_back: bool) -> None:
        if held_back:
            self.held_back.append(alert)
            return
        self.told.append(alert)
        self.do(self._at_once(self._post(alert, number)))

    async def _at_once(self, *work: Coroutine[Any, Any, None]) -> None:
        """Begin all of it; what hangs on a frozen or dead node is given up, as a client does."""
        tasks = [asyncio.ensure_future(one) for one in work]
        await self.cluster.settle()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _asked(self, work: Coroutine[Any, Any, Any]) -> None:
        async def answered() -> None:
            with contextlib.suppress(JournalUnavailable):  # a 503: the person asks again
                await work

        await self._at_once(answered())

    async def _post(self, alert: Alert, number: int) -> None:
        """Send a notification to the first node that answers, as a sender that tries again."""
        for step in range(2 * _NODES):
            node = self.cluster.nodes[(number + step) % _NODES]
            if not node.up or node.frozen:
                continue
            now = self.cluster.clock.now()
            told = Notification("r", alert.status, "{}", {}, {}, {}, "", (alert,))
            candidates = node.intake.matched(told, now)
            try:
                receipt = await node.intake.take("default", "test", b"{}", now, candidates)
            except JournalUnavailable:
                continue
            self.acknowledged.add(receipt.notification_id)
            return

    async def _decide(self, run: Run, actor: str, answer: Answer, number: int) -> None:
        node = self.cluster.nodes[number]
        view = await self.cluster.journal.view(run.id)
        if view is None or view.approval is None or not node.up or node.frozen:
            return
        try:
            await node.desk.decide(
                view.approval.id, actor=actor, answer=answer, reason="", via="test"
            )
        except JournalUnavailable:
            return

    async def _start(self, node: Node) -> None:
        """Start under a new identity; what the old one had is freed as soon as it is missed."""
        if node.up:
            return
        if node.identity and not node.declared_dead:
            self.cluster.declare_dead(node)
        await node.start()
        await self.cluster.settle()

    async def _start_all(self) -> None:
        for node in self.cluster.nodes:
            await self._start(node)

    async def _thaw(self, node: Node) -> None:
        if not node.frozen:
            return
        node.thaw()
        await self.cluster.settle()
        if node.declared_dead:  # no row came back for its heartbeat
            node.kill()
            await self._start(node)

    async def _resume(self, undo: bool) -> None:
        """A person looks, and tells the truth."""
        page = await self.cluster.journal.runs(states=(RunState.INTERRUPTED,), limit=500)
        for run in page.items:
            how = ResumeHow.UNDO if undo else await self._found(run)
            await self.cluster.journal.resume(
                run.id, by="alice", how=how, at=self.cluster.clock.now()
            )
            await self.cluster.settle()

    async def _found(self, run: Run) -> ResumeHow:
        steps = await self.cluster.journal.steps(run.id)
        in_hand = [s for s in steps if s.state in ("started", "undoing")]
        if not in_hand:
            return ResumeHow.DONE
        step = unknown(in_hand)
        assert step.plan is not None
        name, (change,) = step.plan.target.name, step.plan.changes
        wanted = change.after if step.state == "started" else change.before
        return ResumeHow.DONE if self.world.get(name) == wanted else ResumeHow.REPEAT

    async def _finish(self) -> None:
        """Let everything come to its end: nothing may hang for ever."""
        cluster = self.cluster
        self.world.trouble.clear()
        cluster.alerts.reachable = True
        for node in cluster.nodes:
            node.disarm()
            await self._thaw(node)
            await self._start(node)
        for _ in range(24):
            await self._resume(undo=False)
            if all(run.state.ended for run in await self._all()):
                break
            await cluster.advance(timedelta(minutes=10))
        assert [run for run in await self._all() if not run.state.ended] == []
        head = await cluster.journal.audit_head()
        await cluster.new_records()
        found = verify.verify(cluster.records, expected_head=head)
        assert found.ok, found.problem
        assert cluster.violations == []
        assert self.world.violations == []
        self.world.check_once()

    async def _all(self) -> list[Run]:
        return list((await self.cluster.journal.runs(limit=500)).items)


async def _made(folder: Path, world: Witness) -> Cluster:
    return Cluster(folder, world, RUNBOOKS, count=_NODES)


TestInterleavings = Interleavings.TestCase
_MORE = os.environ.get("REMEDIATOR_TEST_EXAMPLES")
TestInterleavings.settings = settings(
    max_examples=int(_MORE or 60),
    stateful_step_count=25,
    # The same ones each time, so that a change is judged by what it does; others when asked for.
    derandomize=_MORE is None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
