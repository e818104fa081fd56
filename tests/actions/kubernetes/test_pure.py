"""Proves the decisions that need no cluster: amounts, templates, choices, conflicts, ownership."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from remediator.actions.kubernetes import amounts, ownership, rollout, templates
from remediator.actions.kubernetes.cluster import carry_out
from remediator.actions.kubernetes.parameters import ScalableParams
from remediator.actions.kubernetes.revisions import Revision, bad_releases, choose, withdrawn
from remediator.actions.kubernetes.scale import Scale, ScaleParams
from remediator.actions.kubernetes.workload import Workload
from remediator.clients.errors import Conflict
from remediator.clients.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    STATEFUL_SETS,
    Resource,
)
from remediator.plugin import registry
from remediator.plugin.action import Permanent, Stale, Temporary

# --- amounts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "step", "after"),
    [(4, "+50%", 6), (3, "+50%", 5), (1, "+10%", 2), (4, "-50%", 2), (1, "-1%", 0), (4, "+2", 6)],
)
def test_a_step_is_taken_from_the_present_count(current: int, step: str, after: int) -> None:
    assert amounts.stepped(current, step) == after


@pytest.mark.parametrize("text", ["2", "50%", "+0", "+5000%", "-101%", "+1.5", "++1", "", True, 0])
def test_what_is_no_step_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"write \+2, -1 or \+50%|out of range"):
        amounts.parse_step(text)


@given(
    current=st.integers(0, 500),
    size=st.integers(1, 900),
    percent=st.booleans(),
    up=st.booleans(),
    least=st.none() | st.integers(0, 300),
    most=st.none() | st.integers(0, 300),
)
def test_bounds_never_turn_a_step_round(
    current: int, size: int, percent: bool, up: bool, least: int | None, most: int | None
) -> None:
    assume(least is None or most is None or least <= most)  # as the parameters demand
    step = f"{'+' if up else '-'}{min(size, 100) if percent else size}{'%' if percent else ''}"
    after = amounts.wanted(current, to=None, by=amounts.parse_step(step), least=least, most=most)
    assert after >= current if up else after <= current
    if most is not None and up:
        assert after <= max(most, current)
    if least is not None and not up:
        assert after >= min(least, current)


def test_yaml_reads_plus_two_as_a_number() -> None:
    params = ScaleParams(namespace="shop", deployment="api", by=2)
    assert params.by == "+2"


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({}, "either to or by"),
        ({"to": 1, "by": "+1"}, "either to or by"),
        ({"to": 1, "min": 3, "max": 2}, "min 3 is greater than max 2"),
        ({"to": -1}, "greater than or equal to 0"),
        ({"to": 1, "hold": "0s"}, "longer than nothing"),
        ({"to": 1, "statefulset": "db"}, "deployment and statefulset"),
        ({"to": 1, "replicas": 2}, "Extra inputs"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        ScaleParams(**{"namespace": "shop", "deployment": "api", **params})


def test_the_registry_finds_them() -> None:
    found = registry.load(("remediator.actions.kubernetes",), third_party=False)
    assert sorted(found.operations) == [
        "kubernetes.condition",
        "kubernetes.delete_pod",
        "kubernetes.rollout_restart",
        "kubernetes.rollout_undo",
        "kubernetes.scale",
    ]


def test_rules_for_a_namespace_that_only_the_alert_knows_hold_everywhere() -> None:
    unknown = ScaleParams.model_construct(
        namespace="${{ labels.namespace }}", deployment="${{ vars.name }}", by="+1"
    )
    rules = Scale().permissions(unknown)
    assert {rule.scope for rule in rules} == {"*"}
    assert ("apps/deployments/scale", ("patch",)) in [(r.resource, r.verbs) for r in rules]


# --- names -------------------------------------------------------------------------------------


@given(st.text(max_size=60))
def test_a_label_reaches_no_other_path(text: str) -> None:
    """Whatever an alert's label says, it stays one part of the path, or is refused before."""
    path = PODS.path("shop", text or "x")
    assert path.count("/") == 6
    assert "?" not in path
    assert "#" not in path


