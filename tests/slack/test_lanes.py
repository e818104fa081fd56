"""Proves that thirty lanes read as one step in Slack: every target is there, nothing is refused,
and what went wrong stands by itself."""

from dataclasses import replace

import pytest

from remediator.model.plans import Change
from remediator.model.runs import RunState, Step, StepState
from remediator.notify.slack import blocks
from tests.notify.views import approval, plan, step, view
from tests.slack.test_blocks import HOSTILE, WIDE, posted


def lane(number: int, **more: object) -> Step:
    target = replace(plan().target, name=f"api-{number:02}")
    values: dict[str, object] = {
        "step_id": f"restarts[{number}]",
        "sequence": number,
        "plan": plan(target=target),
        "message": "",
        **more,
    }
    return step(**values)  # type: ignore[arg-type]


def test_every_target_of_thirty_lanes_is_in_the_message() -> None:
    lanes = tuple(lane(number) for number in range(30))
    shown = posted(blocks.run(view(RunState.AWAITING_APPROVAL, steps=lanes, approval=approval())))

    assert "restarts[0–29]" in shown.words
    assert all(f"api-{number:02}" in shown.words for number in range(30))
    assert "Not all of the plan fits" not in shown.words


def test_what_failed_stands_by_itself_with_what_it_said() -> None:
    lanes = [lane(number, state=StepState.DONE) for number in range(8)]
    lanes[5] = lane(5, state=StepState.FAILED, message="it never became healthy")
    shown = posted(blocks.run(view(RunState.FAILED, steps=tuple(lanes))))

    assert "restarts[0–4, 6–7]" in shown.words
    assert "restarts[5]" in shown.words
    assert "it never became healthy" in shown.words


def test_a_few_lanes_are_shown_one_by_one() -> None:
    shown = posted(blocks.run(view(steps=(lane(0), lane(1), lane(2)))))

    assert "restarts[2]" in shown.words
    assert "restarts[0–2]" not in shown.words


@pytest.mark.parametrize("words", [HOSTILE, WIDE])
def test_whatever_fifty_lanes_hold_slack_takes_it(words: str) -> None:
    bad = plan(
        target=replace(plan().target, name=words),
        changes=(Change(words, words, words), Change("x", {words: [words]}, None)),
        impact=replace(plan().impact, note=words),
    )
    lanes = tuple(lane(number, plan=bad, message=words, action=words) for number in range(50))
    shown = posted(blocks.run(view(RunState.AWAITING_APPROVAL, steps=lanes, approval=approval())))

    assert "Not all of the plan fits" in shown.words
