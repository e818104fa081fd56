"""Which breakers hold automatic runs now: for metrics and the log.

Decides nothing: the guardrails do, from the same figures, plan by plan. Asked by `housekeeping` in
each of its rounds, at every replica.
"""

from datetime import datetime

import structlog

from remediator.engine import guardrails
from remediator.engine.guardrails import BreakerState
from remediator.journal.protocol import Journal
from remediator.model.history import LookBack
from remediator.model.policy import Policy
from remediator.model.quantities import format_duration
from remediator.observe import metrics

log = structlog.get_logger(__name__)

STORM = "storm"
FAILURE = "failure"
_VALUES = {BreakerState.OPEN: 1.0, BreakerState.HALF_OPEN: 0.5}


class Watch:
    """Keeps what was tripped at the last look, so that the log tells of changes alone."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], float] = {}

    async def look(self, journal: Journal, policy: Policy, now: datetime) -> None:
        """Read the figures and tell what has changed.

        Raises:
            JournalUnavailable: it can't be read now; what was known stays.
        """
        found = {**await _storm(journal, policy, now), **await _failing(journal, policy, now)}
        metrics.BREAKER_OPEN.clear()
        for (breaker, runbook), value in found.items():
            metrics.BREAKER_OPEN.labels(breaker, runbook).set(value)
            if value == 1.0 and self._known.get((breaker, runbook)) != 1.0:
                metrics.BREAKER_TRIPS.labels(breaker).inc()
                log.warning("breaker open: people are asked", breaker=breaker, runbook=runbook)
        for breaker, runbook in self._known.keys() - found.keys():
            log.info("breaker closed", breaker=breaker, runbook=runbook)
        self._known = found


async def _storm(journal: Journal, policy: Policy, now: datetime) -> dict[tuple[str, str], float]:
    limit = policy.storm.opened
    if limit is None:
        return {}
    look = LookBack(opened=now - limit.per)
    past = await journal.history(run_id="", look=look, at=now)
    if past.opened <= limit.count:
        return {}
    log.debug("storm", opened=past.opened, within=format_duration(limit.per), limit=str(limit))
    return {(STORM, ""): 1.0}


async def _failing(journal: Journal, policy: Policy, now: datetime) -> dict[tuple[str, str], float]:
    """Look at the runbooks whose runs failed lately; what failed before that is half-open or over,
    and the next plan finds out."""
    limit = policy.breaker
    if limit.failures is None:
        return {}
    found = {}
    for runbook in await journal.failing(since=now - limit.failures.per - limit.cool_off):
        look = LookBack(outcomes_of=runbook)
        past = await journal.history(run_id="", look=look, at=now)
        state = guardrails.standing(past.outcomes, past.reset, limit, now).state
        if state is not BreakerState.CLOSED:
            found[FAILURE, runbook] = _VALUES[state]
    return found