@pytest.mark.parametrize("name", ["", "API", "a/b", "..", "-a", "a" * 254, "a b", "${{ x }}"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no Kubernetes name"):
        ScalableParams(namespace="shop", deployment=name)


# --- templates ---------------------------------------------------------------------------------


def _template(image: str = "app:v1", **metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": image}]}}


def test_templates_are_the_same_apart_from_what_controllers_add() -> None:
    plain = _template(labels={"app": "api"})
    hashed = _template(labels={"app": "api", "pod-template-hash": "5d4f"}, creationTimestamp=None)
    replaced = {**_template(labels={"app": "api"}, annotations={}), "$patch": "replace"}
    assert len({templates.fingerprint(t) for t in (plain, hashed, replaced)}) == 1
    assert templates.fingerprint(plain) != templates.fingerprint(_template("app:v2"))


def test_many_differences_are_said_in_one_line() -> None:
    before = _template(annotations={f"key-{n}": "old" for n in range(40)})
    after = _template(annotations={f"key-{n}": "new" for n in range(40)})
    found = templates.differences(before, after)
    assert len(found) == 21
    assert found[-1].before == "20 more values"


# --- revisions ---------------------------------------------------------------------------------


def _revision(number: int, available: int = 0) -> Revision:
    template = _template(f"app:v{number}")
    return Revision(
        name=f"api-{number}",
        number=number,
        hash=f"h{number}",
        template=template,
        fingerprint=templates.fingerprint(template),
        release=templates.release(template),
        first=("", number),
        available=available,
    )


def _workload() -> Workload:
    metadata = {"name": "api", "namespace": "shop", "uid": "u"}
    return Workload(DEPLOYMENTS, {"metadata": metadata, "spec": {"template": _template("app:v9")}})


@given(bad_numbers=st.sets(st.integers(1, 4)), serving=st.sets(st.integers(1, 4)))
def test_no_choice_is_ever_a_bad_release(bad_numbers: set[int], serving: set[int]) -> None:
    bad = {_revision(number).release for number in bad_numbers}
    known = [_revision(number, int(number in serving)) for number in (5, 4, 3, 2, 1)]
    good = [revision for revision in known[1:] if revision.release not in bad]
    if not good:
        with pytest.raises(Permanent, match="known as bad"):
            choose(_workload(), known, known[0], bad, None)
        return
    chosen = choose(_workload(), known, known[0], bad, None).revision
    assert chosen.release not in bad
    if any(revision.available for revision in good):
        assert chosen.available
    else:
        assert chosen is good[0]


def test_a_restart_is_the_same_release() -> None:
    plain = _template(labels={"app": "api"})
    restarted = _template(
        labels={"app": "api", "pod-template-hash": "5d4f"},
        annotations={templates.RESTARTED_AT: "2026-01-01T00:00:00Z"},
    )
    assert templates.fingerprint(plain) != templates.fingerprint(restarted)
    assert templates.release(plain) == templates.release(restarted)
    annotated = _template(labels={"app": "api"}, annotations={"checksum/config": "1"})
    assert templates.release(plain) != templates.release(annotated)


def test_what_was_withdrawn_is_bad_no_longer_until_it_is_bad_again() -> None:
    """Facts come newest first."""
    assert bad_releases([withdrawn("r2"), "r2", "r1"]) == {"r1"}
    assert bad_releases(["r2", withdrawn("r2")]) == {"r2"}


@pytest.mark.parametrize("numbers", [(3, 2), (4, 3, 2)])
def test_what_somebody_has_rolled_back_from_is_left_behind(numbers: tuple[int, ...]) -> None:
    """v1 is in use again under a new number; the revisions between came after it."""
    now = replace(_revision(9), first=("", 1))
    later = [_revision(number) for number in numbers]
    with pytest.raises(Permanent, match=r"left behind; to go forward to it, write to_revision"):
        choose(_workload(), [now, *later], now, (), None)
    assert choose(_workload(), [now, *later], now, (), 2).revision is later[-1]
    older = replace(_revision(1), first=("", 0))
    chosen = choose(_workload(), [now, *later, older], now, (), None)
    assert chosen.revision is older
    assert "newer and was left behind" in chosen.why


# --- how much is down at once ------------------------------------------------------------------


def _rolling(resource: Resource, pods: int, **rolling: Any) -> Workload:
    key = "strategy" if resource is DEPLOYMENTS else "updateStrategy"
    spec = {"replicas": pods, key: {"type": "RollingUpdate", "rollingUpdate": rolling}}
    return Workload(
        resource, {"metadata": {}, "spec": spec, "status": {"desiredNumberScheduled": pods}}
    )


@pytest.mark.parametrize(
    ("workload", "down"),
    [
        (_rolling(DEPLOYMENTS, 10, maxUnavailable="25%", maxSurge="25%"), 2),
        (_rolling(DEPLOYMENTS, 3), 0),
        (_rolling(DEPLOYMENTS, 1), 0),
        (_rolling(DEPLOYMENTS, 1, maxUnavailable=1, maxSurge=0), 1),
        (_rolling(DEPLOYMENTS, 1, maxUnavailable="25%", maxSurge="0%"), 1),
        (_rolling(DEPLOYMENTS, 2, maxUnavailable=5), 2),
        (_rolling(DEPLOYMENTS, 0), 0),
        (_rolling(STATEFUL_SETS, 3), 1),
        (_rolling(STATEFUL_SETS, 3, partition=3), 0),
        (_rolling(STATEFUL_SETS, 10, maxUnavailable="30%"), 3),
        (_rolling(DAEMON_SETS, 150, maxUnavailable="10%"), 15),
        (_rolling(DAEMON_SETS, 3, maxUnavailable="10%"), 1),
        (_rolling(DAEMON_SETS, 3, maxUnavailable=0, maxSurge=1), 0),
        (Workload(DEPLOYMENTS, {"spec": {"replicas": 4, "strategy": {"type": "Recreate"}}}), 4),
    ],
)
def test_as_many_pods_are_down_at_once_as_controllers_take_down(
    workload: Workload, down: int
) -> None:
    assert rollout.down_at_once(workload) == down


# --- conflicts ----------------------------------------------------------------


class Register:
    """A value with a version; somebody else may write between our look and our write."""

    def __init__(self, value: int, theirs: list[int]) -> None:
        self.value = value
        self.theirs = theirs
        self.writes = 0

    async def read(self) -> int:
        return self.value

    async def write(self, seen: int) -> None:
        self.writes += 1
        if self.theirs:
            self.value = self.theirs.pop(0)
            raise Conflict("the object has changed")
        self.value = 6

    @staticmethod
    def done(seen: int) -> bool:
        if seen not in (4, 6):
            raise Stale("neither")
        return seen == 6


async def test_a_conflict_is_read_again_and_never_forced() -> None:
    status_only = Register(4, theirs=[4])
    assert await carry_out(status_only.read, status_only.done, status_only.write)
    assert (status_only.value, status_only.writes) == (6, 2)

    same_change = Register(4, theirs=[6])
    assert not await carry_out(same_change.read, same_change.done, same_change.write)
    assert same_change.writes == 1

    other_change = Register(4, theirs=[9])
    with pytest.raises(Stale):
        await carry_out(other_change.read, other_change.done, other_change.write)
    assert (other_change.value, other_change.writes) == (9, 1)

    busy = Register(4, theirs=[4] * 9)
    with pytest.raises(Temporary) as put_off:
        await carry_out(busy.read, busy.done, busy.write)
    assert put_off.value.after is not None
    assert (busy.value, busy.writes) == (4, 5)


# --- ownership ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, ""),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD .* shop"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:a/b"}}, "shop"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux .*Kustomization apps"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "web"}}, "Flux .*HelmRelease web"),
        (
            {
                "labels": {"app.kubernetes.io/instance": "shop"},
                "managedFields": [{"manager": "argocd-controller", "operation": "Update"}],
            },
            "Argo CD .*application shop",
        ),
        ({"managedFields": [{"manager": "argocd-application-controller"}]}, "Argo CD manages it"),
        ({"managedFields": [{"manager": "kustomize-controller"}]}, "Flux .*a Kustomization"),
        ({"managedFields": [{"manager": "helm-controller"}]}, "Flux .*a HelmRelease"),
        ({"labels": {"app.kubernetes.io/instance": "shop"}}, ""),
        ({"managedFields": [{"manager": "kubectl"}, {"manager": "remediator"}]}, ""),
        ({"annotations": {"meta.helm.sh/release-name": "web"}}, "Helm .*release web"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm manages it: its next"),
        (
            {
                "ownerReferences": [
                    {"apiVersion": "acme.io/v1", "kind": "Shop", "name": "s", "controller": True}
                ]
            },
            "Shop s controls it",
        ),
    ],
)
def test_who_may_put_it_back_is_said(metadata: dict[str, Any], said: str) -> None:
    note = ownership.note({"metadata": metadata})
    if not said:
        assert note == ""
    else:
        assert re.search(said, note)
