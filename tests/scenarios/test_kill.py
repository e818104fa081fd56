"""`kill -9` in the middle of a repair, on real servers: the run goes on, and nothing is done twice.

For the approved scale out and the automatic roll back, at each place where a run spends its time.
(tests/crash kills at every commit; here is the whole story with its servers.)
"""

import pytest
from aiohttp import ClientError

from tests.scenarios import test_latency, test_release
from tests.scenarios.books import ROLL_BACK, SCALE_OUT
from tests.scenarios.conftest import SceneFactory
from tests.scenarios.scene import BUSY, CALM, Run, Scene, in_order
from tests.servers.manifests import BAD, GOOD
from tests.servers.waiting import eventually

SLOW_PODS_S = 2
"""Long enough for a look at the journal between the start of a change and its end."""


def _started(run: Run) -> bool:
    return bool(run["steps"]) and run["steps"][0]["state"] == "started"


def _check_once(here: Scene, run: Run, story: list[str], step: str) -> None:
    """The run went its way as if nothing had happened, and every change was made once."""
    trail = here.trail(run["id"])
    assert in_order(story, trail), trail
    for once in (f"step.started {step}", f"step.done {step}", story[-1]):
        assert trail.count(once) == 1, trail
    assert run["steps"][0]["attempt"] == 1
    assert [one["id"] for one in here.daemon.items("/api/v1/runs")] == [run["id"]]
    assert [one["id"] for one in here.incidents()] == [run["incident_id"]]
    starts = [r for r in here.daemon.items("/api/v1/audit") if r["kind"] == "daemon.started"]
    assert len(starts) == 2, "the daemon was killed once"
    here.audit_is_whole()


def test_killed_while_it_waits_for_a_yes(scene: SceneFactory) -> None:
    here = scene({"scale-out": SCALE_OUT})
    before = here.generation()
    here.service.load(BUSY)
    message = here.people.asked()
    asked = here.wait_run("awaiting_approval")["approval"]
    here.told_on_record()

    here.daemon.kill()
    with pytest.raises(ClientError):
        here.people.click(message, "Approve")  # Slack shows a warning sign
    here.daemon.start()
    assert here.wait_run("awaiting_approval")["approval"] == asked
    assert here.people.click(message, "Approve").acknowledged
    run = here.wait_run("succeeded")

    assert (here.generation(), here.replica_sets()) == (before + 1, {GOOD: 3})
    here.people.told(message, "Succeeded")
    assert here.people.messages == [message]
    _check_once(here, run, test_latency.STORY, "scale")


def test_an_alert_that_ends_while_the_daemon_is_dead(scene: SceneFactory) -> None:
    here = scene({"scale-out": SCALE_OUT})
    before = here.generation()
    here.service.load(BUSY)
    message = here.people.asked()
    here.told_on_record()

    here.daemon.kill()
    here.service.load(CALM)
    (alertmanager,) = here.alertmanagers
    eventually(lambda: not alertmanager.alerts(), what="Alertmanager to know that it is over")
    here.daemon.start()
    run = here.wait_run("cancelled")

    assert run["reason"] == "resolved_by_itself"
    here.people.told(message, "Cancelled", "No longer asked")
    assert (here.generation(), here.replica_sets()) == (before, {GOOD: 2})
    assert len(here.resolved_incidents()) == 1
    here.audit_is_whole()


@pytest.mark.parametrize("moment", ["applying", "verifying"])
def test_killed_in_the_middle_of_a_scale_out(scene: SceneFactory, moment: str) -> None:
    here = scene({"scale-out": SCALE_OUT}, ready_s=SLOW_PODS_S, keeps_firing="4s")
    before = here.generation()
    here.service.load(BUSY)
    message = here.people.asked()
    assert here.people.click(message, "Approve").acknowledged
    here.wait_run(moment, check=_started if moment == "applying" else lambda run: True)

    here.daemon.restart()
    run = here.wait_run("succeeded")

    assert (here.generation(), here.replica_sets()) == (before + 1, {GOOD: 3})
    here.people.told(message, "Succeeded")
    assert here.people.messages == [message]
    assert here.people.thread(message)[-1] == "🔹 the alert cleared"
    _check_once(here, run, test_latency.STORY, "scale")


@pytest.mark.parametrize("moment", ["applying", "verifying"])
def test_killed_in_the_middle_of_a_roll_back(scene: SceneFactory, moment: str) -> None:
    here = scene({"roll-back": ROLL_BACK}, ready_s=SLOW_PODS_S, keeps_firing="4s")
    before = here.generation()
    here.release(BAD)
    here.wait_run(moment, check=_started if moment == "applying" else lambda run: True)

    here.daemon.restart()
    run = here.wait_run("succeeded")

    assert here.image() == GOOD
    assert (here.generation(), here.replica_sets()) == (before + 2, {GOOD: 2, BAD: 0})
    (message,) = here.people.messages
    here.people.told(message, "Succeeded")
    _check_once(here, run, test_release.STORY, "roll-back")
