"""Rules on labels that alerts do not carry, as incidents and Prometheus's rules tell. Pure.

What alerts carry is gathered by `remediator check` (from a journal, and from rule files) and handed
in as `Carried`.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from remediator.model.matchers import Matcher
from remediator.runbook.alert_rules import AlertRule
from remediator.runbook.expressions import Expression
from remediator.runbook.findings import Finding
from remediator.runbook.lint.subject import Subject, labels_read, templates

_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Carried:
    """What is known of the labels of alerts.

    Args:
        incidents: labels of the last incidents, the newest first.
        rules: alerting rules; empty where no rule file was given.
    """

    incidents: Sequence[Mapping[str, str]] = ()
    rules: Sequence[AlertRule] = field(default=())


NOTHING = Carried()
"""Nothing is known."""


def unknown_label(subject: Subject, carried: Carried) -> Iterator[Finding]:
    """No alert that starts this runbook carries a label that an expression needs."""
    last = [one for one in carried.incidents if subject.runbook.matches(one)]
    rules = [rule for rule in carried.rules if _may_start(subject, rule)]
    if not last and not rules:
        return
    for place, expression, offset in _expressions(subject):
        for read in labels_read(expression):
            if read.guarded or any(read.name in one for one in last):
                continue
            told = _missing(read.name, last, rules)
            if told is not None:
                message, known = told
                near = difflib.get_close_matches(read.name, sorted(known), n=1)
                hint = f'did you mean "{near[0]}"?' if near else "give a default with labels[?…]"
                yield place(
                    "unknown-label",
                    f"labels.{read.name}: {message}",
                    hint,
                    offset + read.offset,
                )


def _missing(
    name: str, last: Sequence[Mapping[str, str]], rules: Sequence[AlertRule]
) -> tuple[str, set[str]] | None:
    """Return what says that no alert carries a label, and the labels that they do carry."""
    if last:
        known = set[str]().union(*last)
        count = "the last incident" if len(last) == 1 else f"the last {len(last)} incidents"
        return f"{count} carried {_shown(known)}", known
    if any(rule.carries.may(name) for rule in rules):
        return None
    known = set[str]().union(*({*r.carries.certain, *r.carries.possible} for r in rules))
    where = f"{rules[0].file}:{rules[0].line}"
    return f"the rule {rules[0].name} ({where}) leaves {_shown(known)}", known


def _shown(names: set[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return ", ".join(found[:_MOST_SHOWN]) + more


def no_such_alert(subject: Subject, carried: Carried) -> Iterator[Finding]:
    """No rule makes an alert that the matchers let through."""
    if not carried.rules or any(_may_start(subject, rule) for rule in carried.rules):
        return
    if any(subject.runbook.matches(labels) for labels in carried.incidents):
        return
    names = {rule.name for rule in carried.rules}
    wanted = [m.value for line in subject.runbook.matchers for m in line if m.name == "alertname"]
    near = [n for one in wanted for n in difflib.get_close_matches(one, sorted(names), n=1)]
    yield subject.finding(
        ("match",),
        "no-such-alert",
        "none of the alerting rules makes an alert that the matchers let through",
        f'did you mean "{near[0]}"?' if near else "mend the matchers, or give all rule files",
        key=True,
    )


def _may_start(subject: Subject, rule: AlertRule) -> bool:
    """Whether the alerts of a rule may start the runbook."""
    return any(
        all(_may_pass(rule, matcher) for matcher in line) for line in subject.runbook.matchers
    )


def _may_pass(rule: AlertRule, matcher: Matcher) -> bool:
    name = matcher.name
    if not rule.carries.may(name):
        return matcher.matches({})
    value = rule.carries.value(name)
    return value is None or matcher.matches({name: value})


class _Place:
    """Says something about one written text of a runbook."""

    def __init__(self, subject: Subject, path: tuple[str | int, ...]) -> None:
        self.subject = subject
        self.path = path

    def __call__(self, code: str, message: str, hint: str, offset: int) -> Finding:
        return self.subject.finding(self.path, code, message, hint, offset=offset)


def _expressions(subject: Subject) -> Iterator[tuple[_Place, Expression, int]]:
    """Yield the expressions of a runbook's own document, and where in its text each begins."""
    runbook = subject.runbook
    values: list[tuple[tuple[str | int, ...], object]] = [(("vars",), runbook.frame.vars)]
    if runbook.condition is not None:
        yield (
            _Place(subject, ("if",)),
            runbook.condition,
            _lead(subject, ("if",), runbook.condition),
        )
    for step in runbook.steps:
        path = subject.path_of(step)
        if path is None:
            continue
        if step.condition is not None and isinstance(subject.doc.value_at((*path, "if")), str):
            at = (*path, "if")
            yield _Place(subject, at), step.condition, _lead(subject, at, step.condition)
        values.append(((*path, "with"), step.parameters))
    if runbook.verify is not None and runbook.verify.step is not None:
        values.append((("verify", "with"), runbook.verify.step.parameters))
    for path, value in values:
        for below, template in templates(value):
            at = (*path, *below)
            written = subject.doc.value_at(at)
            for piece in template.pieces:
                if isinstance(piece, Expression) and isinstance(written, str):
                    yield _Place(subject, at), piece, max(written.find(piece.text), 0)


def _lead(subject: Subject, path: tuple[str | int, ...], expression: Expression) -> int:
    return max(str(subject.doc.value_at(path)).find(expression.text), 0)
