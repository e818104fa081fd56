"""Proves that a runbook which lives in a namespace neither sees nor touches anything else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.engine import guardrails
from remediator.engine.guardrails import NO_HISTORY, Question
from remediator.model.limits import Limits, Mode
from remediator.model.plans import Target
from remediator.model.policy import NEVER_OVERRIDDEN
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.verdicts import Ruling
from remediator.plugin import registry
from remediator.runbook import confinement, manifests
from remediator.runbook.compile import compile_runbook
from remediator.runbook.findings import RunbookErrors
from remediator.runbook.manifests import Home
from remediator.runbook.store import load_folder
from tests.engine.asking import NOW, TARGET, ask, plan
from tests.engine.conftest import Begin
from tests.resources.making import SPEC, policy, runbook

REGISTRY = registry.load(third_party=False)
_LIFTED = "resources.unconfined"


@pytest.mark.parametrize(
    ("action", "given", "sentence"),
    [
        ("kubernetes.scale", {"namespace": "shop"}, ""),
        ("kubernetes.scale", {"namespace": "pay"}, "about namespace pay"),
        ("kubernetes.scale", {}, "names no namespace"),
        ("kubernetes.condition", {"namespace": None, "node": "n"}, "names no namespace"),
        ("kubernetes.condition", {"namespace": "pay", "pod": "p"}, "about namespace pay"),
        ("kubernetes.condition", {"namespace": "shop", "pod": "p"}, ""),
        ("exec", {"command": ["/bin/ls"]}, "in no namespace"),
        ("prometheus.query", {"query": "up"}, ""),
        ("alertmanager.firing", {"labels": {"alertname": "A"}}, ""),
        ("alertmanager.firing", {"labels": {"namespace": "shop"}}, ""),
        ("alertmanager.firing", {"labels": {"namespace": "pay"}}, "alerts of pay"),
        ("http.check", {"url": "http://api.shop.svc:8080/healthz"}, ""),
        ("http.check", {"url": "https://api.shop.svc.cluster.local./"}, ""),
        ("http.check", {"url": "http://api.pay.svc/"}, "no service of namespace shop"),
        ("http.check", {"url": "http://api.shop/"}, "no service of namespace shop"),
        ("http.check", {"url": "http://169.254.169.254/"}, "no service of namespace shop"),
        ("http.check", {"url": "http://localhost/#.shop.svc"}, "no service of namespace shop"),
        ("http.check", {"url": "http://x/?a=.shop.svc"}, "no service of namespace shop"),
        ("http.check", {"url": "http://ashop.svc/"}, "no service of namespace shop"),
        (
            "http.check",
            {"url": "http://api.shop.svc/", "follow_redirects": True},
            "goes wherever the answer points",
        ),
    ],
)
def test_where_parameters_lead(action: str, given: dict[str, Any], sentence: str) -> None:
    why = confinement.strays("shop", REGISTRY.operations[action], given)
    assert sentence in why
    assert bool(why) is bool(sentence)


def _compiled(**more: Any) -> Any:
    source = manifests.text_of("Runbook", Home("shop", "a"), {**SPEC, **more})
    return confinement.kept_home(compile_runbook(source, "f", REGISTRY))


def test_it_sees_the_alerts_of_its_namespace_only() -> None:
    found = _compiled(match=['alertname="Stuck"', 'alertname="Slow", namespace=~".*"'])
    assert found.matches({"alertname": "Stuck", "namespace": "shop"})
    assert found.matches({"alertname": "Slow", "namespace": "shop"})
    for labels in ({}, {"namespace": "pay"}, {"namespace": "shop2"}, {"namespace": ""}):
        assert not found.matches({"alertname": "Stuck", **labels})
        assert not found.matches({"alertname": "Slow", **labels})


def _step(action: str, **given: Any) -> Any:
    return {"steps": [{"id": "a", "action": action, "with": given}]}


_ELSEWHERE = {"namespace": "pay", "deployment": "${{ labels.deployment }}"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            _step("exec", command=["/bin/ls"], plan_text="x"),
            "exec is about what is in no namespace",
        ),
        (_step("kubernetes.rollout_restart", **_ELSEWHERE), "a: it is about namespace pay"),
        (
            {
                "verify": {
                    "action": "http.check",
                    "with": {"url": "http://a.pay.svc"},
                    "within": "1m",
                }
            },
            "verify: it asks what is no service of namespace shop",
        ),
        (
            {"silence": {"match": ["alertname=A"], "equal": ["cluster"], "for": "1h"}},
            "put namespace among equal",
        ),
    ],
)
def test_what_shows_in_the_text_is_refused_at_once(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RunbookErrors) as refused:
        _compiled(**change)
    assert any(sentence in one.message for one in refused.value.findings), refused.value
    assert all(_LIFTED in one.hint for one in refused.value.findings if "outside" in one.code)


def test_a_manifest_in_a_file_is_confined_likewise(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(json.dumps(runbook("a", "shop")))
    (found,) = load_folder([tmp_path], REGISTRY).runbooks
    assert found.name == "shop/a"
    assert not found.matches({"alertname": "Stuck", "namespace": "pay"})


def test_a_policy_for_the_cluster_is_no_policy_of_the_files(tmp_path: Path) -> None:
    """In silence, it would not hold."""
    (tmp_path / "a.yaml").write_text(json.dumps(runbook("a", "shop")))
    (tmp_path / "b.yaml").write_text(json.dumps(policy("b", "shop", mode="observe")))
    with pytest.raises(RunbookErrors, match="holds in the cluster only; kubectl apply it"):
        load_folder([tmp_path], REGISTRY)
    assert [r.name for r in load_folder([tmp_path], REGISTRY, policies_too=True).runbooks] == [
        "shop/a"
    ]
    (tmp_path / "b.yaml").write_text(json.dumps(policy("b", "shop", mode="x")))
    with pytest.raises(RunbookErrors, match="mode: it should be"):
        load_folder([tmp_path], REGISTRY, policies_too=True)


@pytest.mark.parametrize(
    ("target", "ruling"),
    [
        (TARGET, Ruling.ALLOW),
        (replace(TARGET, scope="pay"), Ruling.REFUSE),
        (replace(TARGET, scope=""), Ruling.REFUSE),
        (Target("host", "Command", "shop", "ls"), Ruling.REFUSE),
    ],
)
def test_the_guardrail_judges_the_plan_itself(target: Target, ruling: Ruling) -> None:
    verdict = guardrails.own_namespace(ask(plan=plan(target), home="shop"))
    assert verdict.ruling is ruling
    assert guardrails.own_namespace(ask(plan=plan(target))).ruling is Ruling.ALLOW
    if ruling is Ruling.REFUSE:
        assert _LIFTED in verdict.lifted_by
        assert "own_namespace" in NEVER_OVERRIDDEN


BOOK = manifests.text_of(
    "Runbook",
    Home("shop", "fix"),
    {
        "description": "It sets a value.",
        "match": ['alertname="Broken"'],
        "mode": "auto",
        "steps": [{"id": "set", "action": "world.set", "with": {"name": "a", "to": 2}}],
    },
)


async def test_a_run_that_would_leave_ends_refused_and_on_record(begin: Begin) -> None:
    scene = await begin(BOOK, values={"a": 1})
    run = await scene.run()
    assert (run.runbook, run.state, run.reason) == (
        *("shop/fix", RunState.SUPPRESSED),
        Reason.GUARDRAIL_REFUSES,
    )
    assert "world.set is about what is in no namespace" in run.message
    assert _LIFTED in run.message
    assert scene.world.made == []
    view = await scene.daemon.view(run.id)
    assert [verdict.rule for verdict in view.verdicts] == ["own_namespace"]
    states = [
        record.entry.details
        for record in await scene.daemon.audit(run.id)
        if record.entry.kind == "run.state"
    ]
    assert states[-1]["to"] == "suppressed"
    assert "own_namespace" in json.dumps(states[-1])


async def test_a_version_in_flight_stays_confined_after_a_crash(begin: Begin) -> None:
    """What the journal holds of it says by itself where it lives."""
    waiting = BOOK.replace("mode: auto", "mode: auto\n  wait_for: 1m")
    scene = await begin(waiting, values={"a": 1})
    scene.daemon.force()  # the resource is gone
    await scene.daemon.restart()
    await scene.advance(minutes=2)
    assert await scene.state() is RunState.SUPPRESSED
    assert scene.world.made == []


def test_the_settings_lift_it() -> None:
    question = Question(
        plan=plan(replace(TARGET, scope="pay")),
        run_id="r",
        sequence=0,
        runbook="shop/a",
        mode=Mode.AUTO,
        limits=Limits(),
        policy=ask().policy,
        history=NO_HISTORY,
        signal=None,
        approved=False,
        manual=False,
        now=NOW,
        home="",  # what `Hand.home` is where the settings name the namespace
    )
    assert guardrails.own_namespace(question).ruling is Ruling.ALLOW
