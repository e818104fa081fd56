"""The journal as its callers see it: each method of the Protocol is one operation for the engine.

Decides nothing and holds no state; the same over every engine.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from remediator.journal import (
    acknowledging,
    approvals,
    archive,
    audit,
    breakers,
    clocks,
    controls,
    decisions,
    evidence,
    facts,
    history,
    incidents,
    interventions,
    notifications,
    outbox,
    overrides,
    pruning,
    runs,
    silences,
    snoozing,
    steps,
    storms,
    turns,
    updates,
    views,
)
from remediator.journal import intake as intakes
from remediator.journal import runbooks as versions
from remediator.journal.engine import Engine
from remediator.journal.intake import Taken
from remediator.journal.statements import Env, Together
from remediator.journal.values import (
    AuditEntry,
    AuditRecord,
    Backlog,
    CancelOutcome,
    Happened,
    Intake,
    Kept,
    OutboxItem,
    Page,
    Prunable,
    Receipt,
    Recorded,
    ResumeHow,
    RunbookRecord,
    RunStart,
    RunUpdate,
    Truncated,
    Turn,
    TurnOutcome,
    UpdateOutcome,
)
from remediator.model.approvals import ApprovalRequest, Decision, DecisionOutcome, SnoozeOutcome
from remediator.model.canonical import JSONObject
from remediator.model.clock import Clock
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.evidence import LastRun, Record, RunCount
from remediator.model.history import Control, History, LookBack, Outcome, Reset
from remediator.model.incidents import Incident, IncidentStatus
from remediator.model.overrides import Granted, Override
from remediator.model.runs import Run, RunState, Step
from remediator.model.silences import Silence, SilenceState
from remediator.model.storms import Storm, StormMark
from remediator.model.views import Note, RunView

# Deflating a body of this size takes about a millisecond; what is larger must not hold up a batch.
_LARGE_BODY = 128 * 1024


class Handle:
    """Implements `protocol.Journal` and `protocol.Archive` over any engine."""

    def __init__(self, engine: Engine, env: Env, clock: Clock) -> None:
        self._engine = engine
        self._env = env
        self._clock = clock
        self._takes: Together[Taken, Receipt] = Together(1, lambda batch: intakes.take(env, batch))
        self._updates: Together[RunUpdate, UpdateOutcome] = Together(
            2, lambda batch: updates.write(env, batch)
        )

    async def close(self) -> None:
        """See `Journal.close`."""
        await self._engine.close()

    @property
    def writable(self) -> bool:
        """See `Journal.writable`."""
        return self._engine.writable

    async def beat(self, *, at: datetime) -> None:
        """See `Journal.beat`."""
        await self._engine.beat(at)

    @property
    def alive(self) -> bool:
        """See `Journal.alive`."""
        return self._engine.alive

    async def prove_alive(self) -> None:
        """See `Journal.prove_alive`."""
        await self._engine.prove_alive()

    def on_duty(self, duty: str) -> bool:
        """See `Journal.on_duty`."""
        return self._engine.on_duty(duty)

    # intake

    async def take(self, intake: Intake) -> Receipt:
        """See `Journal.take`."""
        packed = None
        if len(intake.body) >= _LARGE_BODY:
            packed = await asyncio.to_thread(notifications.pack, intake.body)
        return await self._engine.write_together(
            self._takes,
            Taken(intake, packed),
            weight=1 + len(intake.candidates),
            patient=True,
        )

    async def truncated(self, *, after: str) -> Truncated | None:
        """See `Journal.truncated`."""
        return await self._engine.read(lambda: notifications.unfetched(after))

    async def fetched(self, notification_id: str, *, at: datetime) -> None:
        """See `Journal.fetched`."""
        await self._engine.write(lambda: notifications.fetched(notification_id, at))

    # runs

    async def register(self, runbooks: Sequence[RunbookRecord]) -> None:
        """See `Journal.register`."""
        at = self._clock.now()
        await self._engine.write(lambda: versions.register(runbooks, at))

    async def start_run(self, start: RunStart, *, by: str, at: datetime) -> str:
        """See `Journal.start_run`."""
        return await self._engine.write(
            lambda: interventions.start_run(self._env, start, by=by, at=at)
        )

    async def claim(self, *, at: datetime, limit: int) -> Sequence[Run]:
        """See `Journal.claim`."""
        return await self._engine.write(lambda: runs.claim(self._env, at=at, limit=limit))

    async def unhand(self, in_hand: Sequence[str], *, at: datetime) -> int:
        """See `Journal.unhand`."""
        return await self._engine.write(lambda: runs.unhand(self._env, in_hand, at=at))

    async def next_wake(self) -> datetime | None:
        """See `Journal.next_wake`."""
        return await self._engine.read(runs.next_wake)

    async def write(self, update: RunUpdate) -> UpdateOutcome:
        """See `Journal.write`."""
        return await self._engine.write_together(self._updates, update)

    async def take_turn(self, run_id: str, turn: Turn, *, epoch: int, at: datetime) -> TurnOutcome:
        """See `Journal.take_turn`."""
        return await self._engine.write(
            lambda: turns.take(self._env, run_id, turn, epoch=epoch, at=at)
        )

    async def decide(
        self, decision: Decision, *, earlier: Mapping[str, str] | None = None
    ) -> tuple[DecisionOutcome, ApprovalRequest | None]:
        """See `Journal.decide`."""
        return await self._engine.write(lambda: decisions.decide(self._env, decision, earlier))

    async def answers(self, approval_id: str) -> Sequence[Decision]:
        """See `Journal.answers`."""
        return await self._engine.read(lambda: approvals.decisions_of(approval_id))

    async def told(self, run_id: str, *, since: datetime, besides: Collection[str] = ()) -> bool:
        """See `Journal.told`."""
        return await self._engine.read(lambda: outbox.told(run_id, since=since, besides=besides))

    async def snooze(
        self, approval_id: str, *, by: str, reason: str, via: str, at: datetime, until: datetime
    ) -> tuple[SnoozeOutcome, ApprovalRequest | None]:
        """See `Journal.snooze`."""
        return await self._engine.write(
            lambda: snoozing.snooze(
                self._env, approval_id, by=by, reason=reason, via=via, at=at, until=until
            )
        )

    async def cancel(self, run_id: str, *, by: str, reason: str, at: datetime) -> CancelOutcome:
        """See `Journal.cancel`."""
        return await self._engine.write(
            lambda: interventions.cancel(self._env, run_id, by=by, reason=reason, at=at)
        )

    async def acknowledge(
        self, run_id: str, *, by: str, reason: str, at: datetime
    ) -> AcknowledgeOutcome:
        """See `Journal.acknowledge`."""
        return await self._engine.write(
            lambda: acknowledging.acknowledge(self._env, run_id, by=by, reason=reason, at=at)
        )

    async def resume(self, run_id: str, *, by: str, how: ResumeHow, at: datetime) -> bool:
        """See `Journal.resume`."""
        return await self._engine.write(
            lambda: interventions.resume(self._env, run_id, by=by, how=how, at=at)
        )

    # guardrails

    async def history(self, *, run_id: str, look: LookBack, at: datetime) -> History:
        """See `Journal.history`."""
        return await self._engine.read(lambda: history.read(run_id=run_id, look=look, at=at))

    async def breaker_pasts(
        self, runbooks: Collection[str]
    ) -> Mapping[str, tuple[tuple[Outcome, ...], Reset | None]]:
        """See `Journal.breaker_pasts`."""
        return await self._engine.read(lambda: breakers.pasts(runbooks))

    async def failing(self, *, since: datetime) -> Sequence[str]:
        """See `Journal.failing`."""
        return await self._engine.read(lambda: breakers.failing(since))

    async def reset_breaker(self, reset: Reset) -> None:
        """See `Journal.reset_breaker`."""
        await self._engine.write(lambda: breakers.reset(reset))

    async def pause(self, control: Control) -> None:
        """See `Journal.pause`."""
        await self._engine.write(lambda: controls.pause(control))

    async def unpause(self, scope: str, *, by: str, at: datetime) -> bool:
        """See `Journal.unpause`."""
        return await self._engine.write(lambda: controls.unpause(scope, by=by, at=at))

    async def controls(self, at: datetime) -> Sequence[Control]:
        """See `Journal.controls`."""
        return await self._engine.read(lambda: controls.active(at))

    async def grant_override(self, wanted: Override, again: RunStart | None) -> Granted:
        """See `Journal.grant_override`."""
        return await self._engine.write(lambda: overrides.grant(self._env, wanted, again))

    async def overrides(self, run_id: str) -> Sequence[Override]:
        """See `Journal.overrides`."""
        return await self._engine.read(lambda: overrides.listed(run_id))

    async def expire_overrides(self, *, at: datetime) -> int:
        """See `Journal.expire_overrides`."""
        return await self._engine.write(lambda: overrides.expire(at))

    async def run_counts(
        self,
        *,
        since: datetime,
        runbook: str | None = None,
        substance: str | None = None,
        namespaced: bool = False,
    ) -> tuple[RunCount, ...]:
        """See `Journal.run_counts`."""
        return await self._engine.read(
            lambda: evidence.counts(
                since=since, runbook=runbook, substance=substance, namespaced=namespaced
            )
        )

    async def last_runs(self, *, since: datetime) -> tuple[LastRun, ...]:
        """See `Journal.last_runs`."""
        return await self._engine.read(lambda: evidence.last_runs(since=since))

    async def track_record(
        self, *, since: datetime, until: datetime, runbook: str | None = None
    ) -> Record:
        """See `Journal.track_record`."""
        return await self._engine.read(
            lambda: evidence.record(since=since, until=until, runbook=runbook)
        )

    async def facts(self, kind: str, subject: str) -> Sequence[str]:
        """See `Journal.facts`."""
        return await self._engine.read(lambda: facts.read(kind, subject))

    # outbox

    async def outbox_due(
        self,
        *,
        at: datetime,
        limit: int,
        notifier: str = "",
        besides: Sequence[str] = (),
        but: Sequence[str] = (),
    ) -> Sequence[OutboxItem]:
        """See `Journal.outbox_due`."""
        return await self._engine.read(
            lambda: outbox.due(at=at, limit=limit, notifier=notifier, besides=besides, but=but)
        )

    async def storms(self, notifier: str) -> Sequence[StormMark]:
        """See `Journal.storms`."""
        return await self._engine.read(lambda: storms.going_on(notifier))

    async def storm(self, storm_id: str, *, most: int) -> Storm | None:
        """See `Journal.storm`."""
        return await self._engine.read(lambda: storms.find(storm_id, most=most))

    async def storm_begins(self, storm: StormMark) -> None:
        """See `Journal.storm_begins`."""
        await self._engine.write(lambda: storms.begins(storm))

    async def storm_shares(self, item: OutboxItem, storm_id: str, *, at: datetime) -> None:
        """See `Journal.storm_shares`."""
        await self._engine.write(lambda: storms.shares(item, storm_id, at=at))

    async def storm_told(
        self, storm_id: str, ref: JSONObject | None, *, at: datetime, ended: bool
    ) -> None:
        """See `Journal.storm_told`."""
        await self._engine.write(lambda: storms.told(storm_id, ref, at=at, ended=ended))

    async def storm_over(self, storm_id: str, *, at: datetime) -> int:
        """See `Journal.storm_over`."""
        return await self._engine.write(lambda: storms.over(storm_id, at=at))

    async def outbox_wake(
        self, *, notifier: str = "", besides: Sequence[str] = ()
    ) -> datetime | None:
        """See `Journal.outbox_wake`."""
        return await self._engine.read(lambda: outbox.next_wake(notifier=notifier, besides=besides))

    async def calls_due(self, *, at: datetime) -> datetime | None:
        """See `Journal.calls_due`."""
        following = await self._engine.read(outbox.next_call)
        if following is None or following > at:
            return following
        await self._engine.write(lambda: outbox.come_due(at=at))
        return await self._engine.read(outbox.next_call)

    # silences

    async def silences_wanted(self, wanted: Sequence[Silence], *, epoch: int, at: datetime) -> bool:
        """See `Journal.silences_wanted`."""
        return await self._engine.write(
            lambda: silences.want(self._env, wanted, epoch=epoch, at=at)
        )

    async def silence_made(self, one: Silence, *, id_: str, error: str, at: datetime) -> None:
        """See `Journal.silence_made`."""
        await self._engine.write(lambda: silences.made(self._env, one, id_=id_, error=error, at=at))

    async def silences_of(self, run_id: str) -> Sequence[Silence]:
        """See `Journal.silences_of`."""
        return await self._engine.read(lambda: silences.of_run(run_id))

    async def silences_ending(self, *, at: datetime, limit: int) -> Sequence[Silence]:
        """See `Journal.silences_ending`."""
        return await self._engine.read(lambda: silences.ending(at=at, limit=limit))

    async def silence_gone(self, one: Silence, state: SilenceState, *, at: datetime) -> None:
        """See `Journal.silence_gone`."""
        await self._engine.write(lambda: silences.gone(one, state, at=at))

    async def silence_again(self, one: Silence, *, at: datetime, error: str) -> None:
        """See `Journal.silence_again`."""
        await self._engine.write(lambda: silences.again(one, at=at, error=error))

    # outbox, what became of it

    async def outbox_delivered(self, item: OutboxItem, ref: JSONObject | None) -> None:
        """See `Journal.outbox_delivered`."""
        await self._engine.write(lambda: outbox.delivered(item, ref))

    async def outbox_retry(self, item: OutboxItem, *, at: datetime, error: str) -> None:
        """See `Journal.outbox_retry`."""
        await self._engine.write(lambda: outbox.retry(item, at=at, error=error))

    async def outbox_refused(
        self, item: OutboxItem, *, at: datetime, error: str, instead: Note | None = None
    ) -> None:
        """See `Journal.outbox_refused`."""
        await self._engine.write(
            lambda: outbox.refused(self._env, item, at=at, error=error, instead=instead)
        )

    # reads

    async def run(self, run_id: str) -> Run | None:
        """See `Journal.run`."""
        return await self._engine.read(lambda: runs.find(run_id))

    async def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        runbook: str | None = None,
        incident_id: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Run]:
        """See `Journal.runs`."""
        return await self._engine.read(
            lambda: runs.listed(
                states=states,
                runbook=runbook,
                incident_id=incident_id,
                cursor=cursor,
                limit=limit,
            )
        )

    async def steps(self, run_id: str) -> Sequence[Step]:
        """See `Journal.steps`."""
        return await self._engine.read(lambda: steps.of_run(run_id))

    async def view(self, run_id: str) -> RunView | None:
        """See `Journal.view`."""
        return await self._engine.read(lambda: views.view(run_id))

    async def approval(self, approval_id: str) -> ApprovalRequest | None:
        """See `Journal.approval`."""
        return await self._engine.read(lambda: approvals.get(approval_id))

    async def open_approvals(self, *, limit: int) -> Sequence[ApprovalRequest]:
        """See `Journal.open_approvals`."""
        return await self._engine.read(lambda: approvals.open_ones(limit=limit))

    async def incident(self, incident_id: str) -> Incident | None:
        """See `Journal.incident`."""
        return await self._engine.read(lambda: incidents.get(incident_id))

    async def incidents(
        self,
        *,
        status: IncidentStatus | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Incident]:
        """See `Journal.incidents`."""
        return await self._engine.read(
            lambda: incidents.listed(status=status, cursor=cursor, limit=limit)
        )

    async def runbook(self, version: str) -> RunbookRecord | None:
        """See `Journal.runbook`."""
        return await self._engine.read(lambda: versions.get(version))

    async def backlog(self) -> Backlog:
        """See `Journal.backlog`."""
        return await self._engine.read(views.backlog)

    # audit

    async def record(self, entries: Sequence[AuditEntry]) -> None:
        """See `Journal.record`."""
        await self._engine.write(lambda: audit.record(entries))

    async def audit(
        self, *, after: int = 0, run_id: str | None = None, limit: int = 1000
    ) -> Sequence[AuditRecord]:
        """See `Journal.audit`."""
        return await self._engine.read(lambda: audit.page(after=after, run_id=run_id, limit=limit))

    async def audit_head(self) -> tuple[int, str]:
        """See `Journal.audit_head`."""
        return await self._engine.read(audit.head)

    # housekeeping

    async def straighten(self, *, at: datetime) -> int:
        """See `Journal.straighten`."""
        return await self._engine.write(lambda: clocks.straighten(at))

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """See `Journal.prune`; one transaction after the other, so that others get between."""
        total = 0
        while True:
            gone = await self._engine.write(lambda: pruning.prune(before=before, limit=limit))
            total += gone
            if gone < limit:
                return total

    async def prune_audit(self, *, before: datetime, limit: int = 1000) -> int:
        """See `Journal.prune_audit`."""
        total = 0
        while True:
            at = self._clock.now()
            gone = await self._engine.write(
                lambda: pruning.prune_audit(before=before, by="remediator", at=at, limit=limit)  # noqa: B023 - driven before the next round
            )
            total += gone
            if gone < limit:
                return total

    async def prunable(self, *, before: datetime, audit_before: datetime | None) -> Prunable:
        """See `Journal.prunable`."""
        return await self._engine.read(
            lambda: pruning.prunable(before=before, audit_before=audit_before)
        )

    # archive

    async def kept(self, *, since: datetime, until: datetime) -> Kept:
        """See `Archive.kept`."""
        return await self._engine.read(lambda: archive.kept(since=since, until=until))

    async def recorded(
        self, *, since: datetime, until: datetime, after: Recorded | None, limit: int
    ) -> Sequence[Recorded]:
        """See `Archive.recorded`."""
        return await self._engine.read(
            lambda: archive.recorded(since=since, until=until, after=after, limit=limit)
        )

    async def bodies(self, ids: Collection[str]) -> Mapping[str, bytes]:
        """See `Archive.bodies`."""
        return await self._engine.read(lambda: archive.bodies(ids))

    async def happened(self, *, since: datetime, until: datetime) -> Sequence[Happened]:
        """See `Archive.happened`."""
        return await self._engine.read(lambda: archive.happened(since=since, until=until))
