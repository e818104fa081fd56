"""What is known of how a runbook did: counted by the journal, weighed by the policy's bars.

Evidence belongs to what a runbook *does*: which alerts it takes and its steps, conditions,
parameters, verification and undo (`runbook.Runbook.substance`). A change of its mode, limits,
people or words keeps the evidence; a change of what it would do to the world begins anew, since
nobody has seen that yet. Pure.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState


@dataclass(frozen=True, slots=True)
class RunCount:
    """How many ended runs are alike in all of this.

    Args:
        substance: digest of what the runbook did then; empty where that was not kept yet.
        by_alert: an alert started them, and not a person.
        asked, approved, denied: people were asked, and once said yes, or no.
        acted: a change was begun.
        called: a person was called.
        took: from start to end, all together.
        decisions: answers that people gave, all together.
    """

    runbook: str
    substance: str
    state: RunState
    by_alert: bool
    asked: bool
    approved: bool
    denied: bool
    acted: bool
    called: bool
    count: int
    took: timedelta
    decisions: int

    @property
    def helped(self) -> bool:
        """Whether they changed something and ended well."""
        return self.acted and self.state is RunState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a runbook that has ended."""

    runbook: str
    id: str
    state: RunState
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often a guardrail ended a runbook's runs."""

    runbook: str
    guardrail: str
    count: int


@dataclass(frozen=True, slots=True)
class Record:
    """What the journal tells of a span: for `report`, and for the bars of every runbook."""

    since: datetime
    until: datetime
    counts: tuple[RunCount, ...]
    refusals: tuple[Refusals, ...]
    partial: bool = False
    """More refusals than are read at once: the newest are counted."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one runbook, as it stands, did in runs that an alert started.

    Args:
        observed: runs that ended with a plan that was only shown.
        asked: runs whose plan was put before people.
        approved: runs that people approved, and that then changed something and ended.
        automatic: runs that changed something without a question, and ended.
        helped: of these two, how many ended well.
        denied: runs that people denied.
    """

    observed: int = 0
    asked: int = 0
    approved: int = 0
    automatic: int = 0
    helped: int = 0
    denied: int = 0

    @property
    def success(self) -> float:
        """The part of what changed something that ended well, from 0 to 1; 0 without any."""
        acted = self.approved + self.automatic
        return self.helped / acted if acted else 0.0

    def to_json(self) -> JSONObject:
        """Return it as JSON for the API and the audit chain."""
        return {
            "observed": self.observed,
            "asked": self.asked,
            "approved": self.approved,
            "automatic": self.automatic,
            "helped": self.helped,
            "denied": self.denied,
            "success": round(self.success, 4),
        }


NO_EVIDENCE = Evidence()


def evidence(counts: "tuple[RunCount, ...]", runbook: str, substance: str) -> Evidence:
    """Add up what counts for a runbook as it stands."""
    own = [
        one
        for one in counts
        if one.by_alert and one.runbook == runbook and one.substance == substance
    ]
    # Asked in the middle, and nobody said yes: neither approved nor of its own accord.
    acted = [one for one in own if one.acted and (one.approved or not one.asked)]
    return Evidence(
        observed=sum(one.count for one in own if one.state is RunState.OBSERVED),
        asked=sum(one.count for one in own if one.asked),
        approved=sum(one.count for one in acted if one.approved),
        automatic=sum(one.count for one in acted if not one.approved),
        helped=sum(one.count for one in acted if one.helped),
        denied=sum(one.count for one in own if one.denied),
    )
