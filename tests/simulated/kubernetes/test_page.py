"""Proves that docs/simulated-kubernetes.md says what the simulation does, and what it does not."""

import ast
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from remediator.model.quantities import format_duration
from remediator.simulated.kubernetes import behaviour
from remediator.simulated.kubernetes.autoscalers import SYNC_S
from remediator.simulated.kubernetes.nodes import EVICTED_AFTER
from tests.simulated.kubernetes.look import World

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "simulated-kubernetes.md").read_text()


def test_every_behaviour_is_on_the_page_and_each_on_the_page_is_understood() -> None:
    table = PAGE.split("## How pods behave")[1].split("## What is simulated")[0]
    written = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert {text for text in written if "=" not in text} == set(behaviour.OUTCOMES)
    for text in written:
        behaviour.parse(text)
    assert behaviour.ANNOTATION in PAGE
    usual = behaviour.Behaviour()
    for said in (
        f"to become ready; {usual.ready_after_s:g} s without it",
        f"are deleted; {usual.stops_after_s:g} s without it",
        f"then succeed; {usual.ends_after_s:g} s without it",
        f"sync every {SYNC_S:g} s",
        f"after {format_duration(EVICTED_AFTER).removesuffix('m')} minutes",
    ):
        assert said in table or said in PAGE, said


def test_every_controller_is_on_the_page() -> None:
    plane = World().cluster._plane
    simulated = PAGE.split("## What is simulated")[1].split("## What is different")[0]
    for resource in plane.controllers:
        assert resource.kind == "Pod" or f"| {resource.kind} |" in simulated, resource.kind


@pytest.mark.parametrize("module", ["scale", "rollouts"])
def test_what_of_the_actions_tests_is_left_out_is_known(module: str) -> None:
    """Two reasons only, and both stand on the page."""
    source = Path(__file__).with_name("actions") / f"test_{module}.py"
    tree = ast.parse(source.read_text())
    left_out = {
        target.id
        for statement in tree.body
        if isinstance(statement, ast.Delete)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    assert left_out
    reasons = {"our_writes_bear": "managed fields", "policy": "admission", "admission": "admission"}
    different = PAGE.split("## What is different, and known")[1]
    for name in left_out:
        found = [reason for part, reason in reasons.items() if part in name]
        assert found, name
        assert f"| {found[0]} |" in different


def test_the_pages_example_is_as_it_says() -> None:
    block = re.search(r"```yaml\n(kubernetes:.*?)```", PAGE, re.DOTALL)
    assert block is not None
    world = World(*YAML(typ="safe", pure=True).load(block[1])["kubernetes"])
    assert sorted(world.ready().values()) == [False, True, True]
    assert world.ready()["web-1"] is False
