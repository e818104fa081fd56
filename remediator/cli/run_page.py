"""One run as a page for people: `runs show`, `simulate` and the demo. Pure: JSON in, lines out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from remediator.cli import approvals, show
from remediator.plugin import lanes
from remediator.plugin.lanes import Lanes

Item = Mapping[str, Any]


def page(view: Item) -> Group:
    """Return the whole page of a run, as the API's `RunView` has it."""
    return Group(
        _facts(list(_head(view))),
        *steps_lines(view["steps"]),
        *_outputs(view),
        *_verdicts(view["verdicts"]),
        *_approval(view),
        *_next(view),
    )


def steps_lines(steps: Sequence[Item]) -> Iterator[Text | Group]:
    """Return every step; many lanes of a block as one, what failed by itself."""
    for part in lanes.grouped(steps, id_of=_id, apart=lambda step: step["state"] == "failed"):
        yield Text()
        yield lanes_lines(part) if isinstance(part, Lanes) else step_lines(part)


def plans_lines(steps: Sequence[Item]) -> Iterator[Table | Group]:
    """Return the plans of steps alone, likewise."""
    for part in lanes.grouped(steps, id_of=_id):
        yield lanes_lines(part) if isinstance(part, Lanes) else plan_table(part)


def lanes_lines(part: Lanes[Item]) -> Group:
    """Return many lanes of one step: how they stand, what each changes, and what holds for each."""
    counts = Counter(step["state"] for step in part.members)
    head = Text.assemble(
        ("lanes ", "dim"), (show.clean(part.name), "bold"), f"  {part.members[0]['action']}"
    )
    for state, count in counts.items():
        head.append("  ").append_text(show.cell(state)).append(f" {count}", style="default")
    rows = [row for step in part.members for row in _lane(step)]
    planned = [
        step for step in part.members if step["plan"] is not None and step["plan"]["changes"]
    ]
    for name, said in (
        ("impact", [str(step["impact"]) for step in planned]),
        ("way back", [_way_back(step["plan"]).plain for step in planned]),
    ):
        for text, count in Counter(said).items():
            rows.append((name, _plain(f"{text}  (each of {count})" if count > 1 else text)))
    return Group(head, _facts(rows, indent=2))


def _lane(step: Item) -> Iterator[tuple[str, Text]]:
    plan = step["plan"]
    line = show.cell(step["state"])
    if plan is None or not plan["changes"]:
        yield _id(step), line.append(show.clean(f"  {step['message']}"), style="default")
        return
    line.append(show.clean(f"  {step['target']}: "), style="default")
    for number, change in enumerate(plan["changes"]):
        line.append("; " if number else "", style="default").append_text(_change(change))
    line.append(f"  {plan['digest'][:16]}", style="dim")
    yield _id(step), line


def _id(step: Item) -> str:
    return show.clean(str(step["id"]))


def step_lines(step: Item) -> Group:
    """Return one step: its state, its plan line by line, what became of it."""
    attempt = f", attempt {step['attempt']}" if step["attempt"] > 1 else ""
    head = Text.assemble(
        ("step ", "dim"), (show.clean(step["id"]), "bold"), f"  {step['action']}  "
    ).append_text(show.cell(step["state"]))
    return Group(head.append(attempt), _facts(list(_step_facts(step)), indent=2))


def plan_facts(plan: Item, target: str, impact: str) -> Iterator[tuple[str, Text]]:
    """Return a plan as pairs: target, each change before → after, impact, way back."""
    yield "plan", _plain(f"{target}: {plan['summary']}")
    for change in plan["changes"]:
        yield "change", _change(change)
    if plan["changes"]:
        yield "impact", _plain(impact)
        yield "way back", _way_back(plan)
    if plan["lasts_s"] is not None:
        yield "until", _plain(f"taken back after {show.span(plan['lasts_s'])}")
    if plan["changes"]:
        yield "digest", Text(plan["digest"][:16], style="dim")


def plan_table(step: Item) -> Table:
    """Return a step's plan alone."""
    return _facts(list(plan_facts(step["plan"], step["target"], step["impact"])))


def verdict_line(verdict: Item) -> Text:
    """Return one guardrail's answer in one line."""
    line = show.cell(verdict["ruling"])
    line.append(f"  {verdict['rule']}", style="bold")
    if verdict["reason"]:
        line.append(show.clean(f": {verdict['reason']}"), style="default")
    if verdict["lifted_by"]:
        line.append(show.clean(f"  (lifted by: {verdict['lifted_by']})"), style="dim")
    return line


def _head(view: Item) -> Iterator[tuple[str, Text]]:
    yield "run", _plain(view["id"])
    yield "runbook", _plain(f"{view['runbook']}  {view['description']}".rstrip())
    state = show.cell(view["state"])
    yield "state", state.append(show.clean(f"  {view['reason']}"), style="default")
    if view["message"]:
        yield "message", _plain(view["message"])
    incident = view["incident"]
    if incident:
        yield "incident", _plain(f"{incident['id']}  {incident['status']}")
        yield "alert", _plain(show.labels(incident["labels"]))
    else:
        labels = view["context"].get("alert", {}).get("labels", {})
        yield "labels", _plain(show.labels(labels) or "none")
    if given := view["context"].get("parameters"):
        texts = {name: _argument(value) for name, value in given.items()}
        yield "parameters", _plain(show.labels(texts))
    if view["started_by"]:
        yield "started by", _plain(view["started_by"])
    if view["cancel_requested_by"]:
        yield "cancel", _plain(f"asked for by {view['cancel_requested_by']}")
    if (seen := view.get("acknowledged")) is not None:
        said = f": {seen['reason']}" if seen["reason"] else ""
        yield "acknowledged", _plain(f"by {seen['by']}, {show.ago(seen['at'])} ago{said}")
    if view["owner"]:
        yield "owner", _plain(view["owner"])
    for name, link in sorted(view["links"].items()):
        yield name, _plain(link)
    for name, key in (("created", "created_at"), ("ended", "ended_at")):
        if view[key]:
            yield name, _plain(f"{show.time_of_day(view[key])}  ({show.ago(view[key])} ago)")
    if view["wake_at"] and not view["ended_at"]:
        yield "looks again", _plain(show.time_of_day(view["wake_at"]))
    if view["deadline_at"] and not view["ended_at"]:
        yield "until", _plain(show.time_of_day(view["deadline_at"]))


