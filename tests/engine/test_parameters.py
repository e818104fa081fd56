"""Parameters of a run: the defaults for an alert, a person's for a run by hand, on record."""

import json

import pytest

from remediator.journal.values import AuditEntry
from remediator.model.runs import RunState
from remediator.plugin.source import Rejected
from tests.engine.conftest import Begin
from tests.engine.world import runbook, setting

DECLARED = {
    "to": {"type": "integer", "default": 1, "maximum": 5},
    "name": {"default": "a", "enum": ["a", "b"]},
}
STEP = setting("${{ params.name }}", 0, id="set")
STEP["with"]["to"] = "${{ params.to }}"


async def test_an_alert_has_the_defaults(begin: Begin) -> None:
    scene = await begin(runbook(STEP, parameters=DECLARED))
    assert scene.world.made == [("a", 0, 1)]


async def test_a_person_may_set_them_and_it_is_on_record(begin: Begin) -> None:
    scene = await begin(runbook(STEP, parameters=DECLARED), fire=False)
    run_id = await scene.daemon.control.start(
        "repair", {}, by="api:al", parameters={"to": "3", "name": "b"}
    )
    await scene.advance(seconds=1)
    run = await scene.run()
    assert (run.id, run.state) == (run_id, RunState.SUCCEEDED)
    assert scene.world.made == [("b", 0, 3)]
    assert run.context["parameters"] == {"to": 3, "name": "b"}
    first: AuditEntry = (await scene.daemon.audit(run_id))[0].entry
    assert first.details["parameters"] == {"to": 3, "name": "b"}


async def test_they_are_the_same_after_a_restart(begin: Begin) -> None:
    scene = await begin(runbook(STEP, parameters=DECLARED, mode="approve"), fire=False)
    await scene.daemon.control.start("repair", {}, by="api:al", parameters={"to": 4})
    await scene.advance(seconds=1)
    await scene.daemon.restart()
    await scene.daemon.decide((await scene.run()).id)
    assert scene.world.made == [("a", 0, 4)]


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"too": 1}, "parameters.too", 'there is no parameter "too"; did you mean "to"?'),
        ({"to": 6}, "parameters.to", "to: 6 is more than 5"),
        ({"name": "c"}, "parameters.name", "it is one of a, b"),
    ],
)
async def test_what_does_not_do_starts_nothing(
    begin: Begin, given: dict[str, object], field: str, message: str
) -> None:
    scene = await begin(runbook(STEP, parameters=DECLARED), fire=False)
    with pytest.raises(Rejected) as caught:
        await scene.daemon.control.start("repair", {}, by="api:al", parameters=given)
    assert caught.value.field == field
    assert message in caught.value.reason
    assert not await scene.daemon.runs()


async def test_a_run_keeps_the_fragment_that_it_began_with(begin: Begin) -> None:
    def using(to: int) -> str:
        use = {"id": "one", "use": "set-it", "with": {"name": "a"}}
        fragment = {
            "name": "set-it",
            "description": "Set it.",
            "parameters": {"name": {}},
            "steps": [setting("${{ params.name }}", to, id="set")],
        }
        return f"{runbook(use, wait_for='5m')}\n---\n{json.dumps(fragment)}\n"

    scene = await begin(using(1))
    await scene.daemon.load(using(2))
    await scene.daemon.restart()  # nothing is left in memory
    await scene.advance(minutes=6)
    assert scene.world.made == [("a", 0, 1)]
    await scene.fire(n="2")
    await scene.advance(minutes=6)
    assert scene.world.made == [("a", 0, 1), ("a", 1, 2)]
