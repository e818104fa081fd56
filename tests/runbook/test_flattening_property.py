"""However documents use each other: the steps keep the order in which they are written, their ids
are unique, their numbers have no gap, and what is kept of a version comes to the same again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from remediator.plugin import registry as plugins
from remediator.runbook import document
from remediator.runbook.compile import compile_documents, compile_runbook
from remediator.runbook.runbook import CompiledStep, Runbook

REGISTRY = plugins.load(third_party=False)
LOOK = {"action": "http.check", "with": {"url": "http://x/${{ params.n }}"}}
NAMES = ["one", "two", "three", "four"]
"""Each may use those after it, so that there is no circle."""


SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Each example compiles five documents."""


@dataclass(frozen=True)
class Project:
    """Documents by name: the runbook `top` and fragments."""

    documents: Mapping[str, Mapping[str, Any]]

    def text(self) -> str:
        """All of them in one file."""
        yaml: Any = YAML(typ="safe", pure=True)
        stream = StringIO()
        yaml.dump_all(self.documents.values(), stream)
        return str(stream.getvalue())


@st.composite
def member(draw: st.DrawFn, step_id: str, later: list[str]) -> dict[str, Any]:
    """One step that does one thing."""
    found: dict[str, Any] = {"id": step_id}
    uses = draw(st.booleans())
    if later and uses:
        found |= {"use": draw(st.sampled_from(later)), "with": {"n": "${{ params.n + 1 }}"}}
    else:
        found |= LOOK
    if draw(st.booleans()):
        found["if"] = "params.n < 5"
    return found


@st.composite
def steps(draw: st.DrawFn, later: list[str], blocks: bool) -> list[dict[str, Any]]:
    """The steps of a document; blocks only where nothing that stands in them has any."""
    found: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 3))):
        step_id = f"s{number}"
        form = draw(st.sampled_from(["plain", "for_each", "group"] if blocks else ["plain"]))
        if form == "group":
            members = [
                draw(member(f"{step_id}m{n}", later)) for n in range(draw(st.integers(1, 3)))
            ]
            found.append({"id": step_id, "steps": members})
            continue
        one = draw(member(step_id, later))
        if form == "for_each":
            one |= {"for_each": "${{ ['a', 'b'] }}", "most": draw(st.integers(1, 3))}
        found.append(one)
    return found


@st.composite
def projects(draw: st.DrawFn) -> Project:
    """A runbook and the fragments that it may use."""
    parameters = {"n": {"type": "integer", "default": 1}}
    documents: dict[str, Mapping[str, Any]] = {}
    for number, name in enumerate(["top", *NAMES]):
        later = NAMES[number:]
        documents[name] = {
            "name": name,
            "description": "x",
            "parameters": parameters,
            **({"match": ['alertname="X"']} if name == "top" else {}),
            "steps": draw(steps(later, blocks=name == "top")),
            "outputs": {"n": "${{ params.n }}"},
        }
    return Project(documents)


def expected(project: Project, name: str, prefix: str = "") -> Iterator[str]:
    """Say by the plainest means which steps a document comes to."""
    for one in project.documents[name]["steps"]:
        for step_id, written in _written(one):
            if "use" in written:
                yield from expected(project, written["use"], f"{prefix}{step_id}.")
            else:
                yield f"{prefix}{step_id}"


def _written(one: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "steps" in one:
        yield from ((inner["id"], inner) for inner in one["steps"])
    elif "for_each" in one:
        yield from ((f"{one['id']}[{n}]", one) for n in range(one["most"]))
    else:
        yield one["id"], one


def told(step: CompiledStep) -> tuple[Any, ...]:
    """What a step is, without where it was read."""
    block = step.block and (step.block.id, step.block.parallel, step.block.most)
    return (
        (step.id, step.sequence, step.operation.name, step.parameters.keys()),
        (step.needs, step.is_rung, step.timeout, step.frame.prefix, block, step.lane),
        step.condition and step.condition.text,
    )


def top(project: Project) -> Runbook:
    documents = document.parse(project.text(), "a.yaml")
    (found,) = compile_documents(documents, REGISTRY).runbooks
    return found


@SLOW
@given(projects())
def test_steps_keep_their_order_and_have_ids_of_their_own(project: Project) -> None:
    runbook = top(project)
    assert [step.id for step in runbook.steps] == list(expected(project, "top"))
    assert len({step.id for step in runbook.steps}) == len(runbook.steps)
    assert [step.sequence for step in runbook.steps] == list(range(len(runbook.steps)))


@SLOW
@given(projects())
def test_lanes_stand_together_and_only_look_back(project: Project) -> None:
    runbook = top(project)
    seen: list[str] = []
    for step in runbook.steps:
        assert step.needs <= set(seen)
        seen.append(step.id)
    for block in runbook.blocks:
        lanes = [step.lane for step in runbook.steps if step.block is block]
        numbers = [step.sequence for step in runbook.steps if step.block is block]
        assert lanes == sorted(lanes)
        assert set(lanes) == set(range(block.most))
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@SLOW
@given(projects())
def test_what_is_kept_of_a_version_comes_to_the_same(project: Project) -> None:
    runbook = top(project)
    again = compile_runbook(runbook.source, "kept", REGISTRY)
    assert (again.version, again.substance, again.uses) == (
        runbook.version,
        runbook.substance,
        runbook.uses,
    )
    assert list(map(told, again.steps)) == list(map(told, runbook.steps))
    assert compile_runbook(again.source, "kept", REGISTRY).source == again.source
