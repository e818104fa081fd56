"""Counts over a whole replay, by runbook. Pure."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from remediator.engine.replay.lines import Pair, Part


@dataclass(slots=True)
class Counts:
    """One runbook's runs: by verdict on either side, and how they differ."""

    now: Counter[str] = field(default_factory=Counter)
    then: Counter[str] = field(default_factory=Counter)
    same: int = 0
    added: int = 0
    gone: int = 0
    changed: Counter[Part] = field(default_factory=Counter)
    unplanned: int = 0


@dataclass(slots=True)
class Tally:
    """All runs of a replay."""

    by_runbook: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    compared: bool = True
    """Whether there is another side at all."""

    def add(self, pair: Pair) -> None:
        """Count one run."""
        counts = self.by_runbook[pair.line.runbook]
        if pair.now is not None:
            counts.now[pair.now.verdict] += 1
            counts.unplanned += bool(pair.now.unplanned)
        if pair.then is not None:
            counts.then[pair.then.verdict] += 1
        if pair.same:
            counts.same += 1
        elif pair.then is None:
            counts.added += 1
        elif pair.now is None:
            counts.gone += 1
        else:
            counts.changed.update(pair.differs)

    @property
    def runs(self) -> int:
        """Runs that would be."""
        return sum(counts.now.total() for counts in self.by_runbook.values())

    @property
    def differing(self) -> int:
        """Runs that are on one side alone, or differ in at least one part."""
        return sum(
            counts.now.total() + counts.gone - counts.same for counts in self.by_runbook.values()
        )

    @property
    def unplanned(self) -> int:
        """Runs whose plan is not known."""
        return sum(counts.unplanned for counts in self.by_runbook.values())
