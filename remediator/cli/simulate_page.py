"""What `remediator simulate` prints: pages and JSON of the engine's answers. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from remediator.cli import run_page, show
from remediator.engine.simulate import Answer, Simulated
from remediator.engine.terms import Asked
from remediator.model.quantities import format_duration
from remediator.model.verdicts import Ruling
from remediator.observe import masking
from remediator.web import render, render_trust


def to_json(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return everything as JSON."""
    return dict(render_trust.answers(answers))


def differences(now: Sequence[Answer], then: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return how the runs of two sets of runbooks differ; those that do not are left out."""
    here, there = _by_run(now), _by_run(then)
    found = []
    for key in dict.fromkeys([*here, *there]):
        one, other = here.get(key), there.get(key)
        if one is None or other is None:
            parts = ["added" if other is None else "gone"]
        else:
            sides = zip(_compared(one).items(), _compared(other).values(), strict=True)
            parts = [name for (name, a), b in sides if a != b]
        if parts:
            found.append(
                {
                    "fingerprint": key[0],
                    "runbook": key[1],
                    "difference": ", ".join(parts),
                    "now": _compared(one) if one else None,
                    "then": _compared(other) if other else None,
                }
            )
    return found


def _by_run(answers: Sequence[Answer]) -> dict[tuple[str, str], Simulated]:
    return {
        (answer.alert.fingerprint, run.runbook.name): run
        for answer in answers
        for run in answer.runs
    }


def _compared(run: Simulated) -> dict[str, Any]:
    verdicts = [
        masking.text(str(one))
        for of_step in run.verdicts.values()
        for one in of_step
        if one.ruling is not Ruling.ALLOW
    ]
    return {
        "end": run.end.value,
        "verdict": verdicts or [masking.text(run.message)],
        "plan": [
            masking.text(str(row.plan))
            for row in run.rows
            if row.plan is not None and not row.plan.empty
        ],
    }


def _difference_lines(given: Sequence[dict[str, Any]], against: str) -> Iterator[Text]:
    if not given:
        yield Text(show.clean(f"nothing differs from {against}"), style="bold")
        return
    yield Text(show.clean(f"what differs from {against}"), style="bold")
    for one in given:
        yield Text.assemble("  ", (one["runbook"], "bold"), show.clean(f"  {one['difference']}"))
        now, then = one["now"], one["then"]
        for name in ("end", "verdict", "plan") if now and then else ():
            if now[name] != then[name]:
                yield Text(show.clean(f"    - {_line(then[name])}"), style="red")
                yield Text(show.clean(f"    + {_line(now[name])}"), style="green")


def _line(value: Any) -> str:
    return "; ".join(value) or "none" if isinstance(value, list) else str(value)


def page(
    answers: Sequence[Answer],
    with_history: bool,
    against: str | None = None,
    differing: Sequence[dict[str, Any]] | None = None,
) -> Group:
    """Return everything for people."""
    parts: list[Any] = []
    for answer in answers:
        parts += [*_alert_lines(answer), Text()]
    if differing is not None:
        parts += [*_difference_lines(differing, against or ""), Text()]
    history = "with the journal's history" if with_history else "without a journal's history"
    parts.append(Text(f"simulated {history}; nothing was changed", style="dim"))
    return Group(*parts)


def _alert_lines(answer: Answer) -> Iterator[Any]:
    alert = answer.alert
    name = alert.labels.get("alertname", "an alert")
    head = Text.assemble(("alert ", "dim"), (show.clean(name), "bold"), "  ")
    head.append_text(show.cell(alert.status.value))
    yield head
    labels = {name: masking.value(name, value) for name, value in alert.labels.items()}
    yield Text("  " + show.clean(show.labels(labels, without=("alertname",))), style="dim")
    for run in answer.runs:
        yield Text()
        yield from _run_lines(run)
    if not answer.runs:
        yield Text("  no runbook applies: nothing would be done", style="yellow")
    for passed in answer.passed:
        yield Text.assemble(
            ("  not ", "dim"),
            (passed.runbook, "bold"),
            show.clean(f": {masking.text(passed.why)}"),
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
        .append(show.clean(f"  {masking.text(run.message)}"), style="default")
    )


def _fact(name: str, text: str) -> Text:
    return Text.assemble((f"  {name} ", "dim"), show.clean(masking.text(text)))


def _people(asked: Asked) -> str:
    who = " or ".join(asked.approvers) or "nobody: no approvers are named"
    needs = f", {asked.quorum} of them" if asked.quorum > 1 else ""
    within = "".join(f", who must be in {' or '.join(names)}" for names in asked.terms.within)
    eyes = ", not whoever started it" if asked.terms.four_eyes else ""
    return f"{who}{needs}{within}{eyes}; within {format_duration(asked.timeout)}"
