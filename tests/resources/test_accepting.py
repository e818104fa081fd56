"""Proves which resources are taken up, and what a bad one leaves alone. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from remediator.app.accepting import Acceptance, Bounds, Ruling, Why
from remediator.app.watching import Held
from remediator.clients.kubernetes import nesting
from remediator.clients.kubernetes.resources import POLICIES, RUNBOOKS
from remediator.model.policy import Policy
from remediator.plugin import registry
from remediator.runbook import people
from remediator.runbook.compile import compile_runbook
from remediator.runbook.manifests import Home
from remediator.runbook.runbook import RunbookSet
from remediator.runbook.store import load_folder
from tests.resources.making import SPEC, shipped

REGISTRY = registry.load(third_party=False)
NO_FILES = RunbookSet(())


def _acceptance(**more: Any) -> Acceptance:
    bounds: dict[str, Any] = {
        "most": 100,
        "unconfined": (),
        "names": people.Names(),
        "default_approvers": ("local",),
        "notifiers": ("slack",),
    }
    return Acceptance(REGISTRY, Bounds(**(bounds | more)))


def _held(
    name: str, spec: Mapping[str, Any] | None = SPEC, *, generation: int = 1, **more: Any
) -> Held:
    values: dict[str, Any] = {
        "resource": RUNBOOKS,
        "home": Home("shop", name),
        "uid": f"uid-{name}",
        "created": "2026-01-01T00:00:00Z",
    }
    given = dict(spec) if spec is not None else None
    return Held(generation=generation, spec=given, **(values | more))


def _judge(
    acceptance: Acceptance, *held: Held, files: RunbookSet = NO_FILES, policy: Policy | None = None
) -> Sequence[Ruling]:
    return acceptance.judge(held, files, policy or Policy())


def _fragment(name: str, home: str = "shop", /, **given: str) -> Held:
    """A fragment that restarts what is given; in its own namespace where it is not said."""
    step = {
        "id": "restart",
        "action": "kubernetes.rollout_restart",
        "with": {"namespace": home, **given},
    }
    there = Home(home, name)
    return _held(name, {"description": "d", "steps": [step]}, home=there, uid=f"{there}")


USER = {**SPEC, "steps": [{"id": "all", "use": "frag"}]}


def test_one_bad_one_keeps_no_other_out() -> None:
    good, bad, other = _judge(
        _acceptance(), _held("a"), _held("b", {**SPEC, "match": ["x"]}), _held("c")
    )
    assert [one.accepted for one in (good, bad, other)] == [True, False, True]
    assert good.runbook is not None
    assert good.runbook.name == "shop/a"
    assert (bad.why, bad.runbook) == (Why.INVALID, None)
    assert bad.message.startswith("spec.match[0]")


def test_the_last_good_version_serves_until_it_is_mended_or_goes() -> None:
    acceptance = _acceptance()
    (first,) = _judge(acceptance, _held("a"))
    for generation in (2, 3):
        (broken,) = _judge(acceptance, _held("a", {**SPEC, "match": []}, generation=generation))
        assert not broken.accepted
        assert broken.runbook is first.runbook
        assert "; generation 1 stays in force" in broken.message
    (mended,) = _judge(acceptance, _held("a", {**SPEC, "owner": "team"}, generation=4))
    assert mended.accepted
    assert mended.runbook is not first.runbook
    acceptance.forget([])
    (anew,) = _judge(acceptance, _held("a", {**SPEC, "match": []}, generation=5))
    assert anew.runbook is None
    (another,) = _judge(acceptance, _held("a", {**SPEC, "match": []}, uid="made-anew"))
    assert another.runbook is None, "one that was deleted and made anew has no past"


def test_what_did_not_change_is_not_compiled_again() -> None:
    acceptance = _acceptance()
    (first,) = _judge(acceptance, _held("a"))
    (again,) = _judge(acceptance, _held("a"))
    assert again.runbook is first.runbook


def _files(folder: Path, *texts: str) -> RunbookSet:
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text)
    return load_folder([folder], REGISTRY, keep=True)


_FILE = """
name: {name}
description: d
steps:
  - {{id: restart, action: kubernetes.rollout_restart, with: {{namespace: shop, deployment: FILE}}}}
