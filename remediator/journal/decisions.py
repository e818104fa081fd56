"""One person's answer to a question: the compare-and-set that decides, and its consequence.

Clicks come twice, late, and at two replicas at once; whatever happens, the first quorum or the
first deny decides, and every answer is on the record with what became of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from remediator.journal import acknowledging, approvals, outbox, steps, transitions
from remediator.journal.statements import Env, Operation, Record
from remediator.journal.transitions import Move
from remediator.journal.values import AuditEntry
from remediator.model.approvals import (
    Answer,
    ApprovalRequest,
    ApprovalStatus,
    Decision,
    DecisionOutcome,
)
from remediator.model.canonical import JSON
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState
from remediator.model.views import Note, NoteKind


def decide(
    env: Env, decision: Decision, earlier: Mapping[str, str] | None = None
) -> Operation[tuple[DecisionOutcome, ApprovalRequest | None]]:
    """Count one authorised answer.

    Args:
        env: the daemon.
        decision: the answer.
        earlier: see `Journal.decide`.

    Returns:
        What became of it, and the question as it is then (None if there is no such question).
    """
    found = yield from approvals.locked(decision.approval_id)
    if found is None:
        return DecisionOutcome.UNKNOWN, None
    request, run = found
    given = yield from approvals.decisions_of(request.id)
    said = _Said.of(given, decision, earlier)
    if said.unknown and request.status is ApprovalStatus.OPEN:
        return DecisionOutcome.LOOK_AGAIN, request
    outcome = yield from _count(env, decision, request, run, said)
    details: dict[str, JSON] = {
        "approval_id": request.id,
        "answer": decision.answer.value,
        "reason": decision.reason,
        "via": decision.via,
        "outcome": outcome.value,
        "digests": dict(request.digests),
    }
    if decision.who != decision.actor:
        details["person"] = decision.who
    if said.lapsed:
        details["lapsed"] = sorted(said.lapsed)
    yield Record(
        [
            AuditEntry(
                kind="approval.decision",
                actor=decision.actor,
                at=decision.at,
                details=details,
                run_id=run.id,
                incident_id=run.incident_id,
            )
        ]
    )
    return outcome, (yield from approvals.get(request.id))


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said before, as it counts now.

    Args:
        same: this person gave this answer already.
        yes: actor → person, of every yes that counts.
        lapsed: actors whose yes counts no more.
        unknown: some yes was not looked at by whoever hands in this answer.
    """

    same: bool
    yes: Mapping[str, str]
    lapsed: frozenset[str]
    unknown: bool

    @classmethod
    def of(
        cls, given: Sequence[Decision], decision: Decision, earlier: Mapping[str, str] | None
    ) -> "_Said":
        yes = {one.actor: one.who for one in given if one.answer is Answer.APPROVE}
        lapsed: frozenset[str] = frozenset()
        unknown = False
        if earlier is not None:
            known = {**earlier, decision.actor: decision.who}
            unknown = decision.answer is Answer.APPROVE and not yes.keys() <= known.keys()
            lapsed = frozenset(actor for actor in yes if not known.get(actor))
            yes = {actor: known[actor] for actor in yes if actor not in lapsed}
        same = any(
            one.answer is decision.answer
            and (one.actor == decision.actor or yes.get(one.actor, one.who) == decision.who)
            and one.actor not in lapsed
            for one in given
        )
        return cls(same, yes, lapsed, unknown)


def _count(
    env: Env, decision: Decision, request: ApprovalRequest, run: Run, said: _Said
) -> Operation[DecisionOutcome]:
    if request.status is not ApprovalStatus.OPEN:
        return _too_late(request, said)
    if decision.at >= request.expires_at:
        return DecisionOutcome.EXPIRED
    if run.state is not RunState.AWAITING_APPROVAL:
        yield from approvals.settle(request.id, ApprovalStatus.VOID)
        return DecisionOutcome.VOID
    if not said.same:
        yield from approvals.add_decision(decision)
        yield from acknowledging.by_person(env, run, by=decision.actor, at=decision.at)
    if decision.answer is Answer.DENY:
        yield from approvals.settle(request.id, ApprovalStatus.DENIED)
        # A run that has changed something must not be left half done: a worker takes it back.
        half_done = run.id in (yield from steps.runs_that_changed([run.id]))
        yield from transitions.carry_out(
            env,
            [
                Move(
                    run=run,
                    to=RunState.AWAITING_APPROVAL if half_done else RunState.DENIED,
                    reason=Reason.DENIED,
                    message=_sentence("Denied", decision),
                    at=decision.at,
                    actor=decision.actor,
                    wake_at=decision.at if half_done else None,
                    fence=True,
                )
            ],
            announce=True,
        )
        return DecisionOutcome.DENIED
    yes = {*said.yes.values(), decision.who}
    if len(yes) < request.quorum and said.same:
        return DecisionOutcome.REPEATED
    if len(yes) < request.quorum:
        text = f"{_sentence('Approved', decision)}; {len(yes)} of {request.quorum}"
        yield from outbox.put(env, [Note(NoteKind.APPROVAL, run.id, text, decision.at)])
        return DecisionOutcome.COUNTED
    yield from approvals.settle(request.id, ApprovalStatus.APPROVED)
    yield from transitions.carry_out(
        env,
        [
            Move(
                run=run,
                to=RunState.APPLYING,
                reason=Reason.APPROVED,
                message=_sentence("Approved", replace(decision, actor=", ".join(sorted(yes)))),
                at=decision.at,
                actor=decision.actor,
                wake_at=decision.at,
                fence=True,
            )
        ],
        announce=True,
    )
    return DecisionOutcome.APPROVED


def _too_late(request: ApprovalRequest, said: _Said) -> DecisionOutcome:
    if request.status is ApprovalStatus.VOID:
        return DecisionOutcome.VOID
    if request.status is ApprovalStatus.EXPIRED:
        return DecisionOutcome.EXPIRED
    return DecisionOutcome.REPEATED if said.same else DecisionOutcome.ALREADY_DECIDED


def _sentence(verb: str, decision: Decision) -> str:
    return f"{verb} by {decision.actor}" + (f": {decision.reason}" if decision.reason else "")
