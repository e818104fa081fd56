"""One notification in one transaction: incidents, the runs they start, the runs they end, audit.

Set-based, since a storm puts 20,000 alerts into one body: one statement reads the newest incident
of all fingerprints, the rule (`model.incidents.fold`) is applied in memory in the body's order, and
each table is written once.
"""

from collections import Counter
from dataclasses import dataclass, field

from remediator.journal import incidents, interventions, notifications, runs, steps, transitions
from remediator.journal.notifications import StoredBody
from remediator.journal.protocol import AuditEntry, Intake, Receipt, RunStart
from remediator.journal.statements import Env, Many, Operation, Record
from remediator.journal.times import to_us
from remediator.journal.transitions import Move
from remediator.model.alerts import Alert
from remediator.model.clock import to_text
from remediator.model.incidents import Fate, Incident, fold
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Trigger

_CANCELLABLE = frozenset(
    {RunState.PENDING, RunState.PLANNING, RunState.AWAITING_APPROVAL, RunState.APPLYING}
)


# Enough to answer «why was my alert ignored?»; a peer that repeats a whole storm tells no more.
_STALE_ON_RECORD = 20


@dataclass(slots=True)
class _Folded:
    """What a body makes of the incidents, gathered in memory."""

    newest: dict[str, tuple[Incident, int]]
    known: frozenset[str]
    fates: list[Fate] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    inserted: dict[str, tuple[Incident, int]] = field(default_factory=dict)
    updated: dict[str, Incident] = field(default_factory=dict)
    starts: list[tuple[str, RunStart]] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)
    stale: int = 0


def take(env: Env, intake: Intake, body: StoredBody) -> Operation[Receipt]:
    """Fold a notification into incidents, start and cancel runs."""
    newest = yield from incidents.latest_of(
        intake.sender, (c.alert.fingerprint for c in intake.candidates)
    )
    known = frozenset(incident.id for incident, _ in newest.values())
    folded = _Folded(newest, known)
    _fold_all(env, intake, folded)
    notification_id = env.ids.new()
    yield from notifications.insert(notification_id, intake, body)
    received = _received(notification_id, intake, body, folded.fates)
    yield Record([received, *folded.entries, *_failed_conditions(intake)])
    # Old episodes are closed before new ones open: at most one may be open at any time.
    yield from incidents.update(list(folded.updated.values()))
    # By their unique key, so that two replicas that take the same storm don't wait for each other.
    opened = sorted(folded.inserted.values(), key=lambda pair: (pair[0].fingerprint, pair[1]))
    yield from incidents.insert(opened)
    started = yield from _start(env, intake, folded)
    closed = [incident.id for incident in folded.updated.values() if not incident.open]
    cancelled = yield from _end(env, intake, closed)
    return Receipt(
        notification_id=notification_id,
        fates=tuple(folded.fates),
        incident_ids=tuple(folded.ids),
        started=started,
        cancelled=tuple(run.id for run in cancelled),
        cancelled_runbooks=tuple(run.runbook for run in cancelled),
    )


def _fold_all(env: Env, intake: Intake, folded: _Folded) -> None:
    for candidate in intake.candidates:
        alert = candidate.alert
        latest, episode = folded.newest.get(alert.fingerprint, (None, 0))
        opens = latest is None or (alert.firing and not latest.open)
        fate, incident = fold(
            latest,
            alert,
            sender=intake.sender,
            new_id=env.ids.new() if opens else "",
            now=intake.received_at,
        )
        folded.fates.append(fate)
        if incident is None:
            folded.ids.append(latest.id if latest else None)
            if latest and folded.stale < _STALE_ON_RECORD:
                folded.stale += 1
                folded.entries.append(_stale(intake, alert, latest))
            continue
        folded.ids.append(incident.id)
        if opens:
            episode += 1
        folded.newest[alert.fingerprint] = (incident, episode)
        if incident.id in folded.known:
            folded.updated[incident.id] = incident
        else:
            folded.inserted[incident.id] = (incident, episode)
        if fate is not Fate.UNKNOWN_RESOLVED:
            starts = candidate.on_resolved if fate is Fate.CLOSED else candidate.on_firing
            folded.starts += [(incident.id, start) for start in starts]
        if fate is not Fate.REFRESHED:
            folded.entries.append(_entry(intake, fate, incident, episode))


