"""What a run leaves: its outputs, kept with it when it has ended well, and told with its end."""

from remediator.model.reasons import Reason
from remediator.model.runs import Outputs, RunState
from remediator.model.views import NoteKind
from tests.engine.conftest import Begin, Scene
from tests.engine.world import being, group, runbook, setting

_VALUE = "${{ steps.a.result.value }}"


async def left(scene: Scene) -> Outputs:
    return (await scene.daemon.view((await scene.run()).id)).outputs


async def test_outputs_are_kept_and_told_with_the_end(begin: Begin) -> None:
    outputs = {"value": _VALUE, "of": "${{ labels.alertname }}"}
    scene = await begin(runbook(setting("a", 4), outputs=outputs))
    run = await scene.run()
    assert await left(scene) == Outputs({"value": 4, "of": "Broken"})
    assert run.message == "every step is done; outputs: value = 4, of = Broken"
    last = scene.recorder.told[-1]
    assert (last.kind, last.text) == (NoteKind.STATE, run.message)
    assert "run.outputs" in await scene.kinds()


async def test_outputs_of_lanes_are_lists(begin: Begin) -> None:
    lanes = setting("${{ each.value }}", 2, id="many", for_each=["a", "b"], parallel=2)
    both = group(setting("c", 3), being("d", 0, id="look"))
    outputs = {
        "values": "${{ steps.many.result.map(one, one.value) }}",
        "both": "${{ steps.both.ok }}",
    }
    scene = await begin(runbook(lanes, both, outputs=outputs))
    assert (await left(scene)).values == {"values": [2, 2], "both": True}


async def test_an_output_that_can_t_be_worked_out_is_named_and_fails_nothing(
    begin: Begin,
) -> None:
    outputs = {"value": _VALUE, "team": "${{ labels.team }}"}
    scene = await begin(runbook(setting("a", 4), outputs=outputs, verify={"resolved_within": "5m"}))
    await scene.clear()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.VERIFIED)
    kept = await left(scene)
    assert kept.values == {"value": 4}
    assert list(kept.failed) == ["team"]
    assert "not worked out: team (" in run.message


async def test_probes_alone_leave_outputs(begin: Begin) -> None:
    look = being("a", 0, id="a")
    scene = await begin(runbook(look, outputs={"value": _VALUE}))
    assert (await left(scene)).values == {"value": 0}


async def test_what_is_too_large_is_named(begin: Begin) -> None:
    large = ["${{ labels.text }}"] * 17
    scene = await begin(
        runbook(setting("a", 1), outputs={"large": large, "value": _VALUE}), fire=False
    )
    await scene.fire(text="x" * 4096)
    kept = await left(scene)
    assert kept.values == {"value": 1}
    assert kept.failed == {"large": "it has 69684 characters, and 65536 of 65536 were left"}


async def test_secrets_are_not_told(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), outputs={"api_token": "abcdef0123"}))
    assert "abcdef0123" not in (await scene.run()).message


async def test_a_run_that_ends_badly_leaves_nothing(begin: Begin) -> None:
    scene = await begin(
        runbook(setting("a", 1), outputs={"value": _VALUE}, verify={"resolved_within": "1m"})
    )
    await scene.advance(minutes=2)
    assert await scene.state() is RunState.ROLLED_BACK
    assert await left(scene) == Outputs()
