"""One set of runbooks on its way through recorded notifications.

`take` folds a notification into incidents, as intake does, and starts runs; `until` lets happen
what is due by then: runs whose `wait_for` is over are planned and judged, those that wait look
again, those that watch give up. What nobody can know is assumed, and docs/replay.md says what.
"""

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from remediator.engine import guardrails, planning, step, track, would
from remediator.engine.hand import Hand
from remediator.engine.replay import Key, Received, blind
from remediator.engine.replay.assumed import Assumed, Turned
from remediator.engine.replay.folding import Folding
from remediator.engine.replay.lines import Line, What, binding
from remediator.engine.replay.past import Known, Past
from remediator.engine.replay.turns import Turn, Turns
from remediator.engine.would import Decision, World
from remediator.journal.values import RunStart
from remediator.model.alerts import Alert
from remediator.model.history import begun
from remediator.model.limits import Mode
from remediator.model.plans import Plan
from remediator.model.promotion import Track
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.verdicts import Verdict
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook

_FORGET_EVERY = 1000


@dataclass(slots=True)
class _Run:
    """A run that would be, and how far it has come."""

    id: str
    runbook: Runbook
    start: RunStart
    hand: Hand
    known: Known
    line: Line
    plans: Mapping[int, Plan] = field(default_factory=dict)
    outcome: planning.Planned | None = None
    has_turn: bool = False
    looked: bool = False
    waiting_since: datetime | None = None
    deadline: datetime | None = None
    changed: bool = False
    over: bool = False

    @property
    def blind(self) -> bool:
        """Whether its plan is not known."""
        return self.outcome is None


