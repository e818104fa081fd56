"""Proves that a policy of a namespace only tightens, and only for targets there. Pure."""

import json
from dataclasses import replace
from typing import Any

import pytest

from remediator.engine import guardrails
from remediator.model.limits import Mode
from remediator.model.verdicts import Ruling
from remediator.runbook import document, manifests, policy_resource
from remediator.runbook.document import Document
from remediator.runbook.findings import RunbookErrors
from tests.engine.asking import TARGET, ask, plan
from tests.engine.asking import policy as operators
from tests.resources.making import policy


def _rules(**spec: Any) -> Any:
    return policy_resource.rules_in(_doc(**spec))[1]


def _doc(**spec: Any) -> Document:
    (doc,) = document.parse(json.dumps(policy("careful", "shop", **spec)), "f")
    return doc


def _with(*, of: Any = None, **spec: Any) -> Any:
    base = of or operators()
    return base.model_copy(update={"rules": (*base.rules, *_rules(**spec))})


def test_its_limits_and_each_of_its_rules_become_rules_of_the_namespace() -> None:
    base, db = _rules(
        mode="observe", rules=[{"name": "db", "match": ['{name=~"db.*"}'], "refuse": "no"}]
    )
    own = 'system="kubernetes", scope="shop"'
    assert (base.name, base.match, base.mode) == ("shop/careful", (own,), Mode.OBSERVE)
    assert (db.name, db.match) == ("shop/careful/db", (f'name=~"db.*", {own}',))
    assert _rules() == ()


def test_it_holds_in_its_namespace_and_nowhere_else() -> None:
    limits = _with(refuse="not here")
    here = ask(policy=limits)
    assert guardrails.forbidden(here).ruling is Ruling.REFUSE
    assert "policy rule shop/careful" in guardrails.forbidden(here).by
    for elsewhere in ("pay", "shop2", ""):
        there = ask(policy=limits, plan=plan(replace(TARGET, scope=elsewhere)))
        assert guardrails.forbidden(there).ruling is Ruling.ALLOW
    host = ask(policy=limits, plan=plan(replace(TARGET, system="host")))
    assert guardrails.forbidden(host).ruling is Ruling.ALLOW


@pytest.mark.parametrize(
    "line",
    ['name="x", scope="pay"', '{scope=~".*"}', 'scope!="shop"', 'name="\\", scope=\\"pay"'],
)
def test_no_matcher_of_its_own_widens_it(line: str) -> None:
    limits = _with(rules=[{"name": "wide", "match": [line], "refuse": "mine"}])
    for name in ("x", "api"):
        there = ask(policy=limits, plan=plan(replace(TARGET, scope="pay", name=name)))
        assert guardrails.forbidden(there).ruling is Ruling.ALLOW


def test_a_higher_mode_than_the_operators_is_no_higher_mode() -> None:
    careful = operators(mode="observe")
    assert guardrails.mode_of(ask(policy=_with(of=careful, mode="auto"))) is Mode.OBSERVE


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"freeze": [{"calendar": "/etc/passwd"}]}, "a file of the daemon's"),
        ({"rules": [{"name": "r", "match": ["a=b"], "maintenance": [{"calendar": "x"}]}]}, "file"),
        ({"approval": {"approvers": ["api:me"]}}, "the operator's to say"),
        ({"approval": {"on_expiry": "approve"}}, "the operator's to say"),
        ({"rate": {"total": ["3/10w"]}}, "rate.total: 70d is too long; at most 31d"),
        ({"cooldown": "60d"}, "cooldown: 60d is too long"),
        ({"budget": {"share": ["50%/40d"]}}, "budget.share: 40d is too long"),
        ({"rules": [{"name": "r", "match": ["a=b"], "cost": {"budget": ["1/40d"]}}]}, "too long"),
        ({"scope": {"scopes": ["*"]}}, 'unknown key "scope"'),
        ({"trust": {"required": False}}, 'unknown key "trust"'),
        ({"rules": [{"name": "n" * 100, "match": ["a=b"]}]}, "at most 100 characters"),
        ({"rules": [{"name": "r", "match": ["a"]}]}, "rules.0.match"),
        ({"rules": [{"name": f"r{n}", "match": ["a=b"]} for n in range(21)]}, "at most 20"),
    ],
)
def test_what_is_not_a_namespaces_to_say(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RunbookErrors) as refused:
        _rules(**spec)
    told = manifests.told(refused.value.findings, _doc(**spec))
    assert any(sentence in one for one in told), told


def test_a_file_of_the_daemons_is_never_opened(tmp_path: Any) -> None:
    """A calendar would be read while the model is validated: it is refused before."""
    calendar = tmp_path / "secret.ics"
    calendar.write_text("top secret")
    with pytest.raises(RunbookErrors) as refused:
        _rules(freeze=[{"calendar": str(calendar)}])
    assert "secret" not in str(refused.value).replace("secret.ics", "")
    assert "no calendar" not in str(refused.value)
