"""`per: group`: one run for the group, about those of its alerts that the runbook matches."""

from remediator.engine.reconcile import Reconciler
from remediator.model.alerts import Alert, AlertStatus, Notification, fingerprint
from remediator.model.incidents import IncidentStatus
from remediator.model.runs import RunState
from tests.engine.conftest import Begin, Scene
from tests.engine.world import runbook, setting

BY_NAME = {"alertname": "Broken"}
VERIFY = {"resolved_within": "10m"}
PATIENT = runbook(setting("a", 1), per="group", wait_for="5m", verify=VERIFY)
AT_ONCE = runbook(setting("a", 1), per="group", verify=VERIFY)


def member(scene: Scene, instance: str, *, firing: bool = True, name: str = "Broken") -> Alert:
    """One alert of the group, as Alertmanager has it from now on."""
    labels = {"alertname": name, "instance": instance}
    now = scene.daemon.clock.now()
    status = AlertStatus.FIRING if firing else AlertStatus.RESOLVED
    alert = Alert(status, labels, {}, now, None if firing else now, "", fingerprint(labels))
    if firing:
        scene.daemon.alerts.fire(alert)
    else:
        scene.daemon.alerts.clear(labels)
    return alert


async def notify(
    scene: Scene,
    *alerts: Alert,
    by: dict[str, str] = BY_NAME,
    receiver: str = "ops",
    key: str = "{}",
    truncated: int = 0,
    burns: bool | None = None,
) -> None:
    """Let the group's notification arrive."""
    firing = any(a.firing for a in alerts) if burns is None else burns
    common = set.intersection(*(set(a.labels.items()) for a in alerts))
    await scene.daemon.take(
        Notification(
            receiver=receiver,
            status=AlertStatus.FIRING if firing else AlertStatus.RESOLVED,
            group_key=key,
            group_labels=by,
            common_labels=dict(common),
            common_annotations={},
            external_url="",
            alerts=alerts,
            truncated=truncated,
        )
    )


async def test_another_member_that_still_fires_keeps_the_run(begin: Begin) -> None:
    scene = await begin(PATIENT, fire=False)
    one = member(scene, "1")
    await notify(scene, one)
    await scene.advance(minutes=1)
    two = member(scene, "2")
    await notify(scene, one, two)
    await notify(scene, member(scene, "1", firing=False), two)
    await scene.advance(minutes=5)
    assert scene.world.made == [("a", 0, 1)]
    assert await scene.state() is RunState.VERIFYING
    member(scene, "2", firing=False)
    await scene.advance(minutes=1)
    assert await scene.state() is RunState.SUCCEEDED


async def test_members_that_the_runbook_does_not_match_are_none_of_its_business(
    begin: Begin,
) -> None:
    scene = await begin(AT_ONCE, fire=False)
    other = member(scene, "9", name="Other")
    gone = member(scene, "1", firing=False)
    await notify(scene, gone, other, by={})
    assert await scene.daemon.runs() == ()
    await notify(scene, member(scene, "1"), other, by={})
    assert await scene.state() is RunState.VERIFYING
    member(scene, "1", firing=False)
    await scene.advance(minutes=1)
    assert await scene.state() is RunState.SUCCEEDED, "the other one still fires"


async def test_the_run_is_told_what_its_members_have_in_common(begin: Begin) -> None:
    scene = await begin(AT_ONCE, fire=False)
    other = member(scene, "9", name="Other")
    await notify(scene, member(scene, "1"), member(scene, "2"), other, by={})
    assert (await scene.run()).context["alert"]["labels"] == {"alertname": "Broken"}


async def test_the_same_group_under_two_keys_is_one_run(begin: Begin) -> None:
    scene = await begin(AT_ONCE, fire=False)
    one = member(scene, "1")
    await notify(scene, one, key='{}:{alertname="Broken"}')
    await notify(scene, one, key='{}/{team="a"}:{alertname="Broken"}')
    assert len(await scene.daemon.runs()) == 1


async def test_groups_of_two_receivers_are_two(begin: Begin) -> None:
    scene = await begin(PATIENT, fire=False)
    one = member(scene, "1")
    await notify(scene, one, receiver="warnings")
    await notify(scene, member(scene, "1", firing=False), receiver="criticals")
    assert await scene.state() is RunState.PENDING


async def test_a_truncated_group_ends_when_it_says_so(begin: Begin) -> None:
    scene = await begin(PATIENT, fire=False)
    await notify(scene, member(scene, "1"))
    member(scene, "2")  # in the tail that is dropped
    await notify(scene, member(scene, "1", firing=False), truncated=1, burns=True)
    await scene.advance(minutes=6)
    assert scene.world.made == [("a", 0, 1)]


async def test_the_end_of_one_alert_is_not_the_end_of_its_group(begin: Begin) -> None:
    single = runbook(setting("b", 1), name="single", wait_for="5m")
    scene = await begin(PATIENT, single, fire=False)
    await notify(scene, member(scene, "1"), member(scene, "2"), by={})
    member(scene, "1", firing=False)
    await scene.advance(minutes=1)
    daemon = scene.daemon
    reconciler = Reconciler(daemon.journal, daemon.intake, daemon.alerts, daemon.clock)
    assert await reconciler.close_what_ended() == 1
    await daemon.settle()
    states = {
        (r.runbook, r.context["alert"]["labels"].get("instance")): r.state
        for r in await daemon.runs()
    }
    assert states == {
        ("single", "1"): RunState.CANCELLED,
        ("single", "2"): RunState.PENDING,
        ("repair", None): RunState.PENDING,
    }
    open_ones = (await daemon.journal.incidents(status=IncidentStatus.OPEN)).items
    assert len(open_ones) == 2
