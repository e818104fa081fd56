"""A repair that does not help, on real servers: next rung, then undo, then a person is paged."""

from tests.scenarios.books import LADDER
from tests.scenarios.conftest import SceneFactory
from tests.scenarios.scene import HOPELESS, in_order
from tests.servers.waiting import eventually

STORY = [
    "planning → applying: automatic",
    "step.started restart",
    "step.done restart",
    "applying → verifying: watching",
    "verifying → applying: next_rung",
    "step.started scale",
    "step.done scale",
    "applying → verifying: watching",
    "verifying → undoing: not_verified",
    "step.undoing scale",
    "step.undone scale",
    "undoing → rolled_back: undone",
]
RESTARTED = "kubectl.kubernetes.io/restartedAt"


def test_a_restart_that_does_not_help_then_scaling_then_undo_then_a_page(
    scene: SceneFactory,
) -> None:
    here = scene({"ladder": LADDER})
    before = here.generation()
    here.service.load(HOPELESS)
    run = here.wait_run("rolled_back")

    # the world: restarted (which has no way back), scaled out, scaled back
    template = here.deployment()["spec"]["template"]
    assert RESTARTED in template["metadata"]["annotations"]
    assert (here.generation(), here.deployment()["spec"]["replicas"]) == (before + 3, 2)
    # the record
    assert in_order(STORY, here.trail(run["id"]))
    states = {step["id"]: step["state"] for step in run["steps"]}
    assert states == {"restart": "done", "scale": "undone"}
    assert "restart stays" in run["message"]
    assert here.ended() == {"rolled_back/undone": 1}
    assert here.incidents()[0]["status"] == "open"
    # the people
    (page,) = eventually(
        lambda: list(here.people.pager.alerts.values()), what="the pager to be told"
    )
    assert "did not help" in page.summary
    assert page.open
    (message,) = here.people.messages
    here.people.told(message, "Rolled back", "taken back: scale", buttons=["I am on it"])
    lines = here.people.thread(message)
    assert any("scale taken back" in line for line in lines), lines
    here.audit_is_whole()

    # the incident goes on: it is not treated again
    assert len(here.daemon.items("/api/v1/runs")) == 1
