"""The API server refuses, is slow, breaks off in the middle of an apply, or is gone.

Whatever it is: the change is made once. A refusal that passes (409, 429, 5xx) and a connection that
breaks are tried again as the step's `retry` says, 429 not before its Retry-After; the daemon then
compares the world with its plan, so that what had been done is not done again. Without another try
the run goes wrong, and takes back what it finds done, once. While nothing is changed yet, it waits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.actions.kubernetes import loopback
from tests.actions.kubernetes.loopback import Strike, refused
from tests.actions.kubernetes.worlds import deployment
from tests.crash.rig import Rig
from tests.faults.front import Front
from tests.scenarios.scene import rollout_is_whole
from tests.servers.fixtures import new_namespace
from tests.servers.kubernetes import ControlPlane
from tests.servers.waiting import eventually

RETRY_AFTER_S = 3
BACKOFF_S = 1
TIMEOUT_S = 2.0
LONG_ENOUGH_S = 2
"""To be seen waiting, on a machine that is busy with tests."""

_BOOK = """
name: NAME
description: Scales a Deployment out.
match: ['alertname="Broken", book="NAME"']
mode: auto
steps:
  - id: scale
    action: kubernetes.scale
    retry: {attempts: ATTEMPTS, backoff: 1s}
    with: {namespace: NAMESPACE, deployment: "${{ labels.case }}", to: 2, max: 5}
