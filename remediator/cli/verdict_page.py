"""What `remediator policy explain` prints: tables out of the API's JSON. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from remediator.cli import show

Item = Mapping[str, Any]


def of_run(value: Item) -> Group:
    """Return the page of a run's verdicts."""
    head = Text.assemble(("run ", "dim"), (show.clean(value["run_id"]), "bold"), "  ")
    head.append(show.clean(value["runbook"])).append("  ").append_text(show.cell(value["state"]))
    parts: list[Any] = [head]
    for step in value["steps"]:
        parts += [Text(), _step(step["id"], step["plan"]), _table(step["verdicts"])]
    if value["nothing"]:
        parts += [Text(), Text(show.clean(value["nothing"]), style="yellow")]
    if value["overrides"]:
        parts += [Text(), *_overrides(value["overrides"])]
    if value["liftable"]:
        who = ", ".join(value["people"])
        parts += [
            Text(),
            Text(
                show.clean(
                    f"{who} may lift {', '.join(value['liftable'])} for it, once: remediator"
                    f" override {value['run_id']} --guardrail {value['liftable'][0]} --reason …"
                ),
                style="bold",
            ),
        ]
    return Group(*parts)


def of_alerts(value: Item, how: str) -> Group:
    """Return the page of what would be done about alerts; `how` says who judged, and with what."""
    parts: list[Any] = []
    for alert in value["alerts"]:
        name = alert["labels"].get("alertname", "an alert")
        labels = show.clean(show.labels(alert["labels"], without=("alertname",)))
        parts.append(
            Text.assemble(("alert ", "dim"), (show.clean(name), "bold"), (f"  {labels}", "dim"))
        )
        for run in alert["runs"]:
            parts += _would_run(run)
        if not alert["runs"]:
            parts.append(Text("no runbook applies: nothing would be done", style="yellow"))
        for passed in alert["passed"]:
            parts.append(Text(show.clean(f"not {passed['runbook']}: {passed['why']}"), "dim"))
        parts.append(Text())
    parts.append(Text(show.clean(f"{how}; nothing was changed"), style="dim"))
    return Group(*parts)


def _would_run(run: Item) -> Iterator[Any]:
    yield Text()
    yield Text.assemble(
        ("runbook ", "dim"), (show.clean(run["runbook"]), "bold"), f"  mode {run['mode']}"
    )
    for step in run["steps"]:
        if step["verdicts"]:
            yield Text()
            yield _step(step["id"], f"{step['target']}: {step['plan']['summary']}")
            yield _table(step["verdicts"])
    yield Text()
    line = Text("→ ", style="bold").append_text(show.cell(run["state"]))
    yield line.append(show.clean(f"  {run['message']}"), style="default")


def _step(name: str, plan: str) -> Text:
    return Text.assemble(("step ", "dim"), (show.clean(name), "bold"), show.clean(f"  {plan}"))


def _table(verdicts: Sequence[Item]) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(("guardrail", "verdict", "by", "why", "lifted by")):
        grid.add_column(name.upper(), no_wrap=number < 3, overflow="fold")
    for one in verdicts:
        grid.add_row(
            show.cell(one["rule"]),
            show.cell(one["ruling"]),
            show.cell(one.get("by")),
            show.cell(one["reason"]),
            show.cell(one["lifted_by"]),
        )
    return grid


def _overrides(given: Sequence[Item]) -> Iterator[Text]:
    for one in given:
        until = f" until {show.time_of_day(one['expires_at'])}" if one["state"] == "open" else ""
        text = f"{one['guardrail']} overridden by {one['by']}: {one['reason']}  ({one['state']}"
        yield Text(show.clean(f"{text}{until})"))
