"""Rules on several runbooks together: which of them one alert may start. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from remediator.model.matchers import Matcher
from remediator.runbook.findings import Finding
from remediator.runbook.lint import known
from remediator.runbook.lint.subject import Subject


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of matchers, with what is asked of it for many others.

    Args:
        few: label → the values that it may have, where they are few and known.
        about: the matchers on the alert's name.
        needs_name: whether one of them needs a name.
    """

    matchers: known.Line
    few: Mapping[str, frozenset[str]]
    about: tuple[Matcher, ...]
    needs_name: bool

    def takes(self, name: str) -> bool:
        """Whether an alert of this name may pass."""
        return all(matcher.matches({_NAME: name}) for matcher in self.about)


_NAME = "alertname"


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A runbook, and its lines. `names` are the alerts that may start it; None where they are not
    known."""

    subject: Subject
    lines: Sequence[_Line]

    @classmethod
    def of(cls, subject: Subject) -> "_Prepared":
        lines = []
        for line in subject.runbook.matchers:
            each = {m.name: known.values(line, m.name) for m in line}
            about = tuple(m for m in line if m.name == _NAME)
            few = {name: values for name, values in each.items() if values is not None}
            lines.append(_Line(line, few, about, any(map(known.narrows, about))))
        return cls(subject, lines)

    @property
    def names(self) -> frozenset[str] | None:
        found = [line.few.get(_NAME) for line in self.lines]
        if any(few is None for few in found):
            return None
        return frozenset().union(*(few for few in found if few is not None))


def together(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Yield pairs that one alert may start both of, and that both change something.

    Thousands of runbooks are common, so only those that may meet by the alert's name are compared.
    """
    by_name: dict[str, list[_Prepared]] = {}
    anything: list[_Prepared] = []
    for one in (_Prepared.of(subject) for subject in subjects if subject.changes):
        names = one.names
        if names is None:
            anything.append(one)
        for name in names or ():
            by_name.setdefault(name, []).append(one)
    said: set[tuple[str, str]] = set()
    for name, same in sorted(by_name.items()):
        wide = [one for one in anything if any(line.takes(name) for line in one.lines)]
        for number, second in enumerate(same):
            for first in (*same[:number], *wide):
                pair = (first.subject.name, second.subject.name)
                if pair in said or first is second or not _may_meet(first, second):
                    continue
                said.add(pair)
                yield _told(first.subject, second.subject, name)
                break  # one is enough to say; a crowd would make a page of it
    for second, others in _likely(anything):
        other = next((one for one in others if _may_meet(one, second)), None)
        if other is not None:
            yield _told(other.subject, second.subject, "")


def _likely(anything: Sequence[_Prepared]) -> Iterator[tuple[_Prepared, Sequence[_Prepared]]]:
    """Yield each runbook whose alerts are not known by name, and those before it that it may meet:
    one that needs no name meets any, and others those with the same expression on the name."""
    by_expression: dict[tuple[str, str], list[_Prepared]] = {}
    open_ones: list[_Prepared] = []
    before: list[_Prepared] = []
    for one in anything:
        expressions = {(m.operator.value, m.value) for line in one.lines for m in line.about}
        is_open = not all(line.needs_name for line in one.lines)
        beside = [other for key in sorted(expressions) for other in by_expression.get(key, ())]
        yield one, list(dict.fromkeys(before if is_open else [*open_ones, *beside]))
        before.append(one)
        if is_open:
            open_ones.append(one)
        for key in expressions:
            by_expression.setdefault(key, []).append(one)


def _told(first: Subject, second: Subject, alert: str) -> Finding:
    other = f"{first.runbook.name} ({first.runbook.file}:{first.runbook.line})"
    if _covered(first, second):
        return second.finding(
            ("match",),
            "shadowed",
            f"every alert that starts this starts {other} as well",
            "leave out one of the two, or tell them apart with a further matcher",
            key=True,
        )
    if _covered(second, first):
        return first.finding(
            ("match",),
            "shadowed",
            "every alert that starts this starts "
            f"{second.runbook.name} ({second.runbook.file}:{second.runbook.line}) as well",
            "leave out one of the two, or tell them apart with a further matcher",
            key=True,
        )
    which = f"alert {alert}" if alert else "one alert"
    return second.finding(
        ("match",),
        "overlap",
        f"{which} may start this and {other}",
        "tell them apart with a further matcher",
        key=True,
    )


def _may_meet(first: _Prepared, second: _Prepared) -> bool:
    return first.subject.runbook.when == second.subject.runbook.when and any(
        _lines_meet(a, b) for a in first.lines for b in second.lines
    )


def _lines_meet(a: _Line, b: _Line) -> bool:
    """Whether an alert can pass both, as far as anybody can tell of two expressions on the name."""
    for name, values in a.few.items():
        others = b.few.get(name)
        if others is not None and values.isdisjoint(others):
            return False
    if known.exclude(a.matchers, b.matchers):
        return False
    if _NAME in a.few or _NAME in b.few or not (a.needs_name and b.needs_name):
        return True
    return known.covers(a.matchers, b.matchers) or known.covers(b.matchers, a.matchers)


def _covered(wide: Subject, narrow: Subject) -> bool:
    """Whether every alert that starts `narrow` starts `wide` as well."""
    one, other = wide.runbook, narrow.runbook
    if one.condition is not None:
        same = other.condition is not None and other.condition.text == one.condition.text
        if not same:
            return False
    return all(any(known.covers(a, b) for a in one.matchers) for b in other.matchers)
