"""Rules of the policy: which plans they are for, that they only tighten, and what they count."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from remediator.engine import guardrails
from remediator.model.history import GoingOn, PastChange
from remediator.model.limits import Mode
from remediator.model.plans import Target
from remediator.model.policy import Policy
from remediator.model.verdicts import Ruling, Verdict, heaviest
from tests.engine.asking import NOW, TARGET, ask, changed, history, plan, policy, told


def tripped(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.ruling is not Ruling.ALLOW]


CLOUD = Target(
    "aws",
    "AutoScalingGroup",
    "prod",
    "web",
    annotations={"owner": "sre"},
    account="123",
    region="eu-west-1",
)


@pytest.mark.parametrize(
    ("line", "target", "matches"),
    [
        ('scope="shop"', TARGET, True),
        ('scope=~"sh.*", kind="Deployment", system="kubernetes", name="api"', TARGET, True),
        ('action="kubernetes.scale", runbook="scale-out", owner="team-shop"', TARGET, True),
        ('scope="pay"', TARGET, False),
        ('target_label_team="shop"', TARGET, True),
        ('target_label_team!="shop"', TARGET, False),
        ('account="123", region=~"eu-.*"', CLOUD, True),
        ('account=""', TARGET, True),
        ('target_annotation_owner="sre"', CLOUD, True),
        ('severity="critical"', TARGET, True),
        ('alert_label_scope="moon"', TARGET, True),
        ('scope="moon"', TARGET, False),  # what an alert says of itself is not what the plan is
        ('target_label_spoofed="yes"', TARGET, False),
    ],
)
def test_a_rule_is_for_the_plans_that_its_matchers_choose(
    line: str, target: Target, matches: bool
) -> None:
    labels = {"severity": "critical", "scope": "moon", "target_label_spoofed": "yes"}
    question = ask(
        plan=plan(target),
        labels=labels,
        policy=policy({"name": "r", "match": line, "refuse": "not here"}),
    )
    assert question.rules == (("r",) if matches else ())
    refused = guardrails.forbidden(question)
    assert (refused.ruling is Ruling.REFUSE) is matches
    if matches:
        assert "policy rule r forbids it: not here" in told(refused)


def test_any_line_of_a_rule_will_do_and_all_matchers_of_a_line_must() -> None:
    lines = ['scope="pay"', 'scope="shop", kind="Deployment"']
    assert ask(policy=policy({"name": "r", "match": lines})).rules == ("r",)
    lines = ['scope="pay"', 'scope="shop", kind="Pod"']
    assert ask(policy=policy({"name": "r", "match": lines})).rules == ()


LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"mode": "approve"}, "mode"),
    ({"mode": "observe"}, "mode"),
    ({"refuse": "no"}, "forbidden"),
    ({"freeze": [{"start": "0 * * * *", "lasts": "1h"}]}, "freeze"),
    ({"maintenance": [{"start": "0 * * * *", "lasts": "1h"}]}, "maintenance"),
    ({"cooldown": "15m"}, "cooldown"),
    ({"rate": {"per_runbook": ["1/1h"]}}, "rate"),
    ({"rate": {"per_target": ["1/1h"]}}, "rate"),
    ({"rate": {"per_owner": ["1/1h"]}}, "rate"),
    ({"rate": {"total": ["1/1h"]}}, "rate"),
    ({"max_impact": {"pods": 1}}, "impact"),
    ({"max_impact": {"share": "10%"}}, "impact"),
    ({"max_impact": {"node_share": "10%"}}, "impact"),
    ({"budget": {"pods": ["3/1h"]}}, "budget"),
    ({"budget": {"nodes": ["1/1h"]}}, "budget"),
    ({"budget": {"share": ["60%/1h"]}}, "budget"),
    ({"bounds": {"max_replicas": 5}}, "bounds"),
    ({"bounds": {"min_instances": 5}}, "bounds"),
    ({"cost": {"per_change": "0.10"}}, "cost"),
    ({"cost": {"budget": ["0.30/1d"]}}, "cost"),
]
"""Each limit that a block can set, in a way that the question below trips."""


@pytest.mark.parametrize(("limit", "guardrail"), LIMITS)
def test_every_limit_holds_in_the_base_and_in_a_rule_alike(
    limit: dict[str, Any], guardrail: str
) -> None:
    touched = plan(pods=2, nodes=1, of_nodes=4, instances=4, cost_per_hour=Decimal("0.24"))
    before = changed(
        10, pods=2, nodes=1, down=2, rules=frozenset({"r"}), cost=touched.impact.cost_per_hour
    )
    common = {"plan": touched, "history": history(before)}
    assert tripped(guardrails.judge(ask(**common))) == []
    by_base = tripped(guardrails.judge(ask(policy=policy(**limit), **common)))
    rule = {"name": "r", "match": 'scope="shop"', **limit}
    by_rule = tripped(guardrails.judge(ask(policy=policy(rule), **common)))
    elsewhere = {**rule, "match": 'scope="pay"'}
    assert tripped(guardrails.judge(ask(policy=policy(elsewhere), **common))) == []
    for found, whose in ((by_base, "policy"), (by_rule, "policy rule r")):
        assert [verdict.rule for verdict in found] == [guardrail]
        assert found[0].by == whose
        assert whose in str(found[0])
        assert found[0].lifted_by
        if guardrail != "forbidden":
            assert found[0].figure
            assert found[0].limit


@pytest.mark.parametrize(("limit", "guardrail"), LIMITS)
def test_no_rule_loosens_what_the_base_or_another_rule_says(
    limit: dict[str, Any], guardrail: str
) -> None:
    """Whatever a rule sets beside them, the verdicts get no lighter."""
    open_rule = {
        "name": "wide",
        "match": 'scope="shop"',
        "mode": "auto",
        "cooldown": "0s",
        "rate": {"per_runbook": ["999/1h"], "per_target": ["999/1h"], "total": ["999/1h"]},
        "max_impact": {"pods": 999, "share": "100%", "nodes": 99, "node_share": "100%"},
        "budget": {"pods": ["999/1h"], "nodes": ["99/1h"], "share": ["100%/1s"]},
        "bounds": {"min_replicas": 0, "max_replicas": 999, "min_instances": 0},
        "cost": {"per_change": "999", "budget": ["999/1h"], "unknown": "allow"},
    }
    touched = plan(pods=2, nodes=1, of_nodes=4, instances=4, cost_per_hour=Decimal("0.24"))
    before = changed(10, nodes=1, down=2, rules=frozenset({"r"}), cost=Decimal("0.24"))
    common = {"plan": touched, "history": history(before)}
    strict = policy(open_rule, **limit)
    found = tripped(guardrails.judge(ask(policy=strict, **common)))
    assert [verdict.rule for verdict in found] == [guardrail]
    two = policy(open_rule, {"name": "r", "match": 'scope="shop"', **limit})
    found = tripped(guardrails.judge(ask(policy=two, **common)))
    assert [(verdict.rule, verdict.by) for verdict in found] == [(guardrail, "policy rule r")]


def test_a_rule_counts_the_changes_that_it_applied_to() -> None:
    rule = {"name": "pay", "match": 'scope="shop"', "rate": {"total": ["2/1h"]}}
    under = frozenset({"pay"})
    others = history(changed(5), changed(6), changed(7, rules=under))
    assert guardrails.rate(ask(policy=policy(rule), history=others)).ruling is Ruling.ALLOW
    enough = history(changed(5, rules=under), changed(7, rules=under))
    refused = guardrails.rate(ask(policy=policy(rule), history=enough))
    assert "2 changes in 1h; the policy rule pay allows 2/1h in total" in refused.reason
    assert "rate.total of policy rule pay" in refused.lifted_by


@pytest.mark.parametrize(
    "limit",
    [
        {"rate": {"per_runbook": ["1/1h"]}},
        {"rate": {"per_target": ["1/1h"]}},
        {"rate": {"per_owner": ["1/1h"]}},
        {"rate": {"total": ["1/1h"]}},
        {"budget": {"pods": ["3/1h"]}},
        {"budget": {"nodes": ["1/1h"]}},
        {"budget": {"share": ["30%/1h"]}},
        {"cost": {"budget": ["0.30/1h"]}},
        {"concurrency": {"total": 1}},
        {"concurrency": {"per_runbook": 1}},
    ],
    ids=str,
)
def test_whatever_a_rule_limits_it_counts_what_it_applied_to_and_nothing_else(
    limit: dict[str, Any],
) -> None:
    rule = policy({"name": "pay", "match": 'scope="shop"', **limit})
    touched = plan(pods=2, down=2, of_pods=10, nodes=1, cost_per_hour=Decimal("0.20"))

    def judged(rules: frozenset[str]) -> list[str]:
        before = changed(5, pods=2, down=2, nodes=1, cost=Decimal("0.20"), rules=rules)
        going = (GoingOn("other", "scale-out", rules),)
        past = history(before, going_on=going)
        asked = ask(policy=rule, history=past, plan=touched)
        return [verdict.by for verdict in tripped(guardrails.judge(asked))]

    assert judged(frozenset()) == []
    assert judged(frozenset({"another"})) == []
    assert judged(frozenset({"another", "pay"})) == ["policy rule pay"]


@pytest.mark.parametrize(
    ("name", "another"),
    [
        ("per_runbook", {"runbook": "restart"}),
        ("per_target", {"target_key": "kubernetes:shop/Deployment/web"}),
        ("per_owner", {"owner": "team-pay"}),
    ],
)
def test_a_rate_counts_its_own_and_a_window_ends_at_its_length(
    name: str, another: dict[str, Any]
) -> None:
    limit = policy(rate={name: ["1/1h"]})

    def ruled(*changes: PastChange) -> Ruling:
        return guardrails.rate(ask(policy=limit, history=history(*changes))).ruling

    assert ruled(changed(5, **another)) is Ruling.ALLOW
    assert ruled(changed(60)) is Ruling.ALLOW
    assert ruled(changed(59.9)) is Ruling.REFUSE


def test_a_refusal_of_one_block_outweighs_the_hold_of_another() -> None:
    now = {"start": "0 * * * *", "lasts": "1h"}
    asking = {"name": "a", "match": 'scope="shop"', "freeze": [{**now, "then": "hold"}]}
    refusing = {"name": "b", "match": 'scope="shop"', "freeze": [now]}
    found = guardrails.freeze(ask(policy=policy(asking, refusing)))
    assert (found.ruling, found.by) == (Ruling.REFUSE, "policy rule b")
    approved = guardrails.freeze(ask(policy=policy(asking), approved=True))
    assert approved.ruling is Ruling.ALLOW


def test_the_lowest_ceiling_of_all_that_apply_is_the_mode() -> None:
    rules = [
        {"name": "a", "match": 'scope="shop"', "mode": "approve"},
        {"name": "b", "match": 'scope="shop"', "mode": "observe"},
        {"name": "c", "match": 'scope="pay"', "mode": "observe"},
    ]
    assert guardrails.mode_of(ask(policy=policy(*rules[:1], *rules[2:]))) is Mode.APPROVE
    assert guardrails.mode_of(ask(policy=policy(*rules))) is Mode.OBSERVE
    found = guardrails.mode_ceiling(ask(policy=policy(*rules)))
    assert (found.ruling, found.by) == (Ruling.REFUSE, "policy rule b")
    assert "mode of policy rule b" in found.lifted_by


def test_approval_terms_come_with_their_blocks_name() -> None:
    rule = {"name": "pay", "match": 'scope="shop"', "approval": {"quorum": 2}}
    other = {"name": "no", "match": 'scope="x"', "approval": {"quorum": 9}}
    found = guardrails.approval_blocks(
        ask(policy=policy(rule, other, approval={"four_eyes": True}))
    )
    assert [(by, terms.quorum, terms.four_eyes) for by, terms in found] == [
        ("policy", None, True),
        ("policy rule pay", 2, False),
    ]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"rules": [{"name": "a", "match": 'x=~"("'}]}, "no regular expression"),
        ({"rules": [{"name": "a", "match": ""}]}, "no matcher"),
        ({"rules": [{"name": "a", "match": []}]}, "at least 1 item"),
        ({"rules": [{"name": "a"}]}, "Field required"),
        ({"rules": [{"name": "", "match": "a=b"}]}, "at least 1 character"),
        ({"rules": [{"name": "a b", "match": "a=b"}]}, "pattern"),
        ({"rules": [{"match": "a=b"}]}, "Field required"),
        (
            {"rules": [{"name": "a", "match": "a=b"}, {"name": "a", "match": "c=d"}]},
            "two rules are called 'a'",
        ),
        ({"rules": [{"name": "a", "match": "a=b", "protected": {}}]}, "Extra inputs"),
        ({"budget": {"share": ["120%/1h"]}}, "from 0% to 100%"),
        ({"budget": {"pods": ["x"]}}, "no rate"),
        ({"cost": {"per_change": "-1"}}, "no amount"),
        ({"bounds": {"min_replicas": 5, "max_replicas": 4}}, "nothing is allowed"),
        ({"override": {"guardrails": ["kill_switch"]}}, "can never be overridden"),
        ({"override": {"guardrails": ["rates"]}}, "there is no guardrail 'rates'"),
        ({"concurrency": {"total": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_is_no_policy_is_refused_at_load(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Policy.model_validate(given)
    assert fault in str(refused.value)


def test_the_whole_list_has_one_verdict_each_and_names_that_differ() -> None:
    verdicts = guardrails.judge(ask())
    names = [verdict.rule for verdict in verdicts]
    assert len(set(names)) == len(guardrails.GUARDRAILS) == len(names)
    assert heaviest(verdicts) is Ruling.ALLOW
    # Judging is pure: the same question has the same answer, and time alone is another question.
    assert guardrails.judge(ask()) == verdicts
    assert replace(ask(), now=NOW) == ask()