class Course:
    """See the module."""

    def __init__(self, world: World, clock: Turned, assumed: Assumed) -> None:
        """Begin at the clock's time.

        Args:
            world: what runs look at; its clock must be `clock`.
        """
        self._world = world
        self._clock = clock
        self._assumed = assumed
        self._by_name = {runbook.name: runbook for runbook in world.runbooks}
        self._past = Past(world.runbooks, world.policy, clock.at)
        self._folding = Folding(Index(tuple(world.runbooks)), self._past)
        self._blind = blind.policy(world.policy)
        self._tracks: dict[str, Track | None] = {}
        self._ids = itertools.count(1)
        self._due: list[tuple[datetime, int, _Run]] = []
        self._live: dict[str, list[_Run]] = {}
        self._by_id: dict[str, _Run] = {}
        self._turns = Turns(lambda run_id: not self._by_id[run_id].changed)
        self._done: list[Line] = []
        self._taken = 0

    @property
    def unmatched(self) -> Sequence[str]:
        """Conditions of runbooks that could not be evaluated, each said once."""
        return self._folding.unmatched

    # ------------------------------------------------------------------------- notifications

    def take(self, received: Received) -> Sequence[Key]:
        """Fold one notification; returns the runs that it starts."""
        self._clock.at = at = received.at
        self._taken += 1
        if self._taken % _FORGET_EVERY == 0:
            self._past.forget(at)
        folded = self._folding.fold(received)
        for known in folded.closed:
            self._closed(known, at)
        return [self._start(received, *one) for one in folded.starts]

    def _start(self, received: Received, alert: Alert, start: RunStart, known: Known) -> Key:
        runbook = self._by_name[start.runbook]
        run_id = f"replayed-{next(self._ids)}"
        hand = would.hand_of(runbook, start, known.incident, self._world, run_id=run_id)
        line = Line(
            at=received.at,
            runbook=runbook.name,
            trigger=start.trigger,
            sender=received.sender,
            fingerprint=alert.fingerprint,
            labels=alert.labels,
            what=What.WAITS,
        )
        run = _Run(run_id, runbook, start, hand, known, line)
        self._live.setdefault(known.incident.id, []).append(run)
        self._by_id[run_id] = run
        self._push(start.wake_at, run)
        return line.key

    def _closed(self, known: Known, at: datetime) -> None:
        """An incident is over: what has changed nothing is cancelled, what watches has helped."""
        for run in list(self._live.get(known.incident.id, ())):
            if not run.hand.run.about_alert:
                continue
            if run.changed:
                self._ended(run, at, good=True)
            elif run.line.what is What.ASKS:
                self._finish(run, replace(run.line, end=RunState.CANCELLED))
            else:
                message = "the alert cleared before anything was begun"
                line = replace(run.line, what=What.CLEARED, message=message)
                self._finish(run, replace(line, guardrail="", end=RunState.CANCELLED))

    # ---------------------------------------------------------------------------------- time

    async def until(self, at: datetime, *, inclusive: bool) -> Sequence[Line]:
        """Let happen what is due before `at` (or by then); returns the runs that came to an end."""
        while self._due and (self._due[0][0] < at or (inclusive and self._due[0][0] == at)):
            due, _, run = heapq.heappop(self._due)
            if run.over:
                continue
            self._clock.at = due
            await self._look(run)
        return self._drained()

    async def finish(self) -> Sequence[Line]:
        """Let every run be planned and judged that has begun; what still watches is left open."""
        while self._due:
            due, _, run = heapq.heappop(self._due)
            if run.over:
                continue
            self._clock.at = due
            if run.changed:
                # The recording ends before it is known whether it helped.
                self._past.release(run.id)
                self._finish(run, run.line)
            else:
                await self._look(run)
        return self._drained()

    def _drained(self) -> Sequence[Line]:
        done, self._done = self._done, []
        return done

    def _push(self, at: datetime, run: _Run) -> None:
        heapq.heappush(self._due, (at, next(self._ids), run))

    async def _look(self, run: _Run) -> None:
        now = self._clock.at
        if run.changed:
            self._watched(run, now)
        elif run.line.what is What.ASKS:
            self._finish(run, replace(run.line, end=RunState.EXPIRED))
        elif self._has_turn(run):
            if not run.looked:
                await self._plan(run)
            if not run.over:
                await self._judge(run)

    def _has_turn(self, run: _Run) -> bool:
        """Whether the run may begin beside others of its runbook; else it waits or has ended."""
        if run.has_turn:
            return True
        try:
            key = run.runbook.repeat_key(run.start.context)
        except ExpressionFailed as error:
            text = f"repeat.key can't be told: {error}"
            line = replace(run.line, what=What.FAILS, message=text, end=RunState.FAILED)
            self._finish(run, line)
            return False
        taken = self._turns.take(run.id, run.runbook, key)
        for run_id in taken.stopped:
            other = self._by_id[run_id]
            line = replace(other.line, message=f"replaced by a further run of {run.runbook.name}")
            what = other.line.what if other.line.what is What.ASKS else What.CANCELLED
            self._finish(other, replace(line, what=what, end=RunState.CANCELLED))
        run.has_turn = taken.turn is Turn.TAKEN
        if run.has_turn:
            return True
        line = replace(run.line, guardrail="repeat", message=taken.message)
        if taken.turn is Turn.REFUSED:
            self._finish(run, replace(line, what=What.REFUSED, end=RunState.SUPPRESSED))
        else:
            run.line = replace(line, what=What.WAITS)
            self._push(self._clock.at + self._assumed.hold, run)
        return False

    # ------------------------------------------------------------------------------ planning

    async def _plan(self, run: _Run) -> None:
        run.looked = True
        if not self._assumed.plans:
            run.line = replace(run.line, unplanned="nothing is planned in this replay")
            return
        ledger = self._world.ledger
        withheld, of_today = len(ledger.withheld), ledger.of_today
        outcome = await would.plan(run.hand)
        if isinstance(outcome, planning.Planned):
            run.outcome, run.plans = outcome, outcome.plans
            lines = tuple(str(plan) for plan in outcome.plans.values())
            run.line = replace(run.line, plans=lines)
            return
        held_back = len(ledger.withheld) > withheld
        today = ledger.of_today > of_today and not self._assumed.of_the_time
        if _counts(outcome, held_back=held_back, today=today):
            self._decided(run, would.unplanned(outcome, withheld=False), ())
        else:
            said = (
                str(outcome.verdict) if isinstance(outcome, planning.Strayed) else outcome.message
            )
            run.line = replace(run.line, unplanned=said)

    async def _judge(self, run: _Run) -> None:
        hand = run.hand
        hand.track = await self._track(run)
        history = self._past.history(run.id, step.look_back(hand), run.known)
        if run.outcome is None:
            hand = blind.blinded(hand, self._blind)
            mode, every = blind.judge(hand, blind.plan(run.id), history)
            if mode is Mode.OBSERVE:
                self._decided(run, Decision(RunState.OBSERVED, Reason.OBSERVE_ONLY, ""), every)
            else:
                self._decided(run, would.by_verdicts(every, run.runbook.wait_for), every)
            return
        verdicts = step.judge_each(hand, run.plans, history)
        mode = step.lowest_mode(hand, run.plans, history)
        every = tuple(verdict for of_step in verdicts.values() for verdict in of_step)
        self._decided(run, would.decided(hand, run.outcome, verdicts, mode), every)

    async def _track(self, run: _Run) -> Track | None:
        """Return what the runbook has shown, by the journal: a replay shows nothing."""
        if self._world.journal is None:
            return None
        name = run.runbook.name
        if name not in self._tracks:
            self._tracks[name] = await track.shown(run.hand.ports, run.runbook)
        return self._tracks[name]

    # ------------------------------------------------------------------------------ deciding

    def _decided(self, run: _Run, decision: Decision, every: tuple[Verdict, ...]) -> None:
        what = _WHAT[decision.state]
        if decision.reason is Reason.EXPECTATION_UNMET:
            what = What.UNMET
        message = decision.message
        run.line = replace(
            run.line,
            what=what,
            guardrail=binding(every) if what in _NAMES_ITS_GUARDRAIL else "",
            message=message,
        )
        if what is What.ACTS:
            self._begin(run)
        elif what is What.ASKS:
            if self._assumed.approved:
                self._begin(run)
            else:
                asked = would.asked(run.hand, run.plans)
                self._push(self._clock.at + asked.timeout, run)
        elif what is What.WAITS:
            self._wait(run)
        else:
            self._finish(run, replace(run.line, end=decision.state))

    def _wait(self, run: _Run) -> None:
        now = self._clock.at
        run.waiting_since = run.waiting_since or now
        if now - run.waiting_since >= self._assumed.give_up:
            text = f"gave up after {format_duration(self._assumed.give_up)}: {run.line.message}"
            self._finish(run, replace(run.line, message=text, end=RunState.FAILED))
            return
        self._push(now + self._assumed.hold, run)

    def _begin(self, run: _Run) -> None:
        """Take the run's changes as made now, but for rungs, whose turn comes when it must."""
        run.changed = True
        steps = run.runbook.steps
        first = {n: plan for n, plan in run.plans.items() if not steps[n].is_rung}
        if run.blind:
            first = {0: blind.plan(run.id)}
        self._change(run, first)
        self._watch(run)

    def _change(self, run: _Run, plans: Mapping[int, Plan]) -> None:
        hand = blind.blinded(run.hand, self._blind) if run.blind else run.hand
        for sequence, plan in plans.items():
            asked = step.question(
                hand,
                sequence,
                plan,
                history=guardrails.NO_HISTORY,
                signal=None,
                approved=True,
            )
            self._past.begin(
                begun(
                    plan,
                    run_id=run.id,
                    sequence=sequence,
                    runbook=run.runbook.name,
                    owner=run.runbook.owner,
                    rules=frozenset(asked.rules),
                    at=self._clock.at,
                ),
                run.known,
            )

    def _watch(self, run: _Run) -> None:
        verify = run.runbook.verify
        if verify is None or not run.hand.run.about_alert:
            self._ended(run, self._clock.at, good=True)
            return
        run.deadline = self._clock.at + verify.within
        self._push(run.deadline, run)

    def _watched(self, run: _Run, now: datetime) -> None:
        """The time is up and the alert still fires: the next rung, or it did not help."""
        steps = run.runbook.steps
        left = {n: plan for n, plan in run.plans.items() if steps[n].is_rung}
        if left:
            sequence = min(left)
            run.plans = {n: plan for n, plan in run.plans.items() if n != sequence}
            self._change(run, {sequence: left[sequence]})
            self._watch(run)
            return
        self._ended(run, now, good=False)

    def _ended(self, run: _Run, now: datetime, *, good: bool) -> None:
        self._past.end(run.id, run.runbook.name, now, good=good)
        if good:
            end = RunState.SUCCEEDED
        else:
            end = RunState.ROLLED_BACK if run.runbook.on_failure.undo else RunState.FAILED
        self._finish(run, replace(run.line, end=end))

    def _finish(self, run: _Run, line: Line) -> None:
        if run.over:
            return
        run.over = True
        self._done.append(line)
        self._turns.leave(run.id)
        del self._by_id[run.id]
        runs = self._live.get(run.known.incident.id)
        if runs and run in runs:
            runs.remove(run)
            if not runs:
                del self._live[run.known.incident.id]


def _counts(
    outcome: planning.Unmet | planning.Unplannable | planning.TryLater | planning.Strayed,
    *,
    held_back: bool,
    today: bool,
) -> bool:
    """Whether a failure to plan says something of the time that is replayed."""
    match outcome:
        case planning.Unplannable(_, Reason.EXPRESSION_FAILED, _):
            return True  # of the alert and the runbook alone
        case planning.Strayed():
            return True  # likewise
        case planning.TryLater():
            return False
        case _:
            return not held_back and not today


_NAMES_ITS_GUARDRAIL = frozenset({What.REFUSED, What.ASKS, What.WAITS})
_WHAT = {
    RunState.APPLYING: What.ACTS,
    RunState.AWAITING_APPROVAL: What.ASKS,
    RunState.SUPPRESSED: What.REFUSED,
    RunState.OBSERVED: What.OBSERVES,
    RunState.SUCCEEDED: What.NOTHING,
    RunState.PENDING: What.WAITS,
    RunState.FAILED: What.FAILS,
}
