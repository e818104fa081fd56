"""How runbooks did: what `report` shows, what `promote` proposes by, and what the guardrail `trust`
weighs. Reads the journal; decides nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from remediator.engine import guardrails
from remediator.engine.guardrails import Standing
from remediator.engine.library import Library
from remediator.engine.ports import Ports
from remediator.journal.protocol import Journal
from remediator.model import promotion
from remediator.model.clock import Clock
from remediator.model.evidence import RunCount, evidence
from remediator.model.history import Reset
from remediator.model.limits import Mode
from remediator.model.policy import Policy, Trust
from remediator.model.promotion import Bar, Track
from remediator.model.runs import RunState
from remediator.runbook.runbook import Runbook


@dataclass(frozen=True, slots=True)
class Proposal:
    """Which mode a runbook may be given next, and what of that is met."""

    to: Mode
    bars: tuple[Bar, ...]

    @property
    def met(self) -> bool:
        """Whether the evidence is enough."""
        return promotion.met(self.bars)


@dataclass(frozen=True, slots=True)
class Breaker:
    """The failure breaker of one runbook, and who reset it last."""

    runbook: str
    standing: Standing
    reset: Reset | None


@dataclass(frozen=True, slots=True)
class Line:
    """One runbook in a report.

    Args:
        runbook: its name; it may not be in force any more, and then `current` is None.
        runs: ended runs by state.
        helped: runs that changed something and ended well.
        needed_a_person: runs that asked somebody, called somebody, or wait for somebody to look.
        refused: by guardrail, runs that it ended.
        mean_time: from the start to the end of those that helped; None where none did.
        decisions: answers that people gave.
        earned, proposal, breaker: of a runbook in force; None for others.
    """

    runbook: str
    current: Runbook | None
    runs: Mapping[RunState, int]
    helped: int
    needed_a_person: int
    refused: Mapping[str, int]
    mean_time: timedelta | None
    decisions: int
    asked: int
    approved: int
    denied: int
    called: int
    track: Track | None = None
    earned: Mode | None = None
    proposal: Proposal | None = None
    breaker: Breaker | None = None

    @property
    def total(self) -> int:
        """All runs that ended."""
        return sum(self.runs.values())


@dataclass(frozen=True, slots=True)
class Report:
    """What happened from `since` to `until`, and the highest mode that the policy gives any runbook
    now."""

    since: datetime
    until: datetime
    lines: tuple[Line, ...]
    policy_mode: Mode
    partial: bool = False


@dataclass(slots=True)
class _Sum:
    counts: list[RunCount] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def of(self, wanted: Callable[[RunCount], bool]) -> int:
        return sum(one.count for one in self.counts if wanted(one))


class TrackRecord:
    """Makes reports."""

    def __init__(
        self,
        journal: Journal,
        library: Library,
        policy_now: Callable[[], Policy],
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._library = library
        self._policy_now = policy_now
        self._clock = clock

    async def report(self, span: timedelta, runbook: str | None = None) -> Report:
        """Return how runbooks did in the last while; those in force, and those that ran."""
        until = self._clock.now()
        found = await self._journal.track_record(since=until - span, until=until, runbook=runbook)
        sums: dict[str, _Sum] = defaultdict(_Sum)
        for count in found.counts:
            sums[count.runbook].counts.append(count)
        for refusal in found.refusals:
            sums[refusal.runbook].refused[refusal.guardrail] += refusal.count
        in_force = self._library.by_name
        names = {*sums, *(name for name in in_force if runbook in (None, name))}
        policy = self._policy_now()
        trust = policy.trust
        tracks = await self._tracks([in_force[n] for n in names if n in in_force], trust, until)
        breakers = {b.runbook: b for b in await self.breakers([n for n in names if n in in_force])}
        lines = [
            replace(
                _line(name, sums[name], in_force.get(name), tracks.get(name), trust),
                breaker=breakers.get(name),
            )
            for name in sorted(names)
        ]
        return Report(found.since, found.until, tuple(lines), policy.mode, found.partial)

    async def breakers(self, runbooks: Sequence[str]) -> Sequence[Breaker]:
        """Return the failure breakers of these runbooks, in their order."""
        now, limit = self._clock.now(), self._policy_now().breaker
        pasts = await self._journal.breaker_pasts(runbooks)
        return [
            Breaker(name, guardrails.standing(*pasts[name], limit, now), pasts[name][1])
            for name in runbooks
        ]

    async def _tracks(
        self, runbooks: Sequence[Runbook], trust: Trust, now: datetime
    ) -> Mapping[str, Track]:
        """Return the evidence of many runbooks, by name, each within its bars' times."""
        since = promotion.looks_back_to(trust, now)
        only = runbooks[0].name if len(runbooks) == 1 else None
        by_since = {
            one: await self._journal.run_counts(since=one, runbook=only) for one in set(since)
        }
        return {
            runbook.name: Track(
                *(evidence(by_since[one], runbook.name, runbook.substance) for one in since)
            )
            for runbook in runbooks
        }


async def shown(ports: Ports, runbook: Runbook) -> Track | None:
    """Return what a runbook, as it stood when its run began, has shown; None where the policy does
    not ask for it."""
    trust = ports.policy.trust
    if not trust.required:
        return None
    since = promotion.looks_back_to(trust, ports.clock.now())
    found = {
        one: await ports.journal.run_counts(
            since=one, runbook=runbook.name, substance=runbook.substance
        )
        for one in set(since)
    }
    return Track(*(evidence(found[one], runbook.name, runbook.substance) for one in since))


def _line(
    name: str, total: _Sum, current: Runbook | None, track: Track | None, trust: Trust
) -> Line:
    helped = total.of(lambda one: one.helped)
    took = sum((one.took for one in total.counts if one.helped), timedelta())
    proposal = None
    if current is not None and track is not None:
        to = promotion.following(current.mode)
        proposal = Proposal(to, promotion.bars(to, track, trust)) if to else None
    return Line(
        runbook=name,
        current=current,
        runs=_by_state(total.counts),
        helped=helped,
        needed_a_person=total.of(
            lambda one: one.asked or one.called or one.state is RunState.INTERRUPTED
        ),
        refused=dict(total.refused),
        mean_time=took / helped if helped else None,
        decisions=sum(one.decisions for one in total.counts),
        asked=total.of(lambda one: one.asked),
        approved=total.of(lambda one: one.approved),
        denied=total.of(lambda one: one.denied),
        called=total.of(lambda one: one.called),
        track=track,
        earned=promotion.earned(track, trust) if track else None,
        proposal=proposal,
    )


def _by_state(counts: Iterable[RunCount]) -> Mapping[RunState, int]:
    found: Counter[RunState] = Counter()
    for one in counts:
        found[one.state] += one.count
    return {state: found[state] for state in RunState if found[state]}
