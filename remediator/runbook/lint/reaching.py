"""Rules on what is never reached: conditions that are always false, probes that can't hold, rungs
before which nothing is done. Pure.

A condition is worked out for every alert that may come, where its matchers leave few: so only what
is certain is said.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from remediator.plugin.action import Action, Probe
from remediator.runbook.cel_text import blanked
from remediator.runbook.expressions import Expression, ExpressionFailed, LabelMissing, Template
from remediator.runbook.findings import Finding, Severity
from remediator.runbook.lint import known
from remediator.runbook.lint.subject import Subject, expressions_in, labels_read
from remediator.runbook.runbook import CompiledStep, render

# So many alerts are tried; a condition over more is not worth a guess.
_MOST_TRIED = 64


def never_starts(subject: Subject) -> Iterator[Finding]:
    """The runbook's own condition is false for every alert that its matchers let through."""
    condition = subject.runbook.condition
    if condition is None:
        return
    outcomes = _outcomes(subject, condition, {})
    if outcomes == {False}:
        yield subject.finding(
            ("if",),
            "never-starts",
            "the condition is false for every alert that the matchers let through",
            "mend the condition, or leave the runbook out",
        )
    elif outcomes == {True}:
        yield _always_true(subject, ("if",))


def unreachable_step(subject: Subject) -> Iterator[Finding]:
    """A step's condition is false whenever it is asked."""
    held = _gates(subject.runbook.steps)
    for step in subject.runbook.steps:
        if step.condition is None or step.frame is not subject.frame or step.block is not None:
            continue
        outcomes = _outcomes(subject, step.condition, held)
        if outcomes == {False}:
            gates = [name for name in step.condition.names if name in held]
            why = (
                f": where {gates[0].split('.')[1]} does not hold the run has ended"
                if gates
                else ", whatever the alert says"
            )
            yield subject.of_step(
                step,
                ("if",),
                "unreachable-step",
                f"the condition is never true{why}",
                "mend the condition, or leave the step out",
            )
        elif outcomes == {True}:
            path = subject.path_of(step)
            if path is not None:
                yield _always_true(subject, (*path, "if"))


def first_rung(subject: Subject) -> Iterator[Finding]:
    """A rung before which nothing was done asks what has been asked already."""
    for step in subject.runbook.steps:
        if step.is_rung:
            yield subject.of_step(
                step,
                ("if",),
                "first-rung",
                "nothing is done before this rung: that the alert still fires is asked anyway",
                "leave out the condition, or put a change before it",
            )
        if step.is_rung or isinstance(step.operation, Action):
            return


def probe_never_holds(subject: Subject) -> Iterator[Finding]:
    """What a query lets through can't be what is expected of it, so nothing after it is reached."""
    verify = subject.runbook.verify
    steps = [*subject.runbook.steps, *([verify.step] if verify and verify.step else [])]
    for step in steps:
        query, expect = step.parameters.get("query"), step.parameters.get("expect")
        if not isinstance(step.operation, Probe) or not isinstance(expect, str):
            continue
        left = _compared(query)
        wanted = _EXPECTED.fullmatch(expect.strip())
        if left is None or wanted is None or _may_hold(left, (wanted[1], float(wanted[2]))):
            continue
        sign, limit = left
        message = (
            f"the query keeps only values {sign} {limit:g}, so {expect} never holds"
            ", and nothing after it is reached"
        )
        hint = "take the comparison out of the query, or expect: not empty"
        if verify is not None and step is verify.step:
            message = message.partition(", and")[0]
            yield subject.finding(("verify", "with", "expect"), _NEVER, message, hint)
        else:
            yield subject.of_step(step, ("with", "expect"), _NEVER, message, hint)


_NEVER = "probe-never-holds"
_NUMBER = r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
_EXPECTED = re.compile(rf"value\s*(<=|>=|==|!=|<|>)\s*{_NUMBER}")
_FILTER = re.compile(rf"(<=|>=|==|!=|<|>)\s*{_NUMBER}\s*$")


