"""A cut network, on which packets are lost: to the API server, Alertmanager and Slack.

Nothing is refused and nothing answers. The daemon does not hang with it: each request ends by its
time-out, the run waits and says for what, other work goes on, and when packets arrive again all
goes on by itself, with one change and one message.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.actions.kubernetes.worlds import deployment
from tests.crash.fixtures import MakeRig
from tests.faults.books import book
from tests.faults.cable import Cable
from tests.faults.front import Front
from tests.faults.test_slack import retried
from tests.scenarios.people import People
from tests.scenarios.scene import rollout_is_whole
from tests.servers.alertmanager import Alertmanager, webhook_config
from tests.servers.kubernetes import ControlPlane
from tests.servers.rest import answers
from tests.servers.waiting import eventually

LayCable = Callable[[str], Cable]
TIMEOUT_S = 1.0

_SCALE = """
name: scale
description: Scales a Deployment out.
match: ['alertname="Broken", kind="cluster"']
mode: auto
steps:
  - id: scale
    action: kubernetes.scale
    retry: {attempts: 5, backoff: 1s}
    with: {namespace: NAMESPACE, deployment: "${{ labels.case }}", to: 2, max: 5}
"""


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[LayCable]:
    """`cable(url)` is a way to that server that can be cut."""
    with ExitStack() as stack:

        def lay(url: str) -> Cable:
            port = urlsplit(url).port
            assert port is not None
            return stack.enter_context(Cable(tmp_path / f"cable-{port}", port))

        yield lay


def test_the_api_server_is_cut_off_before_and_after_a_change(
    make_rig: MakeRig, cable: LayCable, tmp_path: Path, control_plane: ControlPlane, namespace: str
) -> None:
    def target() -> Any:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/api"
        return control_plane.api("GET", path).json()

    control_plane.apply(deployment("api", namespace, replicas=1, spec={"minReadySeconds": 2}))
    eventually(lambda: rollout_is_whole(target()), what="the first pod")
    with Front(control_plane, tmp_path / "front") as front:
        way = cable(front.url)
        settings = {
            "kubernetes": {"kubeconfig": str(front.through(way.address)), "timeout_s": TIMEOUT_S}
        }
        rig = make_rig(_SCALE.replace("NAMESPACE", namespace), settings=settings)
        way.cut()
        rig.send("api", "firing", kind="cluster")
        held = rig.until("pending", reason="unreachable")
        assert f"did not answer within {TIMEOUT_S:g} s" in held["message"]
        assert front.written_at == []
        assert answers(f"{rig.daemon.url}/-/ready"), "other work goes on"
        way.heal()
        eventually(lambda: target()["spec"]["replicas"] == 2, what="the change")
        way.cut()
        eventually(lambda: rollout_is_whole(target()), what="the new pod")
        assert rig.run_of()["state"] == "applying"
        way.heal()
        rig.until("succeeded")
        assert front.made == 1
        assert target()["metadata"]["generation"] == 2
        rig.check_whole({"api": 1})


def test_alertmanager_is_cut_off(make_rig: MakeRig, cable: LayCable, tmp_path: Path) -> None:
    # Notifications are none of this: they come another way.
    with Alertmanager(tmp_path / "alertmanager", webhook_config("http://127.0.0.1:1/")) as asked:
        asked.post_alerts([{"labels": {"alertname": "Broken", "case": "cut"}}])
        way = cable(asked.url)
        sender = {"alertmanager": [f"http://{way.address}"], "alertmanager_warmup": "0s"}
        rig = make_rig(book(), settings={"senders": {"default": sender}})
        way.cut()
        rig.send("cut", "firing")
        held = rig.until("pending", reason="signal_unknown")
        assert "no Alertmanager of this sender answers" in held["message"]
        assert rig.ledger() == []
        assert answers(f"{rig.daemon.url}/-/ready"), "other work goes on"
        way.heal()
        rig.until("succeeded")
        assert rig.ledger() == ["do cut"]
        rig.check_whole()


def test_slack_is_cut_off(make_rig: MakeRig, cable: LayCable) -> None:
    with People() as people:
        way = cable(people.slack.url)
        slack = {**people.settings()["slack"], "api_url": f"http://{way.address}/api/"}
        rig = make_rig(book("approve"), settings={**people.settings(), "slack": slack})
        people.answer_to(rig.daemon.url)
        way.cut()
        rig.send("cut", "firing")
        rig.until("awaiting_approval")
        eventually(lambda: retried(rig) >= 1, what="Slack to have been waited for in vain")
        assert rig.run_of()["state"] == "awaiting_approval"
        assert people.messages == []
        way.heal()
        message = people.asked(60)
        assert rig.ledger() == []
        assert people.click(message, "Approve").acknowledged
        rig.until("succeeded")
        people.told(message, "Succeeded")
        assert people.messages == [message]
        assert rig.ledger() == ["do cut"]
        rig.check_whole()
