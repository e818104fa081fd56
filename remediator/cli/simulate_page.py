"""What `remediator simulate` prints: pages and JSON of the engine's answers. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from remediator.cli import run_page, show
from remediator.engine.simulate import Answer, Simulated
from remediator.engine.terms import Asked
from remediator.model.quantities import format_duration
from remediator.web import render, render_trust


def to_json(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return everything as JSON."""
    return dict(render_trust.answers(answers))


def page(answers: Sequence[Answer], with_history: bool) -> Group:
    """Return everything for people."""
    parts: list[Any] = []
    for answer in answers:
        parts += [*_alert_lines(answer), Text()]
    history = "with the journal's history" if with_history else "without a journal's history"
    parts.append(Text(f"simulated {history}; nothing was changed", style="dim"))
    return Group(*parts)


def _alert_lines(answer: Answer) -> Iterator[Any]:
    alert = answer.alert
    name = alert.labels.get("alertname", "an alert")
    head = Text.assemble(("alert ", "dim"), (show.clean(name), "bold"), "  ")
    head.append_text(show.cell(alert.status.value))
    yield head
    yield Text("  " + show.clean(show.labels(alert.labels, without=("alertname",))), style="dim")
    for run in answer.runs:
        yield Text()
        yield from _run_lines(run)
    if not answer.runs:
        yield Text("  no runbook applies: nothing would be done", style="yellow")
    for passed in answer.passed:
        yield Text.assemble(
            ("  not ", "dim"), (passed.runbook, "bold"), show.clean(f": {passed.why}")
        )


def _run_lines(run: Simulated) -> Iterator[Any]:
    mode = run.runbook.mode.value
    yield Text.assemble(("runbook ", "dim"), (run.runbook.name, "bold"), f"  mode {mode}")
    yield Text("  " + show.clean(run.runbook.description), style="dim")
    for row in run.rows:
        yield Text()
        yield run_page.step_lines(render.step(row))
        for verdict in run.verdicts.get(row.sequence, ()):
            yield Text("  ").append_text(run_page.verdict_line(verdict.to_json()))
    yield Text()
    if run.asked is not None:
        yield _fact("asks", _people(run.asked))
    for line in run.silences:
        yield _fact("silences", line)
    for line in run.assumed:
        yield _fact("assumed", line)
    for line in run.withheld:
        yield _fact("not done", f"{line}: here everything is only read")
    yield (
        Text.assemble(("→ ", "bold"))
        .append_text(show.cell(run.end.value))
        .append(show.clean(f"  {run.message}"), style="default")
    )


def _fact(name: str, text: str) -> Text:
    return Text.assemble((f"  {name} ", "dim"), show.clean(text))


def _people(asked: Asked) -> str:
    who = " or ".join(asked.approvers) or "nobody: no approvers are named"
    needs = f", {asked.quorum} of them" if asked.quorum > 1 else ""
    within = "".join(f", who must be in {' or '.join(names)}" for names in asked.terms.within)
    eyes = ", not whoever started it" if asked.terms.four_eyes else ""
    return f"{who}{needs}{within}{eyes}; within {format_duration(asked.timeout)}"
