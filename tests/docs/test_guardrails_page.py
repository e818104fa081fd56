"""The worked examples of docs/guardrails.md do what the page says they do."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.engine import guardrails
from remediator.engine.guardrails import NO_HISTORY, Question
from remediator.model.history import History, PastChange
from remediator.model.limits import Limits, Mode
from remediator.model.plans import Change, Impact, Plan, Target
from remediator.model.policy import NEVER_OVERRIDDEN, OVERRIDABLE, Override, Policy
from remediator.model.verdicts import Ruling, Verdict
from remediator.runbook import policy_file

PAGE = (Path(__file__).resolve().parents[2] / "docs/guardrails.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^### (.+?)\n.*?^```yaml policy\n(.*?)^```",
    PAGE.partition("\n## Rules")[2].partition("\n## ")[0],
    re.MULTILINE | re.DOTALL,
)
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
MONTHS_END = datetime(2026, 11, 30, 22, tzinfo=UTC)


def example(title: str) -> Policy:
    """Return the policy below this heading."""
    ((_, text),) = [one for one in EXAMPLES if title in one[0]]
    return policy_file.parse(text, "guardrails.md")


def plan(scope: str, *, tier: str = "", action: str = "kubernetes.scale", pods: int = 1) -> Plan:
    return Plan(
        action=action,
        target=Target("kubernetes", "Deployment", scope, "api", "u-1", {"tier": tier}),
        changes=(Change("spec.replicas", 4, 5),),
        impact=Impact(pods=pods, of_pods=4, replicas=5),
        summary="replicas 4 → 5",
    )


def said(
    policy: Policy,
    wanted: Plan,
    *,
    now: datetime = NOON,
    history: History = NO_HISTORY,
    approved: bool = False,
    **labels: str,
) -> dict[str, Verdict]:
    """Return what the guardrails say that is no allow, by guardrail."""
    question = Question(
        plan=wanted,
        run_id="r-1",
        sequence=0,
        runbook="repair",
        mode=Mode.AUTO,
        limits=Limits(),
        policy=policy,
        history=history,
        signal=None,
        approved=approved,
        manual=False,
        now=now,
        labels=labels,
    )
    found = guardrails.judge(question)
    return {one.rule: one for one in found if one.ruling is not Ruling.ALLOW}


def test_there_are_three_worked_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("title", [title for title, _ in EXAMPLES])
def test_an_example_leaves_everything_else_alone(title: str) -> None:
    assert said(example(title), plan("web")) == {}


def test_months_end_in_the_payments_namespaces() -> None:
    policy = example("Month's end")
    for scope in ("pay", "billing"):
        held = said(policy, plan(scope))["mode"]
        assert (held.ruling, held.by) == (Ruling.HOLD, "policy rule payments")
        frozen = said(policy, plan(scope), now=MONTHS_END, approved=True)["freeze"]
        assert frozen.ruling is Ruling.REFUSE
        assert "month's end" in frozen.reason
        assert "the books are closed" in frozen.reason
    assert said(policy, plan("web"), now=MONTHS_END) == {}
    (rule,) = policy.rules
    assert rule.approval.quorum == 2
    assert rule.approval.four_eyes


def test_small_steps_in_production() -> None:
    policy = example("Small steps")
    half = plan("web", pods=2)
    refused = said(policy, half, env="prod")["impact"]
    assert refused.by == "policy rule prod"
    assert "impact" not in said(policy, half, env="staging")
    assert said(policy, plan("web"), env="prod") == {}
    before = tuple(
        PastChange(
            *(f"r-{n}", 0, "other", plan("web").target.key, 1, NOON - timedelta(minutes=20 + n)),
            rules=frozenset({"prod"}),
        )
        for n in (8, 9)
    )
    history = History(changes=before, controls=(), locks={})
    assert said(policy, plan("web"), env="prod", history=history)["rate"].by == "policy rule prod"


def test_never_databases() -> None:
    policy = example("Never databases")
    back = plan("web", tier="database", action="kubernetes.rollout_undo")
    never = said(policy, back, approved=True)["forbidden"]
    assert never.ruling is Ruling.REFUSE
    assert "schemas do not roll back; call the database team" in never.reason
    held = said(policy, plan("web", tier="database"))["mode"]
    assert (held.ruling, held.by) == (Ruling.HOLD, "policy rule databases-ask")


def test_every_policy_on_the_page_is_good() -> None:
    blocks = re.findall(r"^```yaml policy\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) > len(EXAMPLES)
    for text in blocks:
        assert policy_file.parse(text, "guardrails.md").rules


def test_the_table_has_every_guardrail_in_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.*)\| (never|yes) \|$", PAGE, re.MULTILINE)
    assert [name for name, _, _ in rows] == [v.rule for v in guardrails.judge(_any_question())]
    assert {name for name, _, override in rows if override == "yes"} == OVERRIDABLE


def test_what_is_never_overridden_is_told() -> None:
    section = PAGE.partition("## Override")[2].partition("\n## ")[0]
    for name in NEVER_OVERRIDDEN:
        assert f"`{name}`" in section
    assert not NEVER_OVERRIDDEN & OVERRIDABLE
    judged = {one.rule for one in guardrails.judge(_any_question())}
    assert judged == OVERRIDABLE | NEVER_OVERRIDDEN
    assert Override.model_validate({"guardrails": sorted(OVERRIDABLE)}).people == ()


def _any_question() -> Question:
    return Question(
        plan=plan("web"),
        run_id="r-1",
        sequence=0,
        runbook="repair",
        mode=Mode.AUTO,
        limits=Limits(),
        policy=Policy(),
        history=NO_HISTORY,
        signal=None,
        approved=False,
        manual=False,
        now=NOON,
    )
