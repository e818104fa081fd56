"""What a line of matchers tells about the alerts that pass it: which values a label may have, and
which other matchers they all pass. Pure; it never says more than is certain."""

from collections.abc import Sequence

from remediator.model import matchers
from remediator.model.matchers import Matcher, Operator

Line = Sequence[Matcher]

_ANY = (".*", "^.*$")
_SOME = (".+", "^.+$")


def values(line: Line, name: str) -> frozenset[str] | None:
    """Return the values that a label may have on an alert that passes; None where they are not
    few and known. Empty where no alert can pass."""
    about = [matcher for matcher in line if matcher.name == name]
    found: frozenset[str] | None = None
    for matcher in about:
        own = matchers.literals(matcher)
        if own is None and matcher.operator is Operator.EQUAL:
            own = frozenset({""})  # a label that must be missing
        if own is not None:
            found = own if found is None else found & own
    if found is None:
        return None
    return frozenset(v for v in found if all(m.matches({name: v}) for m in about))


def impossible(line: Line) -> str | None:
    """Return the label because of which no alert can pass a line; None where one may."""
    for name in dict.fromkeys(matcher.name for matcher in line):
        if values(line, name) == frozenset():
            return name
        about = [matcher for matcher in line if matcher.name == name]
        if any(m.operator is Operator.NOT_REGEX and m.value in _ANY for m in about):
            return name
    return None


def implies(line: Line, matcher: Matcher) -> bool:
    """Whether every alert that passes a line certainly passes this matcher."""
    if matcher.operator is Operator.REGEX and matcher.value in _ANY:
        return True
    about = [one for one in line if one.name == matcher.name]
    few = values(line, matcher.name)
    if few is not None:
        return all(matcher.matches({matcher.name: value}) for value in few)
    if matcher in about:
        return True
    needed = any(not one.matches({}) for one in about)
    if _needs_only(matcher):
        return needed
    if matcher.operator is Operator.NOT_EQUAL:
        return any(not one.matches({matcher.name: matcher.value}) for one in about)
    return False


def covers(wide: Line, narrow: Line) -> bool:
    """Whether every alert that passes `narrow` certainly passes `wide`."""
    return all(implies(narrow, matcher) for matcher in wide)


def exclude(one: Line, other: Line) -> bool:
    """Whether no alert can pass both lines."""
    return impossible((*one, *other)) is not None or any(_apart(a, b) for a in one for b in other)


def _apart(a: Matcher, b: Matcher) -> bool:
    if a.name != b.name:
        return False
    pairs = ((a, b), (b, a))
    opposite = {
        (Operator.EQUAL, Operator.NOT_EQUAL),
        (Operator.REGEX, Operator.NOT_REGEX),
    }
    return any((x.operator, y.operator) in opposite and x.value == y.value for x, y in pairs)


def _needs_only(matcher: Matcher) -> bool:
    """Whether a matcher asks for nothing but that the label is there."""
    if matcher.operator is Operator.NOT_EQUAL:
        return not matcher.value
    return matcher.operator is Operator.REGEX and matcher.value in _SOME


def narrows(matcher: Matcher) -> bool:
    """Whether a matcher needs a value: one that an alert without the label passes does not."""
    positive = matcher.operator in (Operator.EQUAL, Operator.REGEX)
    return positive and not matcher.matches({}) and matcher.value not in (".*", ".+")
