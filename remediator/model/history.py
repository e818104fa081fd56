"""What guardrails may know of the past, and what of it they ask for.

Read by `journal.history` in the transaction that stores an intent, so that no limit can be raced.
Frozen data: what it means is the guardrails' to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from remediator.model.overrides import Override
from remediator.model.plans import Plan


@dataclass(frozen=True, slots=True)
class PastChange:
    """A change that was begun: a step whose intent was stored, undone or not; one for all its
    attempts, at the time of the first.

    Args:
        pods, nodes, down: its impact; `down` is how many were out of service at once.
        part_of: the key of the workload whose pods these were; the target's own where empty.
        owner: the runbook's.
        rules: the policy's rules that applied to it.
        cost: what it added to the running cost by the hour; None where there was no estimate.
    """

    run_id: str
    sequence: int
    runbook: str
    target_key: str
    pods: int
    at: datetime
    nodes: int = 0
    down: int = 0
    part_of: str = ""
    owner: str = ""
    rules: frozenset[str] = frozenset()
    cost: Decimal | None = None

    @property
    def workload(self) -> str:
        """The key of the workload whose pods were touched."""
        return self.part_of or self.target_key


def begun(
    plan: Plan,
    *,
    run_id: str,
    sequence: int,
    runbook: str,
    owner: str,
    rules: frozenset[str],
    at: datetime,
) -> PastChange:
    """Return how a plan that is begun now counts from now on."""
    impact = plan.impact
    return PastChange(
        run_id=run_id,
        sequence=sequence,
        runbook=runbook,
        target_key=plan.target.key,
        pods=impact.pods,
        at=at,
        nodes=impact.nodes,
        down=impact.down_at_once,
        part_of=impact.part_of,
        owner=owner,
        rules=rules,
        cost=impact.cost_per_hour,
    )


@dataclass(frozen=True, slots=True)
class Control:
    """A kill switch. `scope` is `*`, `runbook:<name>` or `scope:<namespace>`."""

    scope: str
    by: str
    reason: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class GoingOn:
    """A run that has begun to change something and has not ended; with the rules that applied."""

    run_id: str
    runbook: str
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run that changed something ended."""

    run_id: str
    at: datetime
    good: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """A person closed a runbook's failure breaker."""

    runbook: str
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LookBack:
    """What of the past a judgement needs; what is not asked for is not read.

    Args:
        changes: changes begun since then.
        going_on: which other runs are in the middle of changing something.
        outcomes_of: the runbook whose last outcomes count, and its breaker's last reset.
        opened: incidents opened since then are counted.
        treated: earlier incidents of the same alert as `incident_id`'s that were opened since then
            and treated.
    """

    changes: datetime | None = None
    going_on: bool = False
    outcomes_of: str = ""
    opened: datetime | None = None
    treated: datetime | None = None
    incident_id: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """What guardrails may know of the past; read in the transaction that stores the intent.

    Args:
        changes: every run's, the asking one's too; newest first.
        controls: the kill switches that are on.
        locks: target key → holding run, of other runs only.
        incident_open: whether the run's incident is; None for a run without one.
        going_on: other runs that are in the middle of changing something.
        outcomes: the last ones of the run's runbook, newest first.
        reset: the last reset of the runbook's failure breaker.
        opened: how many incidents were opened in the time that was asked for.
        treated: when earlier incidents of the run's alert, which were treated, had been opened.
        overrides: the judged run's own that are not expired.
    """

    changes: tuple[PastChange, ...]
    controls: tuple[Control, ...]
    locks: Mapping[str, str]
    incident_open: bool | None = None
    going_on: tuple[GoingOn, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    reset: Reset | None = None
    opened: int = 0
    treated: tuple[datetime, ...] = ()
    overrides: tuple[Override, ...] = ()

    def with_change(self, change: PastChange) -> "History":
        """Return the history as it will be when this change was begun as well."""
        return replace(self, changes=(change, *self.changes))
