"""Several daemons' engines over one journal in one thread, so that every interleaving is chosen.

The journal's operations run on a SQLite file through `sqlite.connection.drive`, each in its own
transaction, without the writer's thread. Each node has a handle of its own identity, and between
handle and engine a wire on which a test freezes the node, kills it before or after a commit, or
loses an answer. All use of the journal's internals is in this file.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from remediator.engine.answers import ApprovalDesk
from remediator.engine.context import PluginContext
from remediator.engine.control import RunControl
from remediator.engine.hint import Hint
from remediator.engine.intake import IntakeDesk
from remediator.engine.library import Library
from remediator.engine.people import Directory, Known
from remediator.engine.ports import Pace, Ports
from remediator.engine.reconcile import Reconciler
from remediator.engine.worker import Worker
from remediator.journal import audit, nodes
from remediator.journal.handle import Handle
from remediator.journal.ids import Ids
from remediator.journal.protocol import Journal
from remediator.journal.sqlite import connection as connections
from remediator.journal.sqlite import migrate
from remediator.journal.statements import Env, Operation, P, Together
from remediator.journal.values import AuditRecord, JournalUnavailable, UpdateOutcome, Written
from remediator.model.plans import Plan, Result
from remediator.plugin.action import Stale
from remediator.plugin.context import Context
from remediator.plugin.registry import Registry
from remediator.runbook.compile import compile_runbook
from remediator.runbook.runbook import Runbook
from remediator.testing import AlertBoard, ManualClock
from tests.engine.conftest import FREE
from tests.engine.world import IsValue, SetValue, World

T = TypeVar("T")

# As in `remediator.testing.daemon`: after so many rounds without a journal call nothing moves.
_QUIET_ROUNDS = 40
# More than anything needs in which no time passes; beyond it, something goes round in a circle.
_MANY_CALLS = 5000
_PACE = Pace(
    concurrency=8,
    poll=timedelta(seconds=10),
    hold=timedelta(seconds=60),
    give_up=timedelta(minutes=30),
)


class Fault(StrEnum):
    """What happens to a write of a node."""

    KILLED_BEFORE = "the process dies before the commit"
    KILLED_AFTER = "the process dies after the commit"
    FAILED = "it is not committed, and the node does not know"
    ANSWER_LOST = "it is committed, and the node does not know"


class InlineEngine:
    """A journal engine (`remediator.journal.engine.Engine`) without threads."""

    def __init__(self, path: Path, now: datetime) -> None:
        self._connection = connections.open_writer(path)
        self._connection.execute("PRAGMA synchronous = OFF")  # the machine does not lose power
        migrate.upgrade(self._connection, path, now)
        self.listeners: list[Callable[[], None]] = []
        self.calls = 0
        self.writable = True

    async def write(
        self, start: Callable[[], Operation[T]], *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write`; one transaction for each operation."""
        return self.write_now(start())

    async def write_together(
        self, kind: Together[P, T], item: P, *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write_together`; each item by itself."""
        (value,) = self.write_now(kind.start([item]))
        return value

    async def beat(self, at: datetime) -> None:
        """Nothing notices that a node is silent but the test."""

    @property
    def alive(self) -> bool:
        """The node's lease is looked at where it changes the world."""
        return True

    async def prove_alive(self) -> None:
        """See `alive`."""

    def on_duty(self, duty: str) -> bool:
        """Nothing here is done by one node alone."""
        return True

    def write_now(self, operation: Operation[T]) -> T:
        """Drive an operation in a transaction, at once."""
        self.calls += 1
        before = self._connection.total_changes
        entries: list[Any] = []
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            value = connections.drive(self._connection, operation, entries)
            if entries:
                connections.drive(self._connection, audit.append(entries), [])
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        if self._connection.total_changes != before:
            for listener in self.listeners:
                listener()
        return value

    async def read(self, start: Callable[[], Operation[T]]) -> T:
        """See `Engine.read`."""
        self.calls += 1
        return connections.read(self._connection, start())

    def select(self, sql: str, *args: object) -> list[Any]:
        """Ask the database itself."""
        return self._connection.execute(sql, args).fetchall()

    async def close(self) -> None:
        """See `Engine.close`."""
        self._connection.close()


class Wire:
    """A node's handle on the journal, as far as the node sees it."""

    def __init__(self, journal: Journal, node: "Node") -> None:
        self._journal = journal
        self._node = node

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            node = self._node
            identity = node.identity
            await node.running()
            if name == "claim" and node.declared_dead:
                # Its row says so; what it writes on is let through, to try owner and epoch alone.
                raise JournalUnavailable("this node was declared dead")
            fault = node.fault_of(name)
            if fault is Fault.KILLED_BEFORE:
                await node.die()
            if fault is Fault.FAILED:
                raise JournalUnavailable("the connection broke")
            result = await method(*args, **kwargs)
            node.cluster.saw(identity, result)
            if fault is Fault.KILLED_AFTER:
                await node.die()
            if fault is Fault.ANSWER_LOST:
                raise JournalUnavailable("the connection broke")
            await node.running()  # it may be frozen before it hears of it
            return result

        return call


class SetValueFrom(SetValue):
    """`world.set` as one node carries it out: under the version that it read.

    The lease is checked before, and the node may be frozen between that and the call: what the
    target compares then decides. What can't be compared has no such gap here: a person who says
    «repeat» is taken to know that no late call comes.
    """

    node: "Node"

    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """See `SetValue.apply`."""
        await self.node.running()
        await self.node.lease()
        if plan.checkable:
            name, (change,) = plan.target.name, plan.changes
            under = self._version(name)
            await self.node.call()
            if self._version(name) != under and self.world.get(name) != change.after:
                raise Stale(f"{name} was changed meanwhile")
        result = await super().apply(plan, ctx)
        if self.node.dies_after_apply:
            self.node.dies_after_apply = False
            await self.node.die()
        return result

    def _version(self, name: str) -> int:
        """How often it was changed."""
        return sum(one == name for one, _, _ in self.world.made)


@dataclass(frozen=True)
class _Tools:
    """What a node's runbooks use; compiled once, since that takes longer than a whole example."""

    set_value: SetValueFrom
    is_value: IsValue
    registry: Registry
    compiled: tuple[Runbook, ...]


@lru_cache
def _tools(number: int, runbooks: tuple[str, ...]) -> _Tools:
    set_value, is_value = SetValueFrom(World()), IsValue(World())
    registry = Registry({set_value.name: set_value, is_value.name: is_value}, {}, {})
    compiled = [
        compile_runbook(source, f"runbook-{n}.yaml", registry)
        for n, source in enumerate(runbooks, start=1)
    ]
    return _Tools(set_value, is_value, registry, tuple(compiled))


class Node:
    """One daemon: its identity changes with each start."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.identity = ""
        self.up = False
        self.dies_after_apply = False
        self._thawed = asyncio.Event()
        self.freezes_at_call = False
        self._starts = itertools.count(1)
        self._faults: list[tuple[Fault, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._worker: Worker
        self._tools = _tools(number, cluster.runbooks)
        self._tools.set_value.world = self._tools.is_value.world = cluster.world
        self._tools.set_value.node = self

    async def start(self) -> None:
        """Join under a new identity, and begin to work."""
        cluster, clock = self.cluster, self.cluster.clock
        self.identity = f"node-{self.number}-{next(self._starts)}"
        env = Env(node=self.identity, subscribers=(), ids=cluster.ids)
        cluster.engine.write_now(nodes.join(env, clock.now()))
        self.disarm()
        self.thaw()
        self.journal = journal = cast(Journal, Wire(Handle(cluster.engine, env, clock), self))
        library = Library(
            journal, lambda source, file: compile_runbook(source, file, self._tools.registry)
        )
        await library.replace(self._tools.compiled)
        hint = Hint()
        cluster.engine.listeners.append(hint.poke)
        self.intake = IntakeDesk(journal, library, {}, lambda: None)
        reconciler = Reconciler(journal, self.intake, cluster.alerts, clock)

        def context_for(run_id: str, names: Mapping[str, object]) -> Context:
            return PluginContext(run_id, clock, {}, journal, names)

        self.desk = ApprovalDesk(journal, clock, Directory(Known(), clock))
        self.control = RunControl(journal, library, clock)
        ports = Ports(
            journal=journal,
            library=library,
            policy_now=lambda: FREE,
            signal=cluster.alerts,
            context_for=context_for,
            clock=clock,
            pace=_PACE,
            end=reconciler.end,
            default_approvers=("alice", "bob"),
            escalate_to=(),
        )
        self._worker = Worker(ports, hint)
        self._tasks = {asyncio.create_task(self._worker.run(), name=f"worker {self.identity}")}
        self.up = True

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self.up and not self._thawed.is_set()

    @property
    def in_hand(self) -> int:
        """How many runs it carries."""
        return self._worker.in_hand if self.up else 0

    @property
    def declared_dead(self) -> bool:
        """Whether its runs were freed."""
        return self.identity in self.cluster.dead

    def kill(self) -> None:
        """`kill -9`: only what the journal holds is left."""
        if self.up:
            self.up = False
            for task in {*self._tasks, *self._worker._tasks}:
                task.cancel()

    async def die(self) -> None:
        """Be killed, at this very place."""
        asyncio.get_running_loop().call_soon(self.kill)
        await asyncio.Event().wait()

    def freeze(self) -> None:
        """Stand still wherever the journal or the target is next reached."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on."""
        self._thawed.set()

    async def running(self) -> None:
        """Wait while it is frozen."""
        await self._thawed.wait()

    async def call(self) -> None:
        """Be between the check of the lease and the call: the place where to freeze is worst."""
        if self.freezes_at_call:
            self.freezes_at_call = False
            self.freeze()
        await self.running()

    async def lease(self) -> None:
        """Go on only while nobody can have declared this node dead; else it never does."""
        if self.declared_dead:
            await asyncio.Event().wait()

    def arm(self, fault: Fault, after: int) -> None:
        """Let a fault meet the write that comes after so many others."""
        self._faults.append((fault, after))

    def disarm(self) -> None:
        """Let nothing more happen to it."""
        self._faults = []
        self.dies_after_apply = self.freezes_at_call = False

    def fault_of(self, method: str) -> Fault | None:
        """Return what meets this call: claims, transitions of runs, notifications and decisions."""
        if method not in {"claim", "write", "take", "decide", "cancel"}:
            return None
        due = [fault for fault, after in self._faults if after <= 0]
        self._faults = [(fault, after - 1) for fault, after in self._faults if after > 0]
        return due[0] if due else None


class Cluster:
    """The nodes, what they share, and what was seen of them."""

    def __init__(
        self, folder: Path, world: World, runbooks: tuple[str, ...], *, count: int = 3
    ) -> None:
        self.world = world
        self.runbooks = runbooks
        self.clock = ManualClock()
        self.alerts = AlertBoard()
        self.engine = InlineEngine(folder / "journal.db", self.clock.now())
        self.ids = Ids(self.clock)
        self.journal = cast(Journal, Handle(self.engine, Env("observer", (), self.ids), self.clock))
        self.dead: set[str] = set()
        self.violations: list[str] = []
        self.records: list[AuditRecord] = []
        self.outcomes: Counter[str] = Counter()
        self.nodes = [Node(self, number) for number in range(1, count + 1)]

    def saw(self, identity: str, result: object) -> None:
        """Look at what the journal answered a node."""
        if isinstance(result, UpdateOutcome):
            self.outcomes[result.written] += 1
            if result.written is Written.DONE and identity in self.dead:
                self.violations.append(f"a write of {identity} landed after it was declared dead")

    def declare_dead(self, node: Node) -> None:
        """Free the runs of a node, as a reaper does."""
        self.dead.add(node.identity)
        now = self.clock.now()
        self.engine.write_now(nodes.bury([node.identity], by="observer", at=now))

    def set_clock(self, by: timedelta) -> None:
        """Set the clock forward or back, without that the time passes."""
        self.clock._now += by

    async def new_records(self) -> list[AuditRecord]:
        """Return what was appended to the audit chain since it was asked for last."""
        found: list[AuditRecord] = []
        while page := await self.journal.audit(
            after=self.records[-1].seq if self.records else 0, limit=1000
        ):
            found += page
            self.records += page
        return found

    async def settle(self) -> None:
        """Return when nothing moves any more until time passes or somebody acts."""
        quiet, until = 0, self.engine.calls + _MANY_CALLS
        while quiet < _QUIET_ROUNDS:
            calls = self.engine.calls
            await asyncio.sleep(0)
            quiet = quiet + 1 if self.engine.calls == calls else 0
            if calls > until:
                busy = self.engine.select(
                    "SELECT id, runbook, state, reason, message, epoch, owner, wake_us, deadline_us"
                    " FROM runs WHERE ended_us IS NULL"
                )
                raise AssertionError(f"at {self.clock.now()} it never comes to rest: {busy}")

    async def advance(self, span: timedelta) -> None:
        """Let time pass; whatever is due on the way happens at its time."""
        until = self.clock.now() + span
        await self.settle()
        while (moment := await self._next_moment()) is not None and moment < until:
            # What was due when the clock was set forward is due now.
            self.clock.advance(max(moment - self.clock.now(), timedelta()))
            await self.settle()
        self.clock.advance(max(until - self.clock.now(), timedelta()))
        await self.settle()

    async def _next_moment(self) -> datetime | None:
        """When something is due; who only looks whether there is something, is left out."""
        if not any(node.up and not node.frozen for node in self.nodes):
            return None
        due = await self.journal.next_wake()
        if any(node.in_hand for node in self.nodes) or (
            due is not None and due <= self.clock.now()
        ):
            return self.clock.next_wake
        return due

    async def stop(self) -> None:
        """Kill all that live, and close."""
        for node in self.nodes:
            node.kill()
        await self.settle()
        await self.engine.close()