verify: {resolved_within: VERIFY}
on_failure: {undo: true}
"""
_PATIENT, _ONCE, _FUTILE = "patient", "once", "futile"


def _books(namespace: str) -> str:
    texts = [
        _BOOK.replace("NAMESPACE", namespace)
        .replace("NAME", name)
        .replace("ATTEMPTS", str(attempts))
        .replace("VERIFY", verify)
        for name, attempts, verify in ((_PATIENT, 3, "60s"), (_ONCE, 1, "60s"), (_FUTILE, 3, "1s"))
    ]
    return "---".join(texts)


@dataclass(frozen=True)
class Fault:
    """What happens to the write, how often, and how many writes there are at the least."""

    strike: Strike
    times: int = 1
    writes: int = 2
    apart_s: float = 0.0
    """The least time between the first write and the last."""


FAULTS = {
    "conflict": Fault(refused(409, "Conflict"), times=2, writes=3),
    "conflicts": Fault(refused(409, "Conflict"), times=6, writes=7, apart_s=2),
    "throttled": Fault(
        refused(429, "TooManyRequests", Retry_After=str(RETRY_AFTER_S)), apart_s=RETRY_AFTER_S
    ),
    "error": Fault(refused(500, "InternalError"), times=2, writes=3, apart_s=3 * BACKOFF_S),
    "lost-request": Fault(loopback.lost_request, apart_s=BACKOFF_S),
    "lost-answer": Fault(loopback.lost_answer, writes=1),
    "half-answer": Fault(loopback.half_answer, writes=1),
    "no-answer": Fault(loopback.no_answer, writes=1),
}
WITHOUT_RETRY = {"lost-answer": 2, "no-answer": 2, "lost-request": 0, "error": 0}
"""How many changes are made when the run goes wrong at once: the one, where it had been made, and
the way back."""


class Shop:
    """A daemon, its way to the API server, and a Deployment for each case."""

    def __init__(self, rig: Rig, front: Front, cp: ControlPlane, namespace: str) -> None:
        self.rig, self.front, self.cp, self.namespace = rig, front, cp, namespace

    def deploy(self, name: str, **spec: Any) -> None:
        self.cp.apply(deployment(name, self.namespace, replicas=1, spec=spec))
        eventually(lambda: rollout_is_whole(self.deployment(name)), what=f"the pods of {name}")

    def deployment(self, name: str) -> Any:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}"
        answer = self.cp.api("GET", path)
        assert answer.status == 200, answer.text
        return answer.json()

    def fire(self, case: str, book: str) -> None:
        self.rig.send(case, "firing", book=book)

    def whole(self, case: str, *, changes: int, replicas: int) -> None:
        """The spec was changed so often, by anybody; and all that holds after every fault."""
        after = self.deployment(case)
        assert after["metadata"]["generation"] == 1 + changes, after
        assert after["spec"]["replicas"] == replicas
        self.rig.check_whole({case: min(changes, 1)})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, control_plane: ControlPlane) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("api-server")
    with new_namespace(control_plane) as namespace, Front(control_plane, folder) as front:
        rig = Rig(
            folder / "rig",
            _books(namespace),
            settings={"kubernetes": {"kubeconfig": str(front.kubeconfig), "timeout_s": TIMEOUT_S}},
        )
        with rig.daemon:
            yield Shop(rig, front, control_plane, namespace)


@pytest.fixture(autouse=True)
def calm(shop: Shop) -> Iterator[None]:
    yield
    shop.front.calm()


@pytest.mark.parametrize("name", FAULTS)
def test_a_change_is_made_once(shop: Shop, name: str) -> None:
    fault = FAULTS[name]
    shop.deploy(name)
    before, made = len(shop.front.written_at), shop.front.made
    shop.front.strike(fault.strike, times=fault.times)
    shop.fire(name, _PATIENT)
    if fault.apart_s >= LONG_ENOUGH_S:
        shop.rig.until("applying", reason="step_retry")
    acts = {"verifying": lambda run: shop.rig.send(name, "resolved", book=_PATIENT)}
    carried = shop.rig.carry(name, acts, lives=0, book=_PATIENT)
    assert carried.run["state"] == "succeeded", carried
    writes = shop.front.written_at[before:]
    assert len(writes) >= fault.writes, writes
    assert shop.front.made == made + 1
    assert writes[-1] - writes[0] >= fault.apart_s
    shop.whole(name, changes=1, replicas=2)


@pytest.mark.parametrize("name", WITHOUT_RETRY)
def test_without_another_try_what_was_done_is_taken_back_once(shop: Shop, name: str) -> None:
    case = f"once-{name}"
    shop.deploy(case)
    made = shop.front.made
    shop.front.strike(FAULTS[name].strike)
    carried = shop.rig.carry(case, lives=0, book=_ONCE)
    assert carried.run["state"] == "rolled_back", carried
    assert shop.front.made == made + WITHOUT_RETRY[name]
    shop.whole(case, changes=WITHOUT_RETRY[name], replicas=1)


@pytest.mark.parametrize("how", ["stopped", "refusing"])
def test_before_a_change_it_is_waited_for(shop: Shop, how: str) -> None:
    case = f"before-{how}"
    shop.deploy(case)
    before = len(shop.front.written_at)
    if how == "stopped":
        shop.cp.stop_apiserver()
    else:
        shop.front.strike(refused(503, "ServiceUnavailable"), times=10**6, reads_too=True)
    try:
        shop.fire(case, _PATIENT)
        shop.rig.until("pending", "planning", reason="unreachable")
        assert len(shop.front.written_at) == before
    finally:
        if how == "stopped":
            shop.cp.start_apiserver()
        shop.front.calm()
    acts = {"verifying": lambda run: shop.rig.send(case, "resolved", book=_PATIENT)}
    carried = shop.rig.carry(case, acts, lives=0, book=_PATIENT)
    assert carried.run["state"] == "succeeded", carried
    shop.whole(case, changes=1, replicas=2)


def test_a_target_that_can_not_be_seen_may_still_get_well(shop: Shop) -> None:
    case = "settling"
    shop.deploy(case, minReadySeconds=3)
    shop.fire(case, _PATIENT)
    eventually(lambda: shop.deployment(case)["spec"]["replicas"] == 2, what="the change")
    shop.cp.stop_apiserver()
    try:
        assert shop.rig.run_of()["state"] == "applying"
    finally:
        shop.cp.start_apiserver()
    acts = {"verifying": lambda run: shop.rig.send(case, "resolved", book=_PATIENT)}
    carried = shop.rig.carry(case, acts, lives=0, book=_PATIENT)
    assert carried.run["state"] == "succeeded", carried
    shop.whole(case, changes=1, replicas=2)


def test_the_way_back_waits_for_it(shop: Shop) -> None:
    case = "back"
    shop.deploy(case)
    shop.fire(case, _FUTILE)
    shop.rig.until("verifying")
    shop.front.strike(refused(500, "InternalError"), times=10**6, reads_too=True)
    struck = shop.front.struck
    eventually(lambda: shop.front.struck > struck + 3, what="the way back to be tried often")
    assert shop.rig.run_of()["state"] == "undoing"
    shop.front.calm()
    carried = shop.rig.carry(case, lives=0, book=_FUTILE)
    assert carried.run["state"] == "rolled_back", carried
    shop.whole(case, changes=2, replicas=1)
