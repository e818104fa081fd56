"""What Alertmanager's own trouble makes of an alert: sent twice, or not at all.

Proves that two Alertmanagers that do not hear each other make one incident and one run, and that
alerts which were cut off a notification (`max_alerts`) are fetched.
"""

from pathlib import Path

from tests.scenarios.books import LOOK, SCALE_OUT
from tests.scenarios.conftest import SceneFactory
from tests.scenarios.daemon import RemediatorProcess
from tests.scenarios.scene import BUSY
from tests.servers.alertmanager import Alertmanager, webhook_config
from tests.servers.waiting import eventually


def test_a_pair_that_is_cut_in_two_makes_one_run(scene: SceneFactory) -> None:
    here = scene({"scale-out": SCALE_OUT}, pair=True)
    assert here.pair is not None
    before = here.generation()
    here.pair.cut()
    here.pair.wait_members(1)
    here.service.load(BUSY)

    message = here.people.asked()
    eventually(
        lambda: here.metric("remediator_alerts_total", fate="refreshed") >= 1,
        what="the second Alertmanager's notification",
    )
    assert here.metric("remediator_alerts_total", fate="opened") == 1
    assert here.people.click(message, "Approve").acknowledged
    run = here.wait_run("succeeded")

    assert (here.generation(), here.replica_sets()) == (before + 1, {"app:good": 3})
    eventually(
        lambda: here.metric("remediator_alerts_total", fate="stale") >= 1,
        what="both to have said that it is resolved",
    )
    assert [one["id"] for one in here.incidents()] == [run["incident_id"]]
    assert [one["id"] for one in here.daemon.items("/api/v1/runs")] == [run["id"]]
    assert here.metric("remediator_alerts_total", fate="opened") == 1
    assert here.people.messages == [message]

    here.pair.heal()
    here.pair.wait_members(2)
    assert len(here.daemon.items("/api/v1/runs")) == 1
    here.audit_is_whole()


def test_alerts_that_were_cut_off_a_notification_are_fetched(tmp_path: Path) -> None:
    daemon = RemediatorProcess(tmp_path / "remediator", runbooks={"look": LOOK})
    config = webhook_config(daemon.webhook, max_alerts=1, group_interval="1h")
    shops = [f"shop-{number}" for number in range(5)]
    with Alertmanager(tmp_path / "alertmanager", config) as alertmanager:
        daemon.settings = {
            "senders": {"default": {"alertmanager": [alertmanager.url]}},
            "policy": {"mode": "auto"},
        }
        with daemon:
            labels = [{"alertname": "HighLatency", "namespace": shop} for shop in shops]
            alertmanager.post_alerts([{"labels": one} for one in labels])
            eventually(
                lambda: len(daemon.items("/api/v1/runs?state=succeeded")) == len(shops),
                what=f"a run for each alert; the log:\n{daemon.log_tail()}",
            )
            incidents = daemon.items("/api/v1/incidents")
            assert sorted(one["labels"]["namespace"] for one in incidents) == shops
            assert len(daemon.items("/api/v1/runs")) == len(shops)
            sent = [r for r in daemon.items("/api/v1/audit") if r["kind"] == "notification"]
            first, fetched = (record["details"] for record in sent)
            assert (first["source"], first["alerts"], first["truncated"]) == ("alertmanager", 1, 4)
            assert (fetched["source"], fetched["alerts"]) == ("reconcile", 5)
            assert fetched["fates"] == {"opened": 4, "refreshed": 1}
            verified = daemon.command("audit", "verify")
            assert verified.returncode == 0, verified.stderr
