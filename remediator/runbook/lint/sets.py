"""Rules on several runbooks together: which of them one alert may start. Pure."""

from collections.abc import Iterator, Sequence

from remediator.runbook.findings import Finding
from remediator.runbook.lint import known
from remediator.runbook.lint.subject import Subject


def together(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Yield pairs that one alert may start both of, and that both change something."""
    by_name: dict[str, list[Subject]] = {}
    anything: list[Subject] = []
    for subject in subjects:
        if not subject.changes:
            continue
        names = _alerts(subject)
        if names is None:
            anything.append(subject)
        for name in names or ():
            by_name.setdefault(name, []).append(subject)
    said: set[tuple[str, str]] = set()
    for name, same in sorted(by_name.items()):
        for number, second in enumerate(same):
            for first in (*same[:number], *anything):
                pair = (first.runbook.name, second.runbook.name)
                if pair in said or first is second or not _may_meet(first, second):
                    continue
                said.add(pair)
                yield _told(first, second, name)
                break  # one is enough to say; a crowd would make a page of it
    for number, second in enumerate(anything):
        other = next((one for one in anything[:number] if _may_meet(one, second)), None)
        if other is not None:
            yield _told(other, second, "")


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


def _alerts(subject: Subject) -> set[str] | None:
    """Return the names of the alerts that may start a runbook; None where they are not known."""
    found: set[str] = set()
    for line in subject.runbook.matchers:
        few = known.values(line, "alertname")
        if few is None:
            return None
        found |= few
    return found


def _may_meet(first: Subject, second: Subject) -> bool:
    one, other = first.runbook, second.runbook
    return one.when == other.when and any(
        _lines_meet(a, b) for a in one.matchers for b in other.matchers
    )


def _lines_meet(a: known.Line, b: known.Line) -> bool:
    """Whether an alert can pass both, as far as anybody can tell of two expressions on the name."""
    if known.exclude(a, b):
        return False
    names = [known.values(line, "alertname") for line in (a, b)]
    if any(few is not None for few in names):
        return True
    needed = [any(m.name == "alertname" and known.narrows(m) for m in line) for line in (a, b)]
    return not all(needed) or known.covers(a, b) or known.covers(b, a)


def _covered(wide: Subject, narrow: Subject) -> bool:
    """Whether every alert that starts `narrow` starts `wide` as well."""
    one, other = wide.runbook, narrow.runbook
    if one.condition is not None:
        same = other.condition is not None and other.condition.text == one.condition.text
        if not same:
            return False
    return all(any(known.covers(a, b) for a in one.matchers) for b in other.matchers)
