"""Proves that a policy only tightens what a runbook asks of approvals."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from remediator.engine import terms
from remediator.model.approvals import OnExpiry, Terms
from remediator.model.limits import Approval
from remediator.model.policy import ApprovalTerms

MINUTE = timedelta(minutes=1)
_NAMES = st.lists(st.sampled_from(["sre", "dba", "api:al", "slack:U1"]), max_size=2).map(tuple)
_APPROVALS = st.builds(
    Approval,
    approvers=_NAMES,
    quorum=st.integers(1, 4),
    timeout=st.integers(10, 60).map(lambda m: m * MINUTE),
    four_eyes=st.booleans(),
    on_expiry=st.sampled_from(OnExpiry),
    remind=st.sampled_from([(), (MINUTE,), (MINUTE, 5 * MINUTE)]),
)
_BLOCKS = st.tuples(
    st.sampled_from(["one", "two", "three"]),
    st.builds(
        ApprovalTerms,
        approvers=_NAMES,
        quorum=st.none() | st.integers(1, 4),
        four_eyes=st.booleans(),
        on_expiry=st.none() | st.sampled_from(OnExpiry),
        deny_reason=st.booleans(),
        max_timeout=st.none() | st.integers(2, 60).map(lambda m: m * MINUTE),
    ),
)
_OF_PLANS = st.lists(st.lists(_BLOCKS, max_size=3), min_size=1, max_size=3)


def one(**block: object) -> list[list[tuple[str, ApprovalTerms]]]:
    return [[("prod", ApprovalTerms.model_validate(block))]]


def test_without_a_policy_the_runbook_is_asked_for_as_written() -> None:
    wanted = Approval(approvers=("sre",), quorum=2, remind=(5 * MINUTE,), four_eyes=True)
    assert terms.merge(wanted, [[]], ("local",)) == terms.Asked(
        ("sre",), 2, timedelta(minutes=30), Terms(four_eyes=True, remind=(5 * MINUTE,))
    )


def test_the_policys_approvers_restrict_those_of_the_runbook() -> None:
    asked = terms.merge(Approval(approvers=("sre",)), one(approvers=["leads"]), ("local",))
    assert (asked.approvers, asked.terms.within) == (("sre",), (("leads",),))
    assert asked.terms.policy == ("prod",)


def test_where_a_runbook_names_nobody_the_policys_approvers_are_asked() -> None:
    asked = terms.merge(Approval(), one(approvers=["leads"]), ("local",))
    assert (asked.approvers, asked.terms.within) == (("leads",), ())
    assert terms.merge(Approval(), [[]], ("local",)).approvers == ("local",)


def test_a_shorter_time_drops_the_reminders_that_come_too_late() -> None:
    wanted = Approval(remind=(5 * MINUTE, 20 * MINUTE))
    asked = terms.merge(wanted, one(max_timeout="15m"), ())
    assert (asked.timeout, asked.terms.remind) == (15 * MINUTE, (5 * MINUTE,))


@pytest.mark.parametrize(
    ("runbook", "of_plans", "outcome"),
    [
        ("approve", [[]], "escalate"),
        ("approve", [["approve"]], "approve"),
        ("approve", [["approve"], []], "escalate"),
        ("approve", [["approve"], ["approve", "approve"]], "approve"),
        ("approve", [["approve", "deny"]], "deny"),
        ("approve", [["deny"]], "deny"),
        ("deny", [["approve"]], "deny"),
        ("deny", [["escalate"]], "escalate"),
        ("escalate", [["approve"]], "escalate"),
        ("escalate", [["deny"]], "escalate"),
        ("approve", [], "escalate"),
    ],
)
def test_silence_is_a_yes_only_where_runbook_and_policy_say_so(
    runbook: str, of_plans: list[list[str]], outcome: str
) -> None:
    blocks = [[("r", ApprovalTerms(on_expiry=OnExpiry(s))) for s in plan] for plan in of_plans]
    asked = terms.merge(Approval(on_expiry=OnExpiry(runbook)), blocks, ())
    assert asked.terms.on_expiry is OnExpiry(outcome)


@given(_APPROVALS, _OF_PLANS)
def test_whatever_the_policy_says_it_only_tightens(
    wanted: Approval, of_plans: list[list[tuple[str, ApprovalTerms]]]
) -> None:
    bare = terms.merge(wanted, [[] for _ in of_plans], ("local",))
    asked = terms.merge(wanted, of_plans, ("local",))
    assert asked.quorum >= bare.quorum
    assert asked.timeout <= bare.timeout
    assert asked.terms.four_eyes >= bare.terms.four_eyes
    assert set(asked.terms.remind) <= set(bare.terms.remind)
    for _, block in (one for plan in of_plans for one in plan):
        assert asked.quorum >= (block.quorum or 1)
        assert asked.terms.four_eyes >= block.four_eyes
        assert not block.approvers or block.approvers in (asked.approvers, *asked.terms.within)
    if asked.terms.on_expiry is OnExpiry.APPROVE:
        assert wanted.on_expiry is OnExpiry.APPROVE
        for plan in of_plans:
            said = {block.on_expiry for _, block in plan} - {None}
            assert said == {OnExpiry.APPROVE}


@given(_APPROVALS, _OF_PLANS)
def test_terms_come_back_from_their_json(
    wanted: Approval, of_plans: list[list[tuple[str, ApprovalTerms]]]
) -> None:
    made = terms.merge(wanted, of_plans, ()).terms
    assert Terms.from_json(made.to_json()) == made


def test_what_an_older_daemon_did_not_write_has_its_default() -> None:
    assert Terms.from_json({}) == Terms()


@pytest.mark.parametrize(
    ("remind", "says"),
    [(["20m", "10m"], "later than"), (["10m", "10m"], "later than"), (["30m"], "too late")],
)
def test_reminders_out_of_time_are_refused(remind: list[str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Approval.model_validate({"remind": remind})
