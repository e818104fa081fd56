"""High latency, on real servers: the service is scaled out after a person's yes, and gets fast.

Proves the whole way: Prometheus measures → Alertmanager notifies → the daemon plans, asks in Slack,
scales and watches → the real controllers make pods → the service is measured to be fast → resolved.
And that nothing is changed when the alert ends before somebody has said yes, or while nobody can
tell whether it still fires.
"""

from tests.scenarios.books import SCALE_OUT
from tests.scenarios.conftest import SceneFactory
from tests.scenarios.people import ALICE, MALLORY
from tests.scenarios.scene import BUSY, CALM, USER, in_order
from tests.servers.waiting import eventually

STORY = [
    "None → pending: new",
    "pending → planning: new",
    "run.planned",
    "approval.asked",
    "planning → awaiting_approval: mode_approve",
    "awaiting_approval → applying: approved",
    f"approval.decision approve by slack:{ALICE}: approved",
    "step.started scale",
    "step.done scale",
    "applying → verifying: watching",
    "verifying → succeeded: verified",
]


def test_a_click_scales_out_and_the_service_gets_fast(scene: SceneFactory) -> None:
    here = scene({"scale-out": SCALE_OUT})
    before = here.generation()
    here.service.load(BUSY)

    message = here.people.asked()
    for words in (
        "replicas 2 → 3",
        "1 pod, 0 of 2 down at once (0%)",
        "Way back: replicas 3 → 2",
        "HighLatency",
    ):
        assert words in message.words.replace("*", "")
    assert here.generation() == before, "something was changed before anybody said yes"
    stranger = here.people.click(message, "Approve", user=MALLORY)
    assert stranger.acknowledged
    assert here.wait_run("awaiting_approval")["approval"]["decisions"] == []

    assert here.people.click(message, "Approve").acknowledged
    run = here.wait_run("succeeded")

    # the world
    assert here.alert() is None, "the run succeeded while Prometheus still sees the latency"
    assert (here.generation(), here.replica_sets()) == (before + 1, {"app:good": 3})
    writers = {entry["manager"] for entry in here.deployment()["metadata"]["managedFields"]}
    assert USER in writers
    # the record
    assert here.trail(run["id"]) == [
        *STORY[:5],
        "approval.not_authorised",
        *STORY[5:],
    ]
    assert here.ended() == {"succeeded/verified": 1}
    assert here.metric("remediator_approvals_total", outcome="approved") == 1
    assert here.metric("remediator_approvals_total", outcome="not_authorised") == 1
    assert here.metric("remediator_steps_total", action="kubernetes.scale", result="done") == 1
    (incident,) = here.resolved_incidents()
    assert incident["id"] == run["incident_id"]
    # the channel
    told = here.people.told(message, "Succeeded", "replicas: 2 → 3", f"@{ALICE} approved")
    assert "Approval needed" not in told
    assert here.people.messages == [message], "one message for the run, edited in place"
    here.people.read(
        message,
        f"🔹 Approved by @{ALICE}",
        f"🔧 scale: deployment {here.namespace}/api is scaling: replicas 2 → 3; "
        f"deployment {here.namespace}/api: 3 of 3 pods available",
        "🔹 every step is done: watching for up to 20s whether it helped",
        "🔹 the alert cleared",
    )
    here.audit_is_whole()


def test_an_alert_that_ends_before_the_yes_changes_nothing(scene: SceneFactory) -> None:
    here = scene({"scale-out": SCALE_OUT})
    before = here.generation()
    here.service.load(BUSY)
    message = here.people.asked()
    screen = message.as_seen()

    here.service.load(CALM)
    run = here.wait_run("cancelled")
    assert run["reason"] == "resolved_by_itself"
    assert run["approval"]["status"] == "void"
    here.people.told(message, "Cancelled", "resolved by itself", "No longer asked")

    late = here.people.click(screen, "Approve")
    assert late.acknowledged
    eventually(
        lambda: "no longer stands" in here.people.slack.private[-1].text,
        what="the late click to be answered",
    )
    assert here.wait_run("cancelled")["steps"][0]["changed"] is False
    assert (here.generation(), here.replica_sets()) == (before, {"app:good": 2})
    assert here.ended() == {"cancelled/resolved_by_itself": 1}
    assert here.trail(run["id"]) == [
        *STORY[:5],
        "awaiting_approval → cancelled: resolved_by_itself",
        f"approval.decision approve by slack:{ALICE}: void",
    ]
    assert len(here.resolved_incidents()) == 1
    here.people.read(message, "🔹 The alert resolved by itself before anything was changed")
    here.audit_is_whole()


def test_while_alertmanager_is_out_of_reach_nothing_is_changed(scene: SceneFactory) -> None:
    here = scene({"scale-out": SCALE_OUT})
    before = here.generation()
    (alertmanager,) = here.recheck

    alertmanager.cut()
    here.service.load(BUSY)
    held = here.wait_run("pending", check=lambda run: run["reason"] == "signal_unknown")
    assert "no Alertmanager" in held["message"]
    assert not any(one.buttons for one in here.people.messages)

    alertmanager.heal()
    message = here.people.asked()
    alertmanager.cut()
    assert here.people.click(message, "Approve").acknowledged
    held = here.wait_run("applying", check=lambda run: run["reason"] == "signal_unknown")
    assert held["steps"][0]["state"] == "planned"
    assert (here.generation(), here.replica_sets()) == (before, {"app:good": 2})

    alertmanager.heal()
    run = here.wait_run("succeeded")
    assert (here.generation(), here.replica_sets()) == (before + 1, {"app:good": 3})
    assert in_order(STORY, here.trail(run["id"]))
    assert here.trail(run["id"]).count("step.started scale") == 1
    here.people.told(message, "Succeeded")
    here.audit_is_whole()
