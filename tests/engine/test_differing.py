"""Proves that a diff of plans tells all that the digest covers, in as many lines as people read."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from remediator.engine import differing
from remediator.model.plans import Change, Impact, Plan, Target, WayBack

PLAN = Plan(
    action="kubernetes.scale",
    target=Target("kubernetes", "Deployment", "shop", "api", uid="u-1"),
    changes=(Change("spec.replicas", 4, 6), Change("spec.paused", False, True)),
    impact=Impact(pods=2, of_pods=6, replicas=6),
    summary="replicas 4 → 6",
    way_back=WayBack("replicas 6 → 4"),
)

_VALUES = st.sampled_from([0, 1, "1", None, "none"])
_CHANGES = st.lists(
    st.builds(Change, st.sampled_from(["a", "b"]), _VALUES, _VALUES),
    max_size=3,
    unique_by=lambda one: one.path,
).map(tuple)
_PLANS = st.builds(
    Plan,
    action=st.sampled_from(["one", "other"]),
    target=st.builds(
        Target,
        st.sampled_from(["kubernetes", "host"]),
        st.sampled_from(["Deployment", "Pod"]),
        st.sampled_from(["shop", "pay"]),
        st.sampled_from(["api", "web"]),
        st.sampled_from(["", "u-1", "u-2"]),
    ),
    changes=_CHANGES,
    impact=st.builds(
        Impact,
        pods=st.integers(0, 3),
        of_pods=st.integers(3, 4),
        nodes=st.integers(0, 1),
        replicas=st.none() | st.integers(1, 3),
        down=st.none() | st.integers(0, 1),
    ),
    summary=st.just("s"),
    lasts=st.none() | st.sampled_from([timedelta(minutes=1), timedelta(hours=1)]),
)


def test_what_is_as_before_has_no_lines() -> None:
    drifted = replace(PLAN, details={"resourceVersion": "7"}, summary="in other words")
    assert differing.lines({"scale": PLAN}, {"scale": drifted}) == ()
    assert differing.lines({}, {"scale": PLAN}) == ()


def test_each_part_that_is_different_is_told_with_what_it_was() -> None:
    now = replace(
        PLAN,
        changes=(Change("spec.replicas", 5, 8), PLAN.changes[1]),
        impact=Impact(pods=3, of_pods=8, replicas=8),
        lasts=timedelta(hours=1),
    )
    assert differing.lines({"scale": PLAN}, {"scale": now}) == (
        "  scale: deployment shop/api",
        "- spec.replicas: 4 → 6",
        "+ spec.replicas: 5 → 8",
        "- impact: 2 pods of 6 (33%)",
        "+ impact: 3 pods of 8 (38%)",
        "- replicas after it: 6",
        "+ replicas after it: 8",
        "+ taken back after 1h",
    )


def test_another_object_of_the_same_name_is_told() -> None:
    again = replace(PLAN, target=replace(PLAN.target, uid="u-2"))
    assert differing.lines({"scale": PLAN}, {"scale": again}) == (
        "  scale: deployment shop/api",
        "- object u-1",
        "+ object u-2",
    )


def test_a_step_that_was_not_asked_for_before_is_new() -> None:
    found = differing.lines({"scale": PLAN}, {"scale": PLAN, "restart": PLAN})
    assert found == ("+ restart: deployment shop/api: replicas 4 → 6",)


def test_nobody_reads_a_hundred_lines() -> None:
    many = replace(PLAN, changes=tuple(Change(f"p{n}", 0, 1) for n in range(60)))
    found = differing.lines({"scale": PLAN}, {"scale": many})
    assert len(found) == differing.MOST_LINES
    assert found[-1] == "  and 24 lines more"


@settings(max_examples=400)
@example(PLAN, replace(PLAN, impact=replace(PLAN.impact, down=2)))
@example(
    replace(PLAN, impact=Impact(of_pods=6)),
    replace(PLAN, impact=Impact(of_pods=7)),
)
@example(
    replace(PLAN, changes=(Change("a", 0, 1),)),
    replace(PLAN, changes=(Change("a", 0, "1"),)),
)
@given(_PLANS, _PLANS)
def test_plans_with_other_digests_never_look_alike(one: Plan, other: Plan) -> None:
    found = differing.lines({"a": one}, {"a": other})
    assert bool(found) == (one.digest != other.digest)
    if found:
        assert len(found) > 1, "a head alone says nothing"
