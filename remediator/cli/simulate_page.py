"""What `remediator simulate` prints: pages and JSON of the engine's answers. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from remediator.cli import run_page, show
from remediator.engine.simulate import Answer, Simulated
from remediator.model.clock import to_text
from remediator.model.verdicts import Ruling
from remediator.web import render


def to_json(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return everything as JSON."""
    return {"alerts": [_answer_json(answer) for answer in answers]}


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
    yield (
        Text.assemble(("→ ", "bold"))
        .append_text(show.cell(run.end.value))
        .append(show.clean(f"  {run.message}"), style="default")
    )


def _answer_json(answer: Answer) -> dict[str, Any]:
    alert = answer.alert
    return {
        "status": alert.status.value,
        "labels": dict(alert.labels),
        "fingerprint": alert.fingerprint,
        "starts_at": to_text(alert.starts_at),
        "runs": [_run_json(run) for run in answer.runs],
        "passed": [{"runbook": one.runbook, "why": one.why} for one in answer.passed],
    }


def _run_json(run: Simulated) -> dict[str, Any]:
    return {
        "runbook": run.runbook.name,
        "file": run.runbook.file,
        "version": run.runbook.version,
        "trigger": run.trigger.value,
        "mode": run.runbook.mode.value,
        "state": run.end.value,
        "reason": run.reason.value,
        "message": run.message,
        "refused": any(
            v.ruling is Ruling.REFUSE for of_step in run.verdicts.values() for v in of_step
        ),
        "steps": [
            {
                **render.step(row),
                "verdicts": [v.to_json() for v in run.verdicts.get(row.sequence, ())],
            }
            for row in run.rows
        ],
    }