def _step_facts(step: Item) -> Iterator[tuple[str, Text]]:
    if step["plan"] is not None:
        yield from plan_facts(step["plan"], step["target"], step["impact"])
    if step["message"] and not _says_the_plan(step):
        yield "said", _plain(step["message"])
    if step["started_at"]:
        text = show.time_of_day(step["started_at"])
        if step["ended_at"]:
            text += f"  took {show.ago(step['started_at'], show.when(step['ended_at']))}"
        yield "at", _plain(text)


def _says_the_plan(step: Item) -> bool:
    return step["plan"] is not None and step["message"] == (
        f"{step['target']}: {step['plan']['summary']}"
    )


def _change(change: Item) -> Text:
    return Text.assemble(
        f"{show.clean(change['path'])}: ",
        (show.clean(show.value(change["before"])), "red"),
        " → ",
        (show.clean(show.value(change["after"])), "green"),
    )


def _way_back(plan: Item) -> Text:
    if plan["way_back"]:
        return _plain(plan["way_back"]["summary"])
    return Text(show.clean(f"none: {plan['no_way_back'] or 'it is not known'}"), style="yellow")


def _verdicts(verdicts: Sequence[Item]) -> Iterator[Text | Table]:
    if verdicts:
        yield Text()
        yield Text("guardrails", style="dim")
        for one in verdicts:
            yield Text("  ").append_text(verdict_line(one))


def _outputs(view: Item) -> Iterator[Text | Table]:
    # A daemon of the version before answers without them.
    found, failed = view.get("outputs", {}), view.get("outputs_failed", {})
    if found or failed:
        yield Text()
        yield Text("outputs", style="dim")
        yield _facts(
            [
                *((show.clean(name), _plain(show.value(value))) for name, value in found.items()),
                *(
                    (show.clean(name), Text(show.clean(f"not worked out: {why}"), style="yellow"))
                    for name, why in failed.items()
                ),
            ],
            indent=2,
        )


def _approval(view: Item) -> Iterator[Text | Table]:
    asked = view["approval"]
    if asked is None:
        return
    yield Text()
    yield Text.assemble(("approval ", "dim")).append_text(show.cell(asked["status"]))
    rows = [
        ("because", _plain(asked["asked_because"])),
        ("may decide", _plain(approvals.for_whom(asked))),
        ("needs", _plain(f"{asked['quorum']} of them" if asked["quorum"] > 1 else "one of them")),
    ]
    terms = asked["terms"]
    if terms["four_eyes"]:
        rows.append(("four eyes", _plain("who started the run may not say yes to it")))
    if terms["deny_reason"]:
        rows.append(("a no", _plain("must say why")))
    if terms["policy"]:
        rows.append(("so says", _plain(", ".join(terms["policy"]))))
    if asked["status"] == "open":
        rows.append(("until", _plain(show.time_of_day(asked["expires_at"]))))
        rows.append(("then", _plain(_THEN[terms["on_expiry"]])))
    if asked["closed_why"]:
        rows.append(("closed", _plain(asked["closed_why"])))
    for one in asked["decisions"]:
        reason = f": {one['reason']}" if one["reason"] else ""
        text = f"{one['answer']} by {one['actor']} through {one['via']}{reason}"
        rows.append(("decision", _plain(f"{text}  ({show.time_of_day(one['at'])})")))
    yield _facts(rows, indent=2)
    yield from differs(asked)


def differs(asked: Item) -> Iterator[Text]:
    """Show how the plans differ from those that were asked for before."""
    if asked["differs"]:
        yield Text()
        yield Text("what has changed since the question before", style="dim")
    for line in asked["differs"]:
        style = {"-": "red", "+": "green"}.get(line[:1], "")
        yield Text(f"  {show.clean(line)}", style=style)


_THEN = {
    "escalate": "it counts as no, and a person is called",
    "deny": "it counts as no, and nobody is called",
    "approve": "it counts as yes, if the policy still allows that",
}


def _next(view: Item) -> Iterator[Text]:
    hint = ""
    if view["approval"] and view["approval"]["status"] == "open":
        hint = f"decide: remediator approve {view['id']}, or remediator deny {view['id']}"
    elif view["state"] == "interrupted":
        hint = (
            f"look at the target, then: remediator runs resume {view['id']} --how done|repeat|undo"
        )
    elif view["reason"] == "guardrail_refuses":
        hint = f"every guardrail's verdict: remediator policy explain {view['id']}"
    if hint:
        yield Text()
        yield Text(hint, style="bold")


def _facts(rows: Sequence[tuple[str, Text]], *, indent: int = 0) -> Table:
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(Text(" " * indent + name), text)
    return grid


def _plain(text: str) -> Text:
    return Text(show.clean(text))


def _argument(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
