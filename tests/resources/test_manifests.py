"""Proves how an object becomes text and back, and how faults name their place in it. Pure."""

import json
from typing import Any

import pytest

from remediator.plugin import registry
from remediator.runbook import document, manifests
from remediator.runbook.compile import compile_runbook
from remediator.runbook.findings import RunbookErrors
from remediator.runbook.manifests import Home
from tests.resources.making import SPEC

REGISTRY = registry.load(third_party=False)
HOME = Home("shop", "restart")


def _text(spec: Any) -> str:
    return manifests.text_of("Runbook", HOME, spec)


def _told(**more: Any) -> tuple[str, ...]:
    source = _text({**SPEC, **more})
    with pytest.raises(RunbookErrors) as refused:
        compile_runbook(source, "Runbook shop/restart", REGISTRY)
    return manifests.told(refused.value.findings, manifests.read("Runbook", HOME, {**SPEC, **more}))


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "1_000",
        "0b1",
        "null",
        "~",
        "2026-01-01",
        " spaces ",
        "",
        "a: b",
        "- a",
        "${{ labels.x }}",
        "two\nlines",
        "ends in a line\n",
        "\n  indented\n\nlast",
        "tab\tand bell\x07",
        "\u2028 and \ufeff and 😀",
        "trailing space \nnext",
        "%YAML 1.1\n---\n",
        "x" * 5000,
        [1, -0.5, 1e300, True, None, [], {}],
        {"on": "off", "": "empty key", "a.b/c": {"d": [{"e": None}]}},
    ],
)
def test_a_spec_comes_back_as_it_was(value: Any) -> None:
    (doc,) = document.parse(_text({"value": value}), "f")
    assert doc.value["spec"] == {"value": value}


def test_a_version_names_its_home() -> None:
    here = compile_runbook(_text(SPEC), "f", REGISTRY)
    there = compile_runbook(
        manifests.text_of("Runbook", Home("pay", "restart"), SPEC), "f", REGISTRY
    )
    assert (here.name, here.namespace) == ("shop/restart", "shop")
    assert here.version != there.version
    assert here.substance == there.substance, "what it does is the same"
    again = compile_runbook(here.source, here.file, REGISTRY)
    assert (again.name, again.version, again.namespace) == (here.name, here.version, "shop")


def test_a_fault_says_where_it_is() -> None:
    step: Any = SPEC["steps"][0]
    assert _told(**{"if": "lables.a == 'b'"}) == (
        'spec.if: unknown name "lables.a"; did you mean "labels.a"? [expression]',
    )
    assert _told(**{"if": "true && lables.a == 'b'"}) == (
        'spec.if, character 9: unknown name "lables.a"; did you mean "labels.a"? [expression]',
    )
    assert _told(**{"if": "true &&\n  lables.a == 'b'\n"}) == (
        "spec.if, line 2, character 3: "
        'unknown name "lables.a"; did you mean "labels.a"? [expression]',
    )
    assert _told(match=["a=b", 'a="']) == (
        "spec.match[1], character 3: matcher: the quote is not closed [matcher]",
    )
    (fault,) = _told(steps=[step, {**step, "id": "b", "action": "kubernetes.rollout"}])
    assert fault.startswith('spec.steps[1].action: unknown action "kubernetes.rollout"')
    (fault,) = _told(stepz=[])
    assert fault == 'spec.stepz: unknown key "stepz"; did you mean "steps"? [unknown-key]'
    (fault,) = _told(wait_for="5")
    assert fault.startswith("spec.wait_for: wait_for: '5' is no duration")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "Deployment"}, "not remediator.dev/v1alpha1 Runbook"),
        ({"apiVersion": "remediator.dev/v9"}, "not remediator.dev/v1alpha1 Runbook"),
        ({"metadata": {"name": "a"}}, "a resource acts in its own namespace"),
        ({"metadata": {"name": "a.b", "namespace": "shop"}}, "small letters, digits and -"),
        ({"metadata": None}, "metadata and spec"),
        ({"spec": []}, "metadata and spec"),
        ({"spec": {**SPEC, "name": "other"}}, "leave spec.name out"),
    ],
)
def test_what_is_no_such_resource(change: dict[str, Any], sentence: str) -> None:
    value = {
        "apiVersion": manifests.API_VERSION,
        "kind": "Runbook",
        "metadata": {"name": "restart", "namespace": "shop"},
        "spec": SPEC,
        **change,
    }
    with pytest.raises(RunbookErrors) as refused:
        compile_runbook(json.dumps(value), "f", REGISTRY)
    assert sentence in str(refused.value)
