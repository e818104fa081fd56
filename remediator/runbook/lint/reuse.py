"""Rules on documents that use each other, on lists, and on further runs. Pure."""

import re
from collections.abc import Iterator, Sequence

from remediator.model.repeats import RepeatMode
from remediator.runbook.findings import Finding, Severity
from remediator.runbook.lint.subject import Part, Subject, expressions_in, templated


def unused_fragment(parts: Sequence[Part], subjects: Sequence[Subject]) -> Iterator[Finding]:
    """No document uses a fragment, which does nothing by itself."""
    if not subjects:
        return  # those that use it are not among what is looked at
    used = {name for one in (*parts, *subjects) for _, name in _uses(one)}
    for part in parts:
        if part.name.rpartition("/")[2] not in used:
            yield part.finding(
                ("name",),
                "unused-fragment",
                "no document uses this fragment, and no alert starts it",
                "leave it out; or give it match, if it is a runbook",
            )


def unused_output(parts: Sequence[Part], subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Nobody who uses a fragment reads what it gives."""
    for part in parts:
        name = part.name.rpartition("/")[2]
        users = [
            (one, step) for one in (*parts, *subjects) for step, used in _uses(one) if used == name
        ]
        for output in part.frame.outputs if users else ():
            if not any(_reads(one, step, output) for one, step in users):
                yield part.finding(
                    ("outputs", output),
                    "unused-output",
                    f'nobody who uses this fragment reads its output "{output}"',
                    "leave it out",
                    severity=Severity.INFO,
                    key=True,
                )


def _uses(one: Part) -> Iterator[tuple[str, str]]:
    """Yield the steps of a document that use another one: id and name."""
    steps = one.doc.value_at(("steps",))
    for step in steps if isinstance(steps, list) else ():
        for each in (step, *(step.get("steps") or ())) if isinstance(step, dict) else ():
            if isinstance(each, dict) and isinstance(each.get("use"), str):
                yield str(each.get("id", "")), each["use"]


def _reads(one: Part, step: str, output: str) -> bool:
    """Whether a document reads an output of a step, or all of them at once."""
    named = rf"steps\s*\.\s*`?{re.escape(step)}`?\s*\.\s*result"
    own = rf"{named}\s*(\.\s*\??\s*`?{re.escape(output)}\b|\[|(?!\s*\.))"
    return any(re.search(own, text) for _, text in one.texts)


def long_list(part: Part) -> Iterator[Finding]:
    """How long a list may be is not said, so that a longer one ends the run."""
    for path, value in part.texts:
        step = part.doc.value_at(path[:-1])
        if path[-1] == "for_each" and "${{" in value and "most" not in step:
            yield part.finding(
                path,
                "long-list",
                "a list of more than 10 items ends the run before anything is changed",
                "write most: as many as you mean to allow",
                severity=Severity.INFO,
                key=True,
            )


def repeat_key(subject: Subject) -> Iterator[Finding]:
    """One run for a group, and the key by which runs meet is one alert's."""
    runbook = subject.runbook
    if runbook.per != "group" or runbook.repeat.mode is RepeatMode.PARALLEL:
        return
    for expression in expressions_in(runbook.repeat.key):
        if expression.names & {"labels", "alert.labels", "annotations", "alert.annotations"}:
            yield subject.finding(
                ("repeat", "key"),
                "repeat-key",
                "the run is for a group, and its key is of whichever alert came first",
                "read group.labels, which all of them share",
            )


def repeat_for_all(subject: Subject) -> Iterator[Finding]:
    """While one run is under way, alerts about other things start none."""
    runbook = subject.runbook
    if runbook.repeat.mode is not RepeatMode.SINGLE or runbook.repeat.key or not subject.changes:
        return
    if any(templated(dict(step.parameters)) for step in subject.changes):
        yield subject.finding(
            ("repeat",),
            "repeat-for-all",
            "while one run is under way, an alert about something else starts none",
            'add key: what the run is about, such as "${{ labels.deployment }}"',
            key=True,
        )
