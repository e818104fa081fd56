"""Notifications in one transaction: incidents, the runs they start, the runs they end, audit.

Set-based, since a storm puts 20,000 alerts into one body, and a busy hour as many bodies into one
batch: one statement reads the newest incident of all fingerprints, the rule
(`model.incidents.fold`) is applied in memory, body after body, in each body's order, and each table
is written once.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from remediator.journal import (
    acknowledging,
    incidents,
    interventions,
    notifications,
    runs,
    steps,
    transitions,
)
from remediator.journal.notifications import StoredBody
from remediator.journal.statements import Env, Many, Operation, Record, Wake
from remediator.journal.times import to_us
from remediator.journal.transitions import Move
from remediator.journal.values import AuditEntry, Candidate, Due, Intake, Receipt, RunStart
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


class Taken(NamedTuple):
    """One notification on its way into the journal; a large body is packed on the way here."""

    intake: Intake
    packed: StoredBody | None


@dataclass(slots=True)
class _Told:
    """What became of one notification."""

    id: str
    body: StoredBody
    fates: list[Fate] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)
    stale: int = 0
    started: list[str] = field(default_factory=list)
    cancelled: list[Run] = field(default_factory=list)


class _Start(NamedTuple):
    """A run that a notification asks for, by the notification's place in the batch."""

    place: int
    incident_id: str
    start: RunStart


@dataclass(slots=True)
class _Folded:
    """What the notifications make of the incidents, gathered in memory."""

    newest: dict[tuple[str, str], tuple[Incident, int]]
    known: frozenset[str]
    inserted: dict[str, tuple[Incident, int]] = field(default_factory=dict)
    updated: dict[str, Incident] = field(default_factory=dict)
    starts: list[_Start] = field(default_factory=list)
    closed_by: dict[str, int] = field(default_factory=dict)
    """Incident → the place of the notification that closed it."""


def take(env: Env, batch: Sequence[Taken]) -> Operation[list[Receipt]]:
    """Fold notifications into incidents, start and cancel runs; a receipt for each."""
    newest: dict[tuple[str, str], tuple[Incident, int]] = {}
    for sender in sorted({one.intake.sender for one in batch}):
        asked = (c.alert.fingerprint for c in _candidates(batch, sender))
        found = yield from incidents.latest_of(sender, asked)
        newest.update({(sender, fingerprint): pair for fingerprint, pair in found.items()})
    folded = _Folded(newest, frozenset(incident.id for incident, _ in newest.values()))
    told = [
        _Told(env.ids.new(), one.packed or notifications.pack(one.intake.body)) for one in batch
    ]
    for place, (one, tells) in enumerate(zip(batch, told, strict=True)):
        _fold_all(env, one.intake, folded, tells, place)
    yield from notifications.insert(
        [(tells.id, one.intake, tells.body) for one, tells in zip(batch, told, strict=True)]
    )
    yield Record([entry for pair in zip(batch, told, strict=True) for entry in _entries(*pair)])
    # Old episodes are closed before new ones open: at most one may be open at any time.
    yield from incidents.update(list(folded.updated.values()))
    # By their unique key, so that two replicas that take the same storm don't wait for each other.
    yield from incidents.insert(sorted(folded.inserted.values(), key=_unique_key))
    yield from _start(env, batch, folded, told)
    yield from _end(env, batch, folded, told)
    return [
        Receipt(
            notification_id=tells.id,
            fates=tuple(tells.fates),
            incident_ids=tuple(tells.ids),
            started=tuple(tells.started),
            cancelled=tuple(run.id for run in tells.cancelled),
            cancelled_runbooks=tuple(run.runbook for run in tells.cancelled),
        )
        for tells in told
    ]


def _candidates(batch: Sequence[Taken], sender: str) -> Iterator[Candidate]:
    for one in batch:
        if one.intake.sender == sender:
            yield from one.intake.candidates


def _unique_key(opened: tuple[Incident, int]) -> tuple[str, str, int]:
    incident, episode = opened
    return incident.sender, incident.fingerprint, episode


