"""What is said of the shipped runbooks: docs/runbooks/NAME.md for each, and an index by alert.

Made from the runbook and from what happens in the first of its tests, which is played. Called by
`pages.py`, which writes them, and by a test that compares them with what is there.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from remediator.cli import rbac
from remediator.model.limits import Mode
from remediator.model.matchers import Matcher, Operator
from remediator.model.quantities import format_duration
from remediator.plugin import registry as plugins
from remediator.plugin.action import Action
from remediator.plugin.registry import Registry
from remediator.rehearsal import files, report
from remediator.rehearsal.files import Rehearsal
from remediator.rehearsal.play import play
from remediator.runbook import store
from remediator.runbook.runbook import CompiledStep, Fragment, Runbook

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "runbooks"
_MADE = "Made from `{}` by `python docs/pages.py`; do not edit."
_INTRO = """\
{} runbooks for the alerts of kube-prometheus, of node-exporter and of common services. Each has a
page, and a test beside it. They are conservative: most ask a person first, and all look whether the
cause is the one that they cure. What is yours to set are the defaults of their `parameters`; copy
one to change more. [The runbook language](../runbook-language.md) says what the keys mean,
`remediator rbac` which rights all of them need."""
_MODES = {
    Mode.OBSERVE: "`observe`: it changes nothing; what it finds and would do is on record",
    Mode.APPROVE: "`approve`: a person says yes to the plan",
    Mode.AUTO: "`auto`: within the limits it needs nobody",
}


@dataclass(frozen=True, slots=True)
class Shipped:
    """The runbooks of the library, and what is needed to tell of them."""

    runbooks: tuple[Runbook, ...]
    fragments: tuple[Fragment, ...]
    registry: Registry
    nearby: files.Nearby


def shipped() -> Shipped:
    """Return every runbook in runbooks/, by name."""
    registry = plugins.load(third_party=False)
    folder = ROOT / "runbooks"
    found = store.load_folder([folder], registry)
    runbooks = tuple(sorted(found.runbooks, key=lambda one: one.name))
    fragments = tuple(sorted(found.fragments, key=lambda one: one.name))
    return Shipped(runbooks, fragments, registry, files.Nearby([folder]))


def page(runbook: Runbook, library: Shipped) -> str:
    """Return docs/runbooks/NAME.md."""
    source = Path(runbook.file).resolve().relative_to(ROOT)
    test = files.tested_by(ROOT / source)
    links = [f"[The runbook](../../{source.as_posix()})", "[all runbooks](README.md)"]
    tested = []
    if test is not None:
        links.insert(1, f"[its test](../../{source.with_name(test.name).as_posix()})")
        tested = list(_tested(files.load(test, library.registry, library.nearby), library.registry))
    parts = [
        f"# {runbook.name}",
        _MADE.format(f"runbooks/{source.name}"),
        runbook.description,
        runbook.docs.strip(),
        f"{', '.join(links)}.",
        "## When, and within which limits",
        _table(("", ""), _facts(runbook)),
        "## Steps",
        "\n".join(_steps(runbook)),
        _used(runbook, library),
        *_parameters(runbook),
        "## What it needs",
        "\n".join(_needs(runbook)),
        *tested,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def index(library: Shipped) -> str:
    """Return docs/runbooks/README.md: which runbook is for which alert."""
    alerts = sorted(
        ((name, one) for one in library.runbooks for name in _alerts(one)),
        key=lambda row: (row[0].lower(), row[1].name),
    )
    rows = [
        (f"`{name}`", f"[{one.name}]({one.name}.md)", one.mode.value, one.description)
        for name, one in alerts
    ]
    shared = [(f"[{one.name}]({_file(one)})", one.description) for one in library.fragments]
    parts = [
        "# Runbooks",
        _MADE.format("runbooks/"),
        _INTRO.format(len(library.runbooks)),
        "## By alert",
        _table(("alert", "runbook", "mode", "does"), rows),
        "## What they share",
        _table(("fragment", "does"), shared),
    ]
    return "\n\n".join(parts) + "\n"


def _alerts(runbook: Runbook) -> Iterator[str]:
    """Yield the alerts' names that it is for, each alternative of a pattern by itself."""
    for line in runbook.matchers:
        for one in line:
            if one.name == "alertname" and one.operator is Operator.EQUAL:
                yield one.value
            elif one.name == "alertname" and one.operator is Operator.REGEX:
                yield from one.value.split("|") if "(" not in one.value else [one.value]


