"""Which runbooks can match a label set, without asking all of them.

Each line of matchers is filed under one pair of label and value that it cannot match without; a
label set then asks only what is filed under its own pairs, and the few lines that have no such
pair. So the cost of an alert does not grow with runbooks that can't match it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from remediator.runbook import matchers
from remediator.runbook.matchers import Matcher
from remediator.runbook.runbook import Runbook


class Index:
    """An immutable index over a set of runbooks."""

    def __init__(self, runbooks: Sequence[Runbook]) -> None:
        self._filed: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._common: Counter[tuple[str, str]] = Counter(
            (matcher.name, value)
            for runbook in runbooks
            for line in runbook.matchers
            for matcher in line
            for value in matchers.literals(matcher) or ()
        )
        self._rest: list[int] = []
        self.runbooks = tuple(runbooks)
        for number, runbook in enumerate(self.runbooks):
            for line in runbook.matchers:
                self._file(number, line)

    def __len__(self) -> int:
        return len(self.runbooks)

    def candidates(self, labels: Mapping[str, str]) -> Sequence[Runbook]:
        """Return the runbooks whose matchers may let these labels through, in loading order.

        A superset: the caller still asks each with `Runbook.applies`.
        """
        found = set(self._rest)
        for pair in labels.items():
            found.update(self._filed.get(pair, ()))
        return [self.runbooks[number] for number in sorted(found)]

    def _file(self, number: int, line: Sequence[Matcher]) -> None:
        best: tuple[int, str, frozenset[str]] | None = None
        for matcher in line:
            values = matchers.literals(matcher)
            if values is None:
                continue
            # The pairs that the fewest others stand under: often alertname, but not where a
            # thousand services have a runbook each for one alert.
            rank = sum(self._common[(matcher.name, value)] for value in values)
            if best is None or rank < best[0]:
                best = (rank, matcher.name, values)
        if best is None:
            self._rest.append(number)
            return
        for value in best[2]:
            self._filed[(best[1], value)].append(number)
