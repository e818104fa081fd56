"""Advice on runbooks that load: what is allowed and yet rarely meant. Pure.

Each rule is one function; `remediator check` prints what they find.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from remediator.model import matchers
from remediator.model.matchers import Matcher, Operator
from remediator.plugin.action import Action
from remediator.runbook.expressions import Template
from remediator.runbook.findings import Finding, Severity
from remediator.runbook.runbook import Compiled, CompiledStep, Runbook


def lint(runbooks: Sequence[Runbook]) -> list[Finding]:
    """Return the advice on a set of runbooks, in the order of files and lines."""
    alone = [finding for runbook in runbooks for rule in _RULES for finding in rule(runbook)]
    return sorted([*alone, *_overlaps(runbooks)])


def _no_verify(runbook: Runbook) -> Iterator[Finding]:
    if _changes(runbook) and runbook.verify is None:
        yield _warn(
            runbook,
            "steps",
            "no-verify",
            "it changes something and never looks whether that helped",
            "add verify: {resolved_within: 10m}",
        )


def _no_undo(runbook: Runbook) -> Iterator[Finding]:
    # A roll back is itself a way back: what it left is seldom what anybody wants again.
    changes = [s.operation for s in runbook.steps if isinstance(s.operation, Action)]
    if not runbook.on_failure.undo and not all(action.goes_back for action in changes):
        yield _warn(
            runbook,
            "on_failure",
            "no-undo",
            "what did not help is not taken back",
            "leave out undo: false",
        )


def _matches_anything(runbook: Runbook) -> Iterator[Finding]:
    for number, line in enumerate(runbook.matchers):
        if _changes(runbook) and not any(_narrows(matcher) for matcher in line):
            yield _warn(
                runbook,
                f"match.{number}",
                "matches-anything",
                "it changes something, and this line could match any alert",
                'add a matcher such as alertname="…"',
            )


def _unbounded(runbook: Runbook) -> Iterator[Finding]:
    for step in runbook.steps:
        bounded = {"by", "max"} <= set(step.operation.Params.model_fields)
        if bounded and "by" in step.parameters and "max" not in step.parameters:
            yield _warn(
                runbook,
                f"steps.{step.sequence}.with",
                "unbounded-scale",
                "it grows without a bound of its own",
                "add max: …",
            )


def _rung_without_verify(runbook: Runbook) -> Iterator[Finding]:
    for step in runbook.steps:
        if step.is_rung and runbook.verify is None:
            yield _warn(
                runbook,
                f"steps.{step.sequence}.if",
                "rung-without-verify",
                "it asks whether the alert still fires, and gives what was done before no time",
                "add verify: {resolved_within: 10m}",
            )


def _templated_program(runbook: Runbook) -> Iterator[Finding]:
    for step in runbook.steps:
        for name in _commands(step):
            command = step.parameters[name]
            if isinstance(command, list) and command and _templated(command[0]):
                yield _warn(
                    runbook,
                    f"steps.{step.sequence}.with.{name}.0",
                    "templated-program",
                    "the alert chooses which program is started",
                    "write the program out, and give the value as an argument",
                )


_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})


def _templated_script(runbook: Runbook) -> Iterator[Finding]:
    """A shell would run what an alert says."""
    for step in runbook.steps:
        for name in _commands(step):
            command = step.parameters[name]
            if not isinstance(command, list) or not command or _templated(command[0]):
                continue
            shell = str(command[0]).rpartition("/")[2] in _SHELLS
            for number, argument in enumerate(command[:-1]):
                script = isinstance(argument, str) and re.fullmatch(r"-[a-z]*c", argument)
                if shell and script and _templated(command[number + 1]):
                    yield _warn(
                        runbook,
                        f"steps.{step.sequence}.with.{name}.{number + 1}",
                        "templated-script",
                        "the alert writes the script that a shell runs",
                        'pass the value after the script, and read it there as "$1"',
                    )


_RULES: Sequence[Callable[[Runbook], Iterable[Finding]]] = (
    _no_verify,
    _no_undo,
    _matches_anything,
    _unbounded,
    _templated_program,
    _templated_script,
    _rung_without_verify,
)


def _overlaps(runbooks: Sequence[Runbook]) -> Iterator[Finding]:
    """Find pairs that one alert may start both of, and that both change something."""
    by_name: dict[str, list[Runbook]] = {}
    for runbook in filter(_changes, runbooks):
        names = {
            value
            for line in runbook.matchers
            for matcher in line
            if matcher.name == "alertname"
            for value in matchers.literals(matcher) or ()
        }
        for name in names:
            by_name.setdefault(name, []).append(runbook)
    for name, same in sorted(by_name.items()):
        for number, second in enumerate(same):
            first = next((one for one in same[:number] if _may_meet(one, second)), None)
            if first is not None:  # one is enough to say; a crowd would make a page of it
                yield _warn(
                    second,
                    "match",
                    "overlap",
                    f"alert {name} may start this and {first.name} ({first.file}:{first.line})",
                    "tell them apart with a further matcher",
                )


def _may_meet(first: Runbook, second: Runbook) -> bool:
    return first.when == second.when and any(
        not any(_exclude(a, b) for a in one for b in other)
        for one in first.matchers
        for other in second.matchers
    )


def _exclude(a: Matcher, b: Matcher) -> bool:
    if a.name != b.name:
        return False
    if {a.operator, b.operator} == {Operator.EQUAL, Operator.NOT_EQUAL}:
        return a.value == b.value
    one, other = matchers.literals(a), matchers.literals(b)
    return one is not None and other is not None and not one & other


def _narrows(matcher: Matcher) -> bool:
    """Whether a matcher needs a value: one that an alert without the label passes does not."""
    positive = matcher.operator in (Operator.EQUAL, Operator.REGEX)
    return positive and not matcher.matches({}) and matcher.value not in (".*", ".+")


def _changes(runbook: Runbook) -> bool:
    return any(isinstance(step.operation, Action) for step in runbook.steps)


def _commands(step: CompiledStep) -> Iterator[str]:
    return (name for name in ("command", "check", "undo", "settle") if name in step.parameters)


def _templated(value: Compiled) -> bool:
    if isinstance(value, Mapping):
        return any(map(_templated, value.values()))
    return isinstance(value, Template)


def _warn(runbook: Runbook, path: str, code: str, message: str, hint: str) -> Finding:
    parts = path.split(".")
    where = (runbook.line, 1)
    while parts:
        found = runbook.positions.get(".".join(parts))
        if found:
            where = found
            break
        parts.pop()
    text = f"{runbook.name}: {message}"
    return Finding(runbook.file, *where, Severity.WARNING, code, text, hint)