def _facts(runbook: Runbook) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(runbook.matchers):
        yield ("for alerts" if number == 0 else "or"), f"`{', '.join(map(_matcher, line))}`"
    if runbook.condition:
        yield "only if", f"`{runbook.condition.text}`"
    labels = sorted(_labels(runbook))
    if labels:
        yield "reads the labels", ", ".join(f"`{name}`" for name in labels)
    if runbook.wait_for:
        yield "lets it clear by itself for", format_duration(runbook.wait_for)
    yield "mode", _MODES[runbook.mode]
    if runbook.mode is Mode.APPROVE:
        people = (
            f" of {', '.join(runbook.approval.approvers)}" if runbook.approval.approvers else ""
        )
        limit = format_duration(runbook.approval.timeout)
        yield "approval", f"{runbook.approval.quorum} person{people}, within {limit}"
    limits = runbook.limits
    if limits.cooldown:
        yield "between two changes of one target", format_duration(limits.cooldown)
    if limits.rate:
        yield "changes at most", ", ".join(str(rate) for rate in limits.rate)
    impact = limits.max_impact.model_dump(exclude_none=True, mode="json")
    if impact:
        yield "one change touches at most", ", ".join(f"{name}: {v}" for name, v in impact.items())
    yield "it helped when", _helped(runbook)
    if any(isinstance(step.operation, Action) for step in runbook.steps):
        yield "when it did not help", _undone(runbook)


def _helped(runbook: Runbook) -> str:
    verify = runbook.verify
    if verify is None:
        return "nothing is watched: it only gathers"
    within = format_duration(verify.within)
    if verify.step is None:
        return f"the alert clears within {within}"
    return f"`{verify.step.operation.name}` finds it so within {within}"


def _undone(runbook: Runbook) -> str:
    if runbook.mode is Mode.OBSERVE:
        return "nothing was changed"
    if runbook.on_failure.undo:
        return "what can be taken back is taken back, and a person is called"
    return "a person is called; nothing is taken back"


def _labels(runbook: Runbook) -> set[str]:
    text = runbook.source
    return {
        *re.findall(r"\blabels\.([a-zA-Z_]\w*)", text),
        *re.findall(r'labels\[\??"(\w+)"', text),
    }


def _matcher(one: Matcher) -> str:
    return str(one).replace("|", "\\|")


def _steps(runbook: Runbook) -> Iterator[str]:
    for number, step in enumerate(_written(runbook.steps), 1):
        does = "changes" if isinstance(step.operation, Action) else "looks"
        when = f", if `{step.condition.text}`" if step.condition else ""
        lane = ", for each item of a list" if step.block and step.block.items is not None else ""
        yield f"{number}. `{step.id}` {does}: `{step.operation.name}`{when}{lane}"


def _used(runbook: Runbook, library: Shipped) -> str:
    """Say where the steps stand that it shares with others."""
    links = [f"[{one.name}]({_file(one)})" for one in library.fragments if one.name in runbook.uses]
    return f"It uses {', '.join(links)}." if links else ""


def _file(fragment: Fragment) -> str:
    return f"../../{Path(fragment.file).resolve().relative_to(ROOT).as_posix()}"


def _written(steps: Sequence[CompiledStep]) -> Iterator[CompiledStep]:
    """Yield the steps, of a `for_each` those of its first lane."""
    return (s for s in steps if s.block is None or s.block.items is None or s.lane == 0)


def _parameters(runbook: Runbook) -> Iterator[str]:
    if not runbook.parameters:
        return
    yield "## Parameters"
    yield _table(
        ("parameter", "type", "default", "meaning"),
        [
            (f"`{name}`", spec.type.value, f"`{_default(spec.default)}`", _line(spec.description))
            for name, spec in runbook.parameters.items()
        ],
    )


def _default(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _needs(runbook: Runbook) -> Iterator[str]:
    found = sorted(
        {(one.system, one.resource, verb) for one in rbac.needed([runbook]) for verb in one.verbs}
    )
    for (system, resource), same in groupby(found, key=lambda row: row[:2]):
        verbs = ", ".join(verb for _, _, verb in same)
        what = resource.removeprefix("/") if system == "kubernetes" else resource
        yield f"- {system}: `{what}` ({verbs})"
    if not found:
        yield "- nothing but the alert"


def _tested(rehearsal: Rehearsal, registry: Registry) -> Iterator[str]:
    """Play the first test, tell what happened, and name the others."""
    case = rehearsal.cases[0]
    played = play(rehearsal, case, registry)
    if not played.passed:
        raise AssertionError("\n".join(line.text for line in report.of_test(played)))
    told = "\n".join(line.text.removeprefix("    ") for line in report.story(played))
    yield "## An example"
    yield f"«{case.spec.name}», as `remediator test --story` tells it:"
    yield f"```text\n{told}\n```"
    yield "## What its test shows"
    yield "\n".join(f"- {one.spec.name}" for one in rehearsal.cases)


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