def _fold_all(env: Env, intake: Intake, folded: _Folded, told: _Told, place: int) -> None:
    for candidate in intake.candidates:
        alert = candidate.alert
        key = (intake.sender, alert.fingerprint)
        latest, episode = folded.newest.get(key, (None, 0))
        opens = latest is None or (alert.firing and not latest.open)
        fate, incident = fold(
            latest,
            alert,
            sender=intake.sender,
            new_id=env.ids.new() if opens else "",
            now=intake.received_at,
        )
        told.fates.append(fate)
        if incident is None:
            told.ids.append(latest.id if latest else None)
            if latest and told.stale < _STALE_ON_RECORD:
                told.stale += 1
                told.entries.append(_stale(intake, alert, latest))
            continue
        told.ids.append(incident.id)
        if opens:
            episode += 1
        folded.newest[key] = (incident, episode)
        if incident.id in folded.known:
            folded.updated[incident.id] = incident
        else:
            folded.inserted[incident.id] = (incident, episode)
        if not incident.open:
            folded.closed_by[incident.id] = place
        if fate is not Fate.UNKNOWN_RESOLVED:
            starts = candidate.on_resolved if fate is Fate.CLOSED else candidate.on_firing
            folded.starts += [_Start(place, incident.id, start) for start in starts]
        if fate is not Fate.REFRESHED:
            told.entries.append(_entry(intake, fate, incident, episode))


def _entries(one: Taken, told: _Told) -> list[AuditEntry]:
    intake = one.intake
    received = _received(told.id, intake, told.body, told.fates)
    return [received, *told.entries, *_failed_conditions(intake)]


def _start(
    env: Env, batch: Sequence[Taken], folded: _Folded, told: Sequence[_Told]
) -> Operation[None]:
    if not folded.starts:
        return
    final = {**folded.updated, **{id_: pair[0] for id_, pair in folded.inserted.items()}}
    known = {one.incident_id for one in folded.starts if one.incident_id in folded.known}
    taken = (yield from runs.begun_for(known)) if known else set()
    begun: list[Run] = []
    for place, incident_id, start in folded.starts:
        key = (incident_id, start.runbook, start.trigger.value)
        # An alert that came and went before it was on record needs no repair.
        over = start.trigger is Trigger.FIRING and not final[incident_id].open
        if key in taken or over:
            continue
        taken.add(key)
        intake = batch[place].intake
        run = interventions.new_run(
            env,
            start,
            incident_id=incident_id,
            by=f"sender:{intake.sender}",
            at=intake.received_at,
        )
        begun.append(run)
        told[place].started.append(run.id)
    yield from runs.insert(begun)


def _end(
    env: Env, batch: Sequence[Taken], folded: _Folded, told: Sequence[_Told]
) -> Operation[None]:
    """Cancel the runs of closed incidents that changed nothing yet; wake those that verify."""
    closed = [incident.id for incident in folded.updated.values() if not incident.open]
    if not closed:
        return
    ended_at = {id_: batch[folded.closed_by[id_]].intake.received_at for id_ in closed}
    yield from acknowledging.cleared(env, ended_at)
    live = [
        run
        for run in (yield from runs.of_incidents(closed))
        if run.about_alert and run.state.claimable
    ]
    if not live:
        return
    changed = yield from steps.runs_that_changed([run.id for run in live])
    untouched = [run for run in live if run.state in _CANCELLABLE and run.id not in changed]
    closed_by = {run.id: folded.closed_by[run.incident_id or ""] for run in live}
    at = {run.id: batch[closed_by[run.id]].intake.received_at for run in live}
    if untouched:
        moves = [
            Move(
                run=run,
                to=RunState.CANCELLED,
                reason=Reason.RESOLVED_BY_ITSELF,
                message="The alert resolved by itself before anything was changed",
                at=at[run.id],
                actor="remediator",
                fence=True,
            )
            for run in untouched
        ]
        yield from transitions.carry_out(env, moves, announce=True)
    for run in untouched:
        told[closed_by[run.id]].cancelled.append(run)
    watching = (RunState.VERIFYING, RunState.AWAITING_APPROVAL)
    over = {run.id for run in untouched}
    verifying = [run for run in live if run.state in watching and run.id not in over]
    if verifying:
        # They look at the alert again now.
        yield Many(
            "UPDATE runs SET wake_us = $2 WHERE id = $1 AND wake_us > $2",
            [(run.id, to_us(at[run.id])) for run in verifying],
        )
        yield Wake(Due.RUNS)


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
