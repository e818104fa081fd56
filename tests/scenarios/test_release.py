"""A bad release, on real servers: it is rolled back by itself, and never rolled forward again.

Proves that a rollout which the real controllers find stuck ends where it was good, that nobody is
asked in mode `auto`, and that the template that was left is remembered as bad.
"""

from tests.scenarios.books import ROLL_BACK
from tests.scenarios.conftest import SceneFactory
from tests.scenarios.scene import API
from tests.servers.manifests import BAD, GOOD

STORY = [
    "None → pending: new",
    "pending → planning: new",
    "run.planned",
    "planning → applying: automatic",
    "step.started roll-back",
    "step.done roll-back",
    "applying → verifying: watching",
    "verifying → succeeded: verified",
]


def test_a_release_that_never_gets_ready_is_rolled_back_once(scene: SceneFactory) -> None:
    here = scene({"roll-back": ROLL_BACK})
    before = here.generation()
    here.release(BAD)
    run = here.wait_run("succeeded")

    # the world: our change is the second after the release
    assert here.image() == GOOD
    assert (here.generation(), here.replica_sets()) == (before + 2, {GOOD: 2, BAD: 0})
    assert here.whole()
    assert here.alert() is None
    # the record
    assert here.trail(run["id"]) == STORY
    assert run["approval"] is None
    assert here.ended() == {"succeeded/verified": 1}
    (message,) = here.people.messages
    here.people.told(message, "Succeeded", f"{BAD}", f"{GOOD}")
    assert len(here.resolved_incidents()) == 1

    # a later undo does not go to "the revision before", which is the bad one
    labels = {"namespace": here.namespace, "deployment": API}
    body = {"runbook": "bad-release-roll-back", "labels": labels}
    answer = here.daemon.post("/api/v1/runs", body)
    assert answer.status == 201, answer.text
    later = here.wait_run("failed", run_id=answer.json()["id"])
    assert later["reason"] == "plan_failed"
    assert "known as bad" in later["message"]
    assert (here.generation(), here.replica_sets()) == (before + 2, {GOOD: 2, BAD: 0})
    assert "run.planned" not in here.trail(later["id"])
    here.audit_is_whole()
