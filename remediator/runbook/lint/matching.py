"""Rules on the alerts that a runbook is for, as far as its own matchers tell."""

from collections.abc import Iterator

from remediator.runbook.findings import Finding
from remediator.runbook.lint import known
from remediator.runbook.lint.subject import Part, Subject


def matches_anything(subject: Subject) -> Iterator[Finding]:
    """It changes something, and a line of its matchers could match any alert."""
    for number, line in enumerate(subject.runbook.matchers):
        if subject.changes and not any(known.narrows(matcher) for matcher in line):
            yield subject.finding(
                ("match", number),
                "matches-anything",
                "it changes something, and this line could match any alert",
                'add a matcher such as alertname="…"',
            )


def never_matches(subject: Subject) -> Iterator[Finding]:
    """No alert can pass a line, because two of its matchers exclude each other."""
    for number, line in enumerate(subject.runbook.matchers):
        name = known.impossible(line)
        if name is not None:
            yield subject.finding(
                ("match", number),
                "never-matches",
                f'no alert can pass this line: its matchers on "{name}" exclude each other',
                "write what may be either in lines of its own",
            )


def redundant_line(subject: Subject) -> Iterator[Finding]:
    """Every alert that passes a line passes another one as well."""
    lines = subject.runbook.matchers
    for number, line in enumerate(lines):
        if known.impossible(line) is not None:
            continue
        for other, wide in enumerate(lines):
            same = known.covers(line, wide)
            if other != number and known.covers(wide, line) and not (same and other > number):
                yield subject.finding(
                    ("match", number),
                    "redundant-line",
                    f"every alert that passes this line passes line {other + 1} as well",
                    "leave this line out, or narrow the other one",
                )
                break


_QUOTES = frozenset("“”„‘’‚")


def smart_quotes(subject: Subject) -> Iterator[Finding]:
    """A value is in quotes that only people read as such, so they are part of it."""
    for number, line in enumerate(subject.runbook.matchers):
        for matcher in line:
            if {matcher.value[:1], matcher.value[-1:]} & _QUOTES:
                yield subject.finding(
                    ("match", number),
                    "smart-quotes",
                    f"the quotes are part of the value {matcher.value}",
                    f'write {matcher.name}{matcher.operator}"{matcher.value.strip("“”„‘’‚")}"',
                )


def smart_quotes_inside(part: Part) -> Iterator[Finding]:
    """A value is in quotes that only people read as such, so they are part of it."""
    for path, value in part.texts:
        if path[0] in ("description", "docs") or len(value) < 2:
            continue
        if path[0] != "match" and value[0] in _QUOTES and value[-1] in _QUOTES:
            yield part.finding(
                path,
                "smart-quotes",
                f"the quotes are part of the value {value[:60]}",
                "write straight quotes, \" or ', or none",
            )
