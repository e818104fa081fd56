"""Rules on what nothing reads or obeys."""

import re
from collections.abc import Iterator

from remediator.plugin.action import Probe
from remediator.runbook import edits
from remediator.runbook.findings import Finding, Fix
from remediator.runbook.lint.subject import Subject


def unused_variable(subject: Subject) -> Iterator[Finding]:
    """Nothing reads a variable."""
    for name in subject.runbook.frame.vars:
        pattern = re.compile(rf"\bvars\s*\.\s*`?{re.escape(name)}\b")
        if not any(pattern.search(text) for _, text in subject.doc.texts()):
            yield subject.finding(
                ("vars", name),
                "unused-variable",
                f'nothing reads the variable "{name}"',
                "leave it out",
                key=True,
            )


def no_effect(subject: Subject) -> Iterator[Finding]:
    """A probe has no timeout and is not tried again: one that can't look holds the run."""
    for step in subject.runbook.steps:
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
