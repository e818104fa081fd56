"""What a replay itself has done so far: the history that its guardrails see.

Each run that would have been carried out is taken as carried out at its time, so that cooldowns,
rates, budgets and breakers count the replay's own changes and not those that really happened. Of
the alerts it keeps the newest incident of each, for as long as something may still refer to it.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from remediator.engine import guardrails
from remediator.model.history import GoingOn, History, LookBack, Outcome, PastChange
from remediator.model.incidents import Incident
from remediator.model.policy import Policy
from remediator.runbook.runbook import Runbook

# As the journal counts them: more is a storm, whatever the limit.
_MOST_OPENED = 10_000
_MOST_OUTCOMES = 100
# A peer's late or repeated news of an episode that is over comes within minutes.
_LATE_NEWS = timedelta(hours=24)


@dataclass(slots=True)
class Known:
    """The newest incident of one alert, and when earlier ones that were treated had been opened."""

    incident: Incident
    treated: tuple[datetime, ...] = ()
    started: set[tuple[str, str]] = field(default_factory=set)
    """Runbook and trigger of the runs that the incident has had."""


class Past:
    """The history of one replay."""

    def __init__(self, runbooks: Iterable[Runbook], policy: Policy, began: datetime) -> None:
        """Begin with nothing; keeps what limits of these runbooks and this policy look back on."""
        looks = [
            guardrails.look_back(one.limits, policy, began, runbook=one.name, incident_id="any")
            for one in runbooks
        ]
        spans = [began - at for one in looks for at in (one.changes, one.treated) if at is not None]
        self._kept = max([*spans, _LATE_NEWS])
        self.known: dict[tuple[str, str], Known] = {}
        self._changes: deque[PastChange] = deque()
        self._outcomes: dict[str, deque[Outcome]] = defaultdict(
            lambda: deque(maxlen=_MOST_OUTCOMES)
        )
        self._opened: deque[datetime] = deque(maxlen=_MOST_OPENED)
        self._going_on: dict[str, GoingOn] = {}
        self._locks: dict[str, str] = {}

    def history(self, run_id: str, look: LookBack, known: Known | None) -> History:
        """Return what a run may know of the past; `known` is its alert's."""
        since, treated, opened = look.changes, look.treated, look.opened
        incident = known.incident if known else None
        # Of the alert's earlier incidents; its own does not count against it.
        before = (at for at in known.treated if at < known.incident.opened_at) if known else ()
        return History(
            changes=tuple(c for c in reversed(self._changes) if since and c.at >= since),
            controls=(),
            locks={key: holder for key, holder in self._locks.items() if holder != run_id},
            incident_open=incident.open if incident else None,
            going_on=tuple(one for one in self._going_on.values() if one.run_id != run_id)
            if look.going_on
            else (),
            outcomes=tuple(reversed(self._outcomes[look.outcomes_of])) if look.outcomes_of else (),
            opened=sum(1 for at in self._opened if at >= opened) if opened else 0,
            treated=tuple(at for at in before if treated and at >= treated),
        )

    def opened(self, at: datetime) -> None:
        """Count an incident that was opened."""
        self._opened.append(at)

    def begin(self, change: PastChange, known: Known | None) -> None:
        """Take a change as made: it counts from now on, and its run goes on until `end`."""
        self._changes.append(change)
        before = self._going_on.get(change.run_id)
        rules = change.rules | (before.rules if before else frozenset())
        self._going_on[change.run_id] = GoingOn(change.run_id, change.runbook, rules)
        self._locks[change.target_key] = change.run_id
        if known is not None and known.incident.opened_at not in known.treated:
            known.treated = (*known.treated, known.incident.opened_at)

    def end(self, run_id: str, runbook: str, at: datetime, *, good: bool) -> None:
        """Take a run that made changes as ended."""
        self.release(run_id)
        self._outcomes[runbook].append(Outcome(run_id, at, good))

    def release(self, run_id: str) -> None:
        """Let a run go on no longer, without saying how it came out."""
        self._going_on.pop(run_id, None)
        for key in [key for key, holder in self._locks.items() if holder == run_id]:
            del self._locks[key]

    def forget(self, now: datetime) -> None:
        """Let go of what no limit looks back on, and of alerts that are long over."""
        horizon = now - self._kept
        while self._changes and self._changes[0].at < horizon:
            self._changes.popleft()
        for key, known in list(self.known.items()):
            incident = known.incident
            if not incident.open and incident.updated_at < horizon:
                del self.known[key]

    def close(self, known: Known, incident: Incident) -> None:
        """Keep of an incident that is over what late news is told by."""
        known.incident = replace(incident, labels={}, annotations={}, generator_url="")
