"""Which runbooks can match a label set, without asking all of them.

Each line of matchers is filed under one pair of label and value that it cannot match without; a
label set then asks only what is filed under its own pairs. Lines that need a label to match a
regular expression stand in bundles, behind one expression for all of a bundle. Only the few that
need nothing are asked every time. So runbooks that can't match an alert hardly cost it anything.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediator.runbook import matchers
from remediator.runbook.matchers import Matcher, Operator
from remediator.runbook.runbook import Runbook

# So many expressions together: a match then asks these runbooks, one by one.
_BUNDLE = 128


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Runbooks that can't match unless one label matches one expression of many."""

    label: str
    pattern: Any
    numbers: frozenset[int]


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
        self._patterns: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._rest: list[int] = []
        self.runbooks = tuple(runbooks)
        for number, runbook in enumerate(self.runbooks):
            for line in runbook.matchers:
                self._file(number, line)
        self._bundles = [
            _Bundle(
                name,
                matchers.any_of([pattern for pattern, _ in some]),
                frozenset(number for _, number in some),
            )
            for name, filed in self._patterns.items()
            for some in _parts(filed)
        ]

    def __len__(self) -> int:
        return len(self.runbooks)

    def candidates(self, labels: Mapping[str, str]) -> Sequence[Runbook]:
        """Return the runbooks whose matchers may let these labels through, in loading order.

        A superset: the caller still asks each with `Runbook.applies`.
        """
        found = set(self._rest)
        for pair in labels.items():
            found.update(self._filed.get(pair, ()))
        for bundle in self._bundles:
            value = labels.get(bundle.label)
            if value and bundle.pattern.fullmatch(value) is not None:
                found |= bundle.numbers
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
            needed = next((m for m in line if _needs_a_value(m)), None)
            if needed is None:
                self._rest.append(number)
            else:
                self._patterns[needed.name].append((needed.value, number))
            return
        for value in best[2]:
            self._filed[(best[1], value)].append(number)


def _needs_a_value(matcher: Matcher) -> bool:
    """Whether only labels that match an expression pass; a missing one does not."""
    return matcher.operator is Operator.REGEX and not matcher.matches({})


def _parts(filed: Sequence[tuple[str, int]]) -> Iterator[Sequence[tuple[str, int]]]:
    for start in range(0, len(filed), _BUNDLE):
        yield filed[start : start + _BUNDLE]
