"""Which runbooks can match a label set, without asking all of them.

Each line of matchers is filed under what the fewest other lines need as well: a pair of label and
value, or a regular expression that a label must match. A label set then asks only what is filed
under its own pairs, and under the expressions that its values match: these stand in bundles, behind
one expression for all of a bundle, and what a value came to is remembered. Lines that need nothing
are asked every time, equal ones together. So runbooks that can't match an alert hardly cost it
anything.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from remediator.model import matchers
from remediator.model.matchers import Matcher, Operator
from remediator.runbook.runbook import Runbook

# So many expressions together; when theirs matches, they are asked one by one.
_BUNDLE = 128
# Values of one label whose runbooks are remembered; names of alerts are a few hundred. A label
# with a new value in each alert, a pod's name, must not fill the memory: then all is forgotten.
_REMEMBERED = 4096
# A pair is a look-up and an expression is a search, so a pair that a few others share is better.
_FEW = 8

_Line = Sequence[Matcher]


class Index:
    """An immutable index over a set of runbooks; may be used from several threads."""

    def __init__(self, runbooks: Sequence[Runbook]) -> None:
        self.runbooks = tuple(runbooks)
        self._filed: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._rest: dict[tuple[tuple[str, str, str], ...], tuple[_Line, list[int]]] = {}
        lines = [(number, line) for number, one in enumerate(runbooks) for line in one.matchers]
        self._shared = Counter(need for _, line in lines for m in line for need in _needs(m))
        patterns: dict[str, list[tuple[Matcher, int]]] = defaultdict(list)
        for number, line in lines:
            self._file(number, line, patterns)
        self._patterns = {name: _Patterns(filed) for name, filed in patterns.items()}

    def __len__(self) -> int:
        return len(self.runbooks)

    def candidates(self, labels: Mapping[str, str]) -> Sequence[Runbook]:
        """Return the runbooks whose matchers may let these labels through, in loading order.

        A superset: the caller still asks each with `Runbook.applies`.
        """
        found: set[int] = set()
        for pair in labels.items():
            filed = self._filed.get(pair)
            if filed is not None:
                found.update(filed)
        for name, patterns in self._patterns.items():
            value = labels.get(name)
            if value:
                found.update(patterns.matching(value))
        for line, numbers in self._rest.values():
            if all(matcher.matches(labels) for matcher in line):
                found.update(numbers)
        return [self.runbooks[number] for number in sorted(found)]

    def _file(
        self, number: int, line: _Line, patterns: dict[str, list[tuple[Matcher, int]]]
    ) -> None:
        # What the fewest others need: often alertname, but not where a thousand services have a
        # runbook each for one alert.
        ranked = [(sum(self._shared[n] for n in _needs(m)), m) for m in line if _needs(m)]
        if not ranked:
            key = tuple((m.name, m.operator.value, m.value) for m in line)
            self._rest.setdefault(key, (line, []))[1].append(number)
            return
        by_value = [one for one in ranked if matchers.literals(one[1]) is not None]
        rank, best = min(by_value or ranked, key=_rank)
        if rank > _FEW:
            rank, best = min(ranked, key=_rank)
        values = matchers.literals(best)
        if values is None:
            patterns[best.name].append((best, number))
            return
        for value in values:
            self._filed[(best.name, value)].append(number)


class _Patterns:
    """The lines that need one label to match an expression."""

    def __init__(self, filed: Sequence[tuple[Matcher, int]]) -> None:
        numbers: dict[str, list[int]] = defaultdict(list)
        of: dict[str, Matcher] = {}
        for matcher, number in filed:
            numbers[matcher.value].append(number)
            of.setdefault(matcher.value, matcher)
        self._bundles = [
            (matchers.any_of(some), [(of[text].pattern, numbers[text]) for text in some])
            for some in _parts(list(of))
        ]
        self._known: dict[str, tuple[int, ...]] = {}

    def matching(self, value: str) -> tuple[int, ...]:
        """Return the numbers of the lines whose expression matches."""
        known = self._known.get(value)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known = {}
            known = self._known[value] = tuple(self._search(value))
        return known

    def _search(self, value: str) -> Iterator[int]:
        for any_of_them, each in self._bundles:
            if any_of_them.fullmatch(value) is not None:
                for pattern, numbers in each:
                    if pattern.fullmatch(value) is not None:
                        yield from numbers


def _needs(matcher: Matcher) -> Sequence[tuple[Any, ...]]:
    """Return what labels must have for a matcher to pass: one of these pairs, or what matches.

    Nothing where a missing label passes, too.
    """
    values = matchers.literals(matcher)
    if values is not None:
        return [(matcher.name, value) for value in values]
    if matcher.operator is Operator.REGEX and not matcher.matches({}):
        return [(matcher.name, Operator.REGEX, matcher.value)]
    return ()


def _rank(ranked: tuple[int, Matcher]) -> int:
    return ranked[0]


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), _BUNDLE):
        yield texts[start : start + _BUNDLE]