def _compared(query: object) -> tuple[str, float] | None:
    """Return the comparison at the end of a query, which drops what does not meet it."""
    text = query if isinstance(query, str) else None
    if isinstance(query, Template):
        text = "".join(piece if isinstance(piece, str) else "x" for piece in query.pieces)
    # `or` and `unless` bind less tightly: the comparison would be of the last part alone.
    if text is None or re.search(r"\b(or|unless|and)\b", text):
        return None
    found = _FILTER.search(text)
    return (found[1], float(found[2])) if found else None


def _may_hold(one: tuple[str, float], other: tuple[str, float]) -> bool:
    """Whether a number can meet both comparisons."""
    limits = sorted({one[1], other[1]})
    near = [limits[0] - 1, *limits, limits[-1] + 1, sum(limits) / len(limits)]
    return any(_meets(value, *one) and _meets(value, *other) for value in near)


def _meets(value: float, sign: str, limit: float) -> bool:
    return {
        "<": value < limit,
        "<=": value <= limit,
        "==": value == limit,
        "!=": value != limit,
        ">=": value >= limit,
        ">": value > limit,
    }[sign]


def _always_true(subject: Subject, path: tuple[str | int, ...]) -> Finding:
    return subject.finding(
        path,
        "always-true",
        "the condition is always true",
        "leave it out",
        severity=Severity.INFO,
    )


# ------------------------------------------------------------------------------ evaluation


def _gates(steps: Sequence[CompiledStep]) -> dict[str, Any]:
    """Return what is known of probes that end the run where they do not hold."""
    held: dict[str, Any] = {}
    for step in steps:
        if isinstance(step.operation, Action):
            break
        if not step.conditional and step.block is None and "." not in step.id:
            held[f"steps.{step.id}.ok"] = True
    return held


def _outcomes(subject: Subject, condition: Expression, held: Mapping[str, Any]) -> set[bool] | None:
    """Return what a condition comes to over all alerts that may start the runbook; None where
    that can't be told."""
    variables = subject.runbook.frame.vars
    names, reads = set(condition.names), set(labels_of(condition))
    seen: set[str] = set()
    while waiting := {n for n in names if n.startswith("vars.") and n not in seen}:
        for name in waiting:
            seen.add(name)
            for inner in expressions_in(variables.get(name.removeprefix("vars."))):
                names |= inner.names
                reads |= labels_of(inner)
    plain = names - seen - {"labels", "alert.labels"} - set(held)
    if plain or "?" in reads:
        return None
    found: set[bool] = set()
    for labels in _alerts(subject, reads):
        if labels is None:
            return None
        values: dict[str, Any] = {**held, "labels": labels, "alert.labels": labels}
        try:
            for name, value in variables.items():
                if f"vars.{name}" in seen:
                    values[f"vars.{name}"] = render(value, values)
            found.add(condition.holds(values))
        except LabelMissing:
            found.add(False)
        except ExpressionFailed:
            return None
    return found


def labels_of(expression: Expression) -> set[str]:
    """Return the labels that an expression reads; `?` among them where it reads others as well."""
    if not expression.names & {"labels", "alert.labels"}:
        return set()
    reads = list(labels_read(expression))
    mentioned = len(re.findall(r"\blabels\b", blanked(expression.text)))
    return {read.name for read in reads} | ({"?"} if mentioned > len(reads) else set())


def _alerts(subject: Subject, reads: set[str]) -> Iterator[dict[str, str] | None]:
    """Yield the labels, as far as they are read, of every alert that may start the runbook; None
    where they are too many or not known."""
    for line in subject.runbook.matchers:
        each = []
        for name in sorted(reads):
            few = known.values(line, name)
            if few is None:
                yield None
                return
            each.append([(name, value) for value in sorted(few)])
        tried = 1
        for options in each:
            tried *= len(options)
        if tried > _MOST_TRIED:
            yield None
            return
        for pairs in product(*each):
            yield {name: value for name, value in pairs if value}
