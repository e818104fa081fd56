"""Proves that what docs/custom-resources.md shows is so."""

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from remediator.app.accepting import Why
from remediator.plugin import registry
from remediator.runbook import confinement, document, manifests, policy_resource
from remediator.runbook.compile import compile_runbook
from tests.resources.making import ROOT
from tests.servers.kubernetes import ControlPlane

PAGE = (ROOT / "docs" / "custom-resources.md").read_text()
BLOCKS = [
    (text, YAML(typ="safe", pure=True).load(text))
    for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
]
MANIFESTS = [(text, value) for text, value in BLOCKS if "kind" in value]


@pytest.mark.parametrize(("text", "value"), MANIFESTS, ids=[v["kind"] for _, v in MANIFESTS])
def test_its_resources_are_good(
    cluster: ControlPlane, namespace: str, text: str, value: Any
) -> None:
    if value["kind"] == manifests.RUNBOOK:
        runbook = compile_runbook(text, "page", registry.load(third_party=False))
        assert confinement.kept_home(runbook).name == "shop/restart-stuck"
    else:
        _, rules = policy_resource.rules_in(document.parse(text, "page")[0])
        assert [rule.name for rule in rules] == ["shop/careful", "shop/careful/databases"]
    cluster.apply({**value, "metadata": {**value["metadata"], "namespace": namespace}})


def test_it_has_both_kinds_and_every_reason() -> None:
    assert {value["kind"] for _, value in MANIFESTS} == {manifests.RUNBOOK, manifests.POLICY}
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == [why.value for why in Why]
