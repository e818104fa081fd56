"""Overriding a guardrail: who may, which one, and for how long. The policy says so.

Decides whether a person may lift a guardrail for a run; whether there is anything to lift, the
journal decides under the run's lock. Called by the HTTP edge. No override ever reaches what
`model.policy` never lets be overridden, and none is needed for what is never blocked: undo, cancel,
escalation.
"""

from collections.abc import Callable
from dataclasses import dataclass

from remediator.engine.library import Library
from remediator.engine.people import CannotTell, Directory
from remediator.journal.protocol import Journal
from remediator.journal.values import AuditEntry, RunStart
from remediator.model.approvals import MAX_REASON
from remediator.model.clock import Clock
from remediator.model.overrides import Granted, GrantOutcome, Override, OverrideState
from remediator.model.policy import NEVER_OVERRIDDEN, Policy
from remediator.model.runs import Run, Trigger
from remediator.observe import logs, metrics
from remediator.plugin.notifier import NotAuthorised
from remediator.plugin.source import Rejected
from remediator.runbook.findings import did_you_mean

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Overriding:
    """What became of a wish to override, with a sentence for the person."""

    outcome: GrantOutcome
    override: Override | None
    message: str


class OverrideControl:
    """Takes overrides from people."""

    def __init__(
        self,
        journal: Journal,
        library: Library,
        directory: Directory,
        policy_now: Callable[[], Policy],
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._library = library
        self._directory = directory
        self._policy_now = policy_now
        self._clock = clock

    async def grant(
        self, run_id: str, guardrail: str, *, actor: str, reason: str, via: str
    ) -> Overriding:
        """Lift one guardrail for one run.

        Args:
            run_id: the run, or a unique part of its id.
            guardrail: the guardrail's name, as verdicts have it.
            actor: an authenticated identity.
            reason: why; mandatory.
            via: the channel it came through.

        Raises:
            Rejected: there is no reason, or the policy does not let this guardrail be overridden.
            NotAuthorised: the policy does not name the actor; it is put on record.
        """
        policy = self._policy_now().override
        run = await self._journal.run(run_id)
        if run is None:
            return Overriding(GrantOutcome.UNKNOWN, None, f"there is no run {run_id[:40]}")
        with logs.bound(run_id=run.id, runbook=run.runbook, incident_id=run.incident_id):
            if not reason.strip():
                raise Rejected("reason", "say why: an override without a reason is not taken")
            await self._may(actor, policy.people, run, guardrail, via)
            if guardrail not in policy.guardrails or guardrail in NEVER_OVERRIDDEN:
                raise Rejected("guardrail", _not_this_one(guardrail, policy.guardrails))
            now = self._clock.now()
            wanted = Override(
                id="",
                run_id=run.id,
                asked_for=run.id,
                guardrail=guardrail,
                by=actor,
                reason=reason.strip()[:MAX_REASON],
                via=via,
                state=OverrideState.OPEN,
                created_at=now,
                expires_at=now + policy.expires,
            )
            granted = await self._journal.grant_override(wanted, self._again(run, wanted))
            metrics.OVERRIDES.labels(guardrail=guardrail, outcome=granted.outcome.value).inc()
            log.info("override", actor=actor, guardrail=guardrail, outcome=granted.outcome)
            return Overriding(granted.outcome, granted.override, _sentence(run, guardrail, granted))

    async def _may(
        self, actor: str, people: tuple[str, ...], run: Run, guardrail: str, via: str
    ) -> None:
        why = f"the policy names {', '.join(people) or 'nobody'} for overrides"
        try:
            if await self._directory.among(actor, people, fresh=True):
                return
        except CannotTell as error:
            why = f"{why}, and {error}"
        metrics.OVERRIDES.labels(guardrail="any", outcome="not_authorised").inc()
        log.warning("override refused", actor=actor, guardrail=guardrail)
        details = {"guardrail": guardrail[:100], "via": via}
        entry = AuditEntry(
            "override.not_authorised", actor, self._clock.now(), details, run.id, run.incident_id
        )
        await self._journal.record([entry])
        raise NotAuthorised(f"{actor} may not override a guardrail: {why}")

    def _again(self, run: Run, wanted: Override) -> RunStart | None:
        """Return how the run is started again, as its runbook stands now."""
        runbook = self._library.by_name.get(run.runbook)
        if runbook is None:
            return None
        return RunStart(
            runbook=runbook.name,
            version=runbook.version,
            trigger=Trigger.MANUAL,
            wake_at=wanted.created_at,
            context=run.context,
            message=f"started again by {wanted.by}, who overrides {wanted.guardrail} for it",
        )


def _not_this_one(guardrail: str, allowed: tuple[str, ...]) -> str:
    if guardrail in NEVER_OVERRIDDEN:
        return f"{guardrail} is never overridden"
    hint = did_you_mean(guardrail, allowed)
    there = f"the policy lets these be overridden: {', '.join(allowed) or 'none'}"
    return f"{guardrail[:100]!r} is not to be overridden; {hint or there}"


def _sentence(run: Run, guardrail: str, granted: Granted) -> str:
    given = granted.override
    match granted.outcome:
        case GrantOutcome.GRANTED if given is not None:
            return (
                f"{guardrail} is lifted for run {run.id}, once, if it gets that far by"
                f" {given.expires_at:%H:%M} UTC"
            )
        case GrantOutcome.STARTED if given is not None:
            return (
                f"run {given.run_id} was started; {guardrail} is lifted for it, once, until"
                f" {given.expires_at:%H:%M} UTC"
            )
        case GrantOutcome.REPEATED if given is not None:
            return f"{given.by} has overridden {guardrail} for this run already: {given.reason}"
        case GrantOutcome.BUSY:
            return f"run {granted.other_run} is on its way for this; override there what stops it"
        case GrantOutcome.OVER:
            return "the alert does not fire any more: there is nothing to do"
        case _:
            return f"run {run.id} was not ended by {guardrail}; it is {run.state}: {run.message}"