def _start(env: Env, intake: Intake, folded: _Folded) -> Operation[tuple[str, ...]]:
    if not folded.starts:
        return ()
    final = {**folded.updated, **{id_: pair[0] for id_, pair in folded.inserted.items()}}
    taken = yield from runs.begun_for({id_ for id_, _ in folded.starts if id_ in folded.known})
    begun: list[Run] = []
    for incident_id, start in folded.starts:
        key = (incident_id, start.runbook, start.trigger.value)
        # An alert that came and went within one body needs no repair.
        over = start.trigger is Trigger.FIRING and not final[incident_id].open
        if key in taken or over:
            continue
        taken.add(key)
        begun.append(
            interventions.new_run(
                env,
                start,
                incident_id=incident_id,
                by=f"sender:{intake.sender}",
                at=intake.received_at,
            )
        )
    yield from runs.insert(begun)
    return tuple(run.id for run in begun)


def _end(env: Env, intake: Intake, closed: list[str]) -> Operation[tuple[Run, ...]]:
    """Cancel the runs of closed incidents that changed nothing yet; wake those that verify."""
    if not closed:
        return ()
    live = [
        run
        for run in (yield from runs.of_incidents(closed))
        if run.trigger is Trigger.FIRING and run.state.claimable
    ]
    if not live:
        return ()
    changed = yield from steps.runs_that_changed([run.id for run in live])
    untouched = [run for run in live if run.state in _CANCELLABLE and run.id not in changed]
    if untouched:
        yield from transitions.carry_out(
            env,
            [
                Move(
                    run=run,
                    to=RunState.CANCELLED,
                    reason=Reason.RESOLVED_BY_ITSELF,
                    message="The alert resolved by itself before anything was changed",
                    at=intake.received_at,
                    actor="remediator",
                    fence=True,
                )
                for run in untouched
            ],
            announce=True,
        )
    watching = (RunState.VERIFYING, RunState.AWAITING_APPROVAL)
    over = {run.id for run in untouched}
    verifying = [run for run in live if run.state in watching and run.id not in over]
    if verifying:
        # They look at the alert again now.
        yield Many(
            "UPDATE runs SET wake_us = $2 WHERE id = $1 AND wake_us > $2",
            [(run.id, to_us(intake.received_at)) for run in verifying],
        )
    return tuple(untouched)


def _received(
    notification_id: str, intake: Intake, body: StoredBody, fates: list[Fate]
) -> AuditEntry:
    return AuditEntry(
        kind="notification",
        actor=f"sender:{intake.sender}",
        at=intake.received_at,
        details={
            "id": notification_id,
            "sender": intake.sender,
            "source": intake.source,
            "sha256": body.sha256,
            "alerts": len(intake.candidates),
            "truncated": intake.truncated,
            "fates": {fate.value: count for fate, count in sorted(Counter(fates).items())},
        },
    )


def _failed_conditions(intake: Intake) -> list[AuditEntry]:
    failed = [(c.alert, text) for c in intake.candidates for text in c.failed]
    return [
        AuditEntry(
            kind="runbook.condition_failed",
            actor=f"sender:{intake.sender}",
            at=intake.received_at,
            details={"fingerprint": alert.fingerprint, "reason": text},
        )
        for alert, text in failed[:_STALE_ON_RECORD]
    ]


def _stale(intake: Intake, alert: Alert, latest: Incident) -> AuditEntry:
    return AuditEntry(
        kind=f"incident.{Fate.STALE.value}",
        actor=f"sender:{intake.sender}",
        at=intake.received_at,
        details={
            "fingerprint": alert.fingerprint,
            "status": alert.status.value,
            "starts_at": to_text(alert.starts_at),
            "last_ended_at": to_text(latest.ends_at) if latest.ends_at else None,
        },
        incident_id=latest.id,
    )


def _entry(intake: Intake, fate: Fate, incident: Incident, episode: int) -> AuditEntry:
    details: dict[str, object] = {"fingerprint": incident.fingerprint, "episode": episode}
    if fate is Fate.OPENED:
        details["labels"] = dict(incident.labels)
        details["starts_at"] = to_text(incident.starts_at)
    elif incident.ends_at is not None:
        details["ends_at"] = to_text(incident.ends_at)
    return AuditEntry(
        kind=f"incident.{fate.value}",
        actor=f"sender:{intake.sender}",
        at=intake.received_at,
        details=details,  # type: ignore[arg-type]
        incident_id=incident.id,
    )
