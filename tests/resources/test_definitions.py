"""Proves that deploy/crds is what the models say, and structural; without a server."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from docs import pages
from remediator.runbook import crds
from remediator.runbook.policy_resource import PolicyResourceSpec
from remediator.runbook.schema import RunbookSpec
from tests.cli.commands import remediator
from tests.resources.making import CRDS, yaml_of

DEFINITIONS = {one["metadata"]["name"]: one for one in crds.definitions()}


def test_the_files_are_what_the_models_say() -> None:
    made = pages.definitions()
    found = {file.name: file.read_text() for file in CRDS.glob("*.yaml")}
    assert found == made, "run: python docs/pages.py"
    assert [one for file in sorted(CRDS.glob("*.yaml")) for one in yaml_of(file)] == [
        DEFINITIONS[name] for name in sorted(DEFINITIONS)
    ]


def test_schema_prints_both(tmp_path: Any) -> None:
    shown = remediator("schema", "--crd")
    assert shown.returncode == 0
    (tmp_path / "crds.yaml").write_text(shown.stdout)
    assert yaml_of(tmp_path / "crds.yaml") == list(DEFINITIONS.values())
    assert remediator("schema", "--crd", "--policy").returncode == 2


def _schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema below one, itself included."""
    yield value
    for inner in value.get("properties", {}).values():
        yield from _schemas(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(value.get(key), dict):
            yield from _schemas(value[key])


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_value_has_one_type_a_bound_and_no_default(name: str) -> None:
    (version,) = DEFINITIONS[name]["spec"]["versions"]
    whole = version["schema"]["openAPIV3Schema"]
    count = 0
    for one in _schemas(whole["properties"]["spec"]):
        count += 1
        assert not one.keys() & {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "default"}
        assert not {"properties", "additionalProperties"} <= one.keys()
        free = one.get("x-kubernetes-preserve-unknown-fields", False)
        assert free or "type" in one, one
        match one.get("type"):
            case "string":
                assert "enum" in one or "maxLength" in one
            case "array":
                assert "maxItems" in one
            case "object":
                assert free or "properties" in one or "maxProperties" in one
    assert count > 40


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> None:
    if model in seen:
        return
    seen.add(model)
    for field in model.model_fields.values():
        for inner in _in(field.annotation):
            _models(inner, seen)


def _in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _in(inner)


def test_every_validator_of_the_models_has_a_rule_or_a_reason() -> None:
    models: set[type[BaseModel]] = set()
    for root in (RunbookSpec, PolicyResourceSpec):
        _models(root, models)
    # What `model_validator` says of a whole mapping; a field's own is a pattern or the daemon's.
    validated = {
        model.__name__
        for model in models
        if model.__pydantic_decorators__.model_validators and model.__module__ != "pydantic.main"
    }
    assert validated, "the models have validators"
    told = set(crds.RULES) | set(crds.IN_THE_DAEMON)
    assert validated <= told, f"say it in crds.RULES or crds.IN_THE_DAEMON: {validated - told}"
    names = {model.__name__ for model in models}
    assert told <= names | {"Window"}, f"no such model: {told - names}"


def test_every_key_has_a_description() -> None:
    spec = DEFINITIONS["runbooks.remediator.dev"]["spec"]["versions"][0]["schema"]
    properties = spec["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert {name for name, one in properties.items() if not one.get("description")} == set()
