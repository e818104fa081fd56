"""Rules on what nothing reads or obeys."""

import re
from collections.abc import Iterator

from remediator.plugin.action import Probe
from remediator.runbook import edits
from remediator.runbook.findings import Finding, Fix
from remediator.runbook.lint.subject import Part


def unused_variable(subject: Part) -> Iterator[Finding]:
    """Nothing reads a variable."""
    for name in subject.frame.vars:
        pattern = re.compile(rf"\bvars\s*\.\s*`?{re.escape(name)}\b")
        if not any(pattern.search(text) for _, text in subject.texts):
            yield subject.finding(
                ("vars", name),
                "unused-variable",
                f'nothing reads the variable "{name}"',
                "leave it out",
                key=True,
            )


def unused_parameter(subject: Part) -> Iterator[Finding]:
    """Nothing reads a parameter, so whoever sets it changes nothing."""
    for name in subject.frame.declared:
        pattern = re.compile(rf"\bparams\s*\.\s*`?{re.escape(name)}\b")
        if not any(pattern.search(text) for _, text in subject.texts):
            yield subject.finding(
                ("parameters", name),
                "unused-parameter",
                f'nothing reads the parameter "{name}": to set it changes nothing',
                "leave it out, or use it",
                key=True,
            )


def no_effect(subject: Part) -> Iterator[Finding]:
    """A probe has no timeout and is not tried again: one that can't look holds the run."""
    for step in subject.steps:
        path = subject.path_of(step)
        given = subject.doc.value_at(path) if path is not None else None
        if path is None or not isinstance(step.operation, Probe) or not isinstance(given, dict):
            continue
        for name in ("timeout", "retry"):
            if name in given:
                found = edits.remove(subject.doc, (*path, name))
                yield subject.finding(
                    (*path, name),
                    "no-effect",
                    f"{name} is for changes; a probe that can't look holds the run",
                    "leave it out",
                    key=True,
                    fix=Fix(f"leave out {name}", found) if found else None,
                )