"""


@pytest.mark.parametrize("match", ["", "match: ['alertname=\"Z\"']\n"], ids=["fragment", "runbook"])
def test_a_files_name_is_taken_in_every_namespace(tmp_path: Path, match: str) -> None:
    files = _files(tmp_path, _FILE.format(name="a").replace("FILE", "x") + match)
    acceptance = _acceptance()
    _judge(acceptance, _held("a"), _held("b"))
    taken, free = _judge(acceptance, _held("a"), _held("b"), files=files)
    assert (taken.why, taken.runbook) == (Why.NAME_TAKEN, None), "not its last version either"
    assert f"{tmp_path}/0.yaml:2" in taken.message
    assert "shop/a" in taken.message
    assert free.accepted


def test_a_use_means_the_own_namespaces_then_a_files(tmp_path: Path) -> None:
    files = _files(tmp_path, _FILE.format(name="frag").replace("FILE", "from-a-file"))
    acceptance = _acceptance()
    user = _held("user", USER)
    theirs = _fragment("frag", "pay", deployment="theirs")

    (alone,) = _judge(acceptance, user)
    assert alone.message.startswith('spec.steps[0].use: nothing that is loaded is called "frag"')
    foreign, _ = _judge(acceptance, user, theirs)
    assert not foreign.accepted, "another namespace's is not there"
    (of_file,) = _judge(acceptance, user, files=files)
    assert "from-a-file" in str(_parameters(of_file))

    own = _fragment("frag", deployment="own")
    fragment, of_own = _judge(acceptance, own, user)
    assert fragment.accepted
    assert fragment.runbook is None
    assert "runbooks of this namespace may use it" in fragment.message
    assert _parameters(of_own) == {"namespace": "shop", "deployment": "own"}
    assert of_own.runbook is not None
    again = compile_runbook(of_own.runbook.source, of_own.runbook.file, REGISTRY)
    assert again.version == of_own.runbook.version, "the journal's copy needs nothing else"
    assert again.namespace == "shop"


def _parameters(ruling: Ruling) -> Any:
    assert ruling.runbook is not None, ruling.message
    (step,) = ruling.runbook.steps
    return step.parameters


def test_a_change_of_what_it_uses_is_a_new_version() -> None:
    acceptance = _acceptance()
    user = _held("user", USER)
    own = _fragment("frag", deployment="one")
    _, before = _judge(acceptance, own, user)
    changed = Held(
        own.resource,
        own.home,
        own.uid,
        2,
        own.created,
        {**own.spec, "steps": [{**own.spec["steps"][0], "action": "kubernetes.nothing"}]},
    )
    _, broken = _judge(acceptance, changed, user)
    assert not broken.accepted
    assert broken.runbook is before.runbook, "the last good version holds what it used then"
    assert 'unknown action "kubernetes.nothing"' in broken.message
    other = _fragment("frag", deployment="two")
    third = Held(other.resource, other.home, other.uid, 3, other.created, other.spec)
    _, after = _judge(acceptance, third, user)
    assert after.accepted
    assert _parameters(after)["deployment"] == "two"


def test_what_it_uses_is_confined_as_well(tmp_path: Path) -> None:
    files = _files(tmp_path, _FILE.format(name="frag").replace("FILE", "x").replace("shop", "pay"))
    (astray,) = _judge(_acceptance(), _held("user", USER), files=files)
    assert "it is about namespace pay" in astray.message
    assert f"{tmp_path}/0.yaml:5:5" in astray.message, "where it is written"
    (free,) = _judge(_acceptance(unconfined=("shop",)), _held("user", USER), files=files)
    assert free.accepted


def test_bounds() -> None:
    acceptance = _acceptance(most=2)
    rulings = _judge(acceptance, *(_held(name) for name in "abc"))
    assert [one.why for one in rulings] == [Why.IN_FORCE, Why.IN_FORCE, Why.TOO_MANY]
    assert "resources.most" in rulings[2].message
    (large,) = _judge(acceptance, _held("a", None, generation=2))
    assert large.why is Why.TOO_LARGE
    assert "larger than 256 KiB" in large.message
    assert large.runbook is not None


def test_people_are_held_against_the_settings() -> None:
    acceptance = _acceptance()
    (unknown,) = _judge(acceptance, _held("a", {**SPEC, "approval": {"approvers": ["nobody"]}}))
    assert unknown.message.startswith(
        'spec.approval.approvers[0]: shop/a: "nobody" is no group or person'
    )
    (quorum,) = _judge(
        acceptance, _held("b"), policy=Policy.model_validate({"approval": {"quorum": 2}})
    )
    assert "2 people must approve, and only 1 may" in quorum.message
    (fine,) = _judge(acceptance, _held("b"))
    assert fine.accepted


def test_every_shipped_runbook_is_accepted_as_a_resource() -> None:
    """All of them together, since they use each other, and where the operator lets them act."""
    held = [_held(one["name"], one) for _, one in shipped()]
    everybody = people.Names(groups={"sre-oncall": ("api:alice",)})
    notifiers = tuple(REGISTRY.notifiers)
    free = _acceptance(unconfined=("shop",), names=everybody, notifiers=notifiers, most=1000)
    refused = {one.held.home.name: one.message for one in _judge(free, *held) if not one.accepted}
    assert refused == {}
    assert len(held) > 9
    confined = _judge(_acceptance(names=everybody, notifiers=notifiers, most=1000), *held)
    assert any(one.accepted for one in confined)
    for one in confined:
        assert one.accepted or "acts in shop only" in one.message, one.message


def test_many_faults_fit_a_status() -> None:
    step = SPEC["steps"][0]
    steps = [{**step, "id": f"s{n}", "action": f"no.{'x' * 500}{n}"} for n in range(30)]
    (bad,) = _judge(_acceptance(), _held("a", {**SPEC, "steps": steps}))
    assert len(bad.message) < 4096
    assert len(_judge(_acceptance(), _held("a", {**SPEC, "steps": steps[:11]}))[0].message) < 4096


def test_a_spec_as_deep_as_the_client_reads_stops_nobody() -> None:
    deep: Any = "x"
    for _ in range(nesting.DEEPEST):
        deep = {"a": deep}
    good, bad = _judge(_acceptance(), _held("a"), _held("b", {**SPEC, "vars": {"v": deep}}))
    assert good.accepted
    assert bad.message == "nested too deeply"


def test_a_policy_makes_rules_and_keeps_its_last_good_ones() -> None:
    acceptance = _acceptance()
    home: dict[str, Any] = {"resource": POLICIES, "home": Home("shop", "careful")}
    (good,) = _judge(acceptance, _held("careful", {"mode": "observe"}, **home))
    assert [rule.name for rule in good.rules] == ["shop/careful"]
    (bad,) = _judge(acceptance, _held("careful", {"mode": "x"}, generation=2, **home))
    assert not bad.accepted
    assert bad.rules == good.rules
    assert bad.message.startswith("spec.mode")
