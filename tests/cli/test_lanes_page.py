"""How many lanes of one step are shown on a page: as one, with every target, and what failed by
itself."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from remediator.cli import run_page
from remediator.model.runs import Step, StepState
from remediator.web import render
from tests.notify.views import plan, step


def lane(number: int, state: StepState = StepState.DONE) -> Step:
    target = replace(plan().target, name=f"api-{number}")
    return replace(
        step(plan=plan(target=target)),
        step_id=f"restarts[{number}]",
        sequence=number,
        state=state,
        message="it never became healthy" if state is StepState.FAILED else "",
    )


def shown(*steps: Step) -> str:
    console = Console(file=StringIO(), width=160, color_system=None)
    for part in run_page.steps_lines([render.step(one) for one in steps]):
        console.print(part)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_many_lanes_are_one_with_every_target() -> None:
    page = shown(*(lane(n) for n in range(9)), lane(9, StepState.STARTED))
    assert "lanes restarts[0–9]" in page
    assert "done 9  started 1" in page
    assert all(f"api-{n}" in page for n in range(10))
    assert "(each of 10)" in page
    assert len(page.splitlines()) < 20


def test_what_failed_stands_by_itself() -> None:
    page = shown(*(lane(n) for n in range(8)), lane(8, StepState.FAILED))
    assert "lanes restarts[0–7]" in page
    assert "step restarts[8]" in page
    assert "it never became healthy" in page


def test_a_few_stand_one_by_one() -> None:
    page = shown(lane(0), lane(1))
    assert "lanes " not in page
    assert "step restarts[1]" in page


def test_outputs_are_shown_and_what_could_not_be_worked_out() -> None:
    console = Console(file=StringIO(), width=100, color_system=None)
    view = {"outputs": {"replicas": 6}, "outputs_failed": {"team": "no label"}}
    for part in run_page._outputs(view):
        console.print(part)
    file = console.file
    assert isinstance(file, StringIO)
    said = file.getvalue()
    assert "replicas  6" in said
    assert "not worked out: no label" in said
