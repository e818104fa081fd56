"""The JSON Schema for editors: every key says what it is, what loads is valid, and the mistakes
that an editor can see are faults there, too."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from remediator.plugin import registry as plugins
from remediator.runbook.compile import compile_file
from remediator.runbook.findings import RunbookErrors
from remediator.runbook.json_schema import json_schema

REGISTRY = plugins.load(third_party=False)
SCHEMA = json_schema(REGISTRY)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HEAD = "name: a\ndescription: x\n"
LOOK = "action: http.check, with: {url: 'http://x'}"
FRAGMENT = (
    f"---\nname: f\ndescription: x\nparameters: {{n: {{default: a}}}}\nsteps: [{{id: a, {LOOK}}}]"
)


def keys(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every key that an author may write, with its schema."""
    if isinstance(schema, list):
        for inner in schema:
            yield from keys(inner, path)
    elif isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            if isinstance(inner, dict):
                yield (*path, name), inner
        for name, inner in schema.items():
            if name not in ("if", "then", "default", "examples"):
                yield from keys(inner, (*path, name))


def said(schema: Any) -> str:
    """What an editor shows about a key: its own words, else those of what it refers to."""
    if "description" in schema or "$ref" not in schema:
        return str(schema.get("description", ""))
    return str(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]].get("description", ""))


def test_it_is_a_schema_of_its_draft() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_key_says_what_it_is() -> None:
    found = list(keys(SCHEMA))
    assert len(found) > 100
    assert not [path for path, schema in found if not said(schema)]


def test_every_key_of_the_language_has_an_example() -> None:
    own = {**SCHEMA, "$defs": {n: d for n, d in SCHEMA["$defs"].items() if "with." not in n}}
    shown = ("examples", "enum", "$ref", '"boolean"', "const")
    bare = [path for path, schema in keys(own) if not any(word in _text(schema) for word in shown)]
    assert [path for path in bare if "escalate" not in path] == []


def _text(schema: Any) -> str:
    return str(schema).replace("'", '"')


@pytest.mark.parametrize(
    "source",
    [
        HEAD + f"match: [a=b]\nsteps: [{{id: a, {LOOK}}}]",
        HEAD + f"steps: [{{id: a, {LOOK}}}]",
        HEAD + f"match: [a=b]\nmode: auto\nsteps: [{{id: a, if: 'true', {LOOK}, timeout: 1m}}]",
        HEAD + "match: [a=b]\nsteps: [{id: a, use: f, with: {n: x}}]" + "\n" + FRAGMENT,
        HEAD
        + f"match: [a=b]\nsteps: [{{id: a, for_each: [x], most: 2, parallel: 2, {LOOK}}}]"
        + "\nrepeat: {mode: queued, key: '${{ labels.a }}', most: 5}\noutputs: {x: 1}",
        HEAD + f"match: [a=b]\nsteps: [{{id: a, parallel: 2, steps: [{{id: b, {LOOK}}}]}}]",
        HEAD
        + f"match: [a=b]\nparameters: {{n: {{}}, m: {{type: list, default: [a], maximum: 3}}}}\n"
        f"steps: [{{id: a, {LOOK}}}]".replace("n: {}, ", ""),
    ],
)
def test_what_loads_is_valid(source: str) -> None:
    assert compile_file(source, "a.yaml", REGISTRY) or "match" not in source
    for value in YAML(typ="safe", pure=True).load_all(source):
        VALIDATOR.validate(value)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("steps: [{id: a}]", "is not valid under any of the given schemas"),
        (f"steps: [{{id: a, use: f, {LOOK}}}]", "False schema does not allow"),
        (f"steps: [{{id: a, parallel: 2, {LOOK}}}]", "is not valid under any"),
        (f"steps: [{{id: a, most: 2, {LOOK}}}]", "'for_each' is a required property"),
        ("steps: [{id: a, use: f, timeout: 5m}]", "False schema does not allow"),
        (f"steps: [{{id: a, with: {{}}, steps: [{{id: b, {LOOK}}}]}}]", "False schema"),
        (f"steps: [{{id: a, steps: [{{id: b, for_each: [x], {LOOK}}}]}}]", "'for_each' was unexpe"),
        ("steps: [{id: a, action: http.chek}]", "'http.chek' is not one of"),
        ("steps: [{id: a, action: http.check, with: {uri: x}}]", "'uri' was unexpected"),
        (f"steps: [{{id: a, {LOOK}}}]\nmode: auto", "'match' is a required property"),
        (f"steps: [{{id: a, {LOOK}}}]\nparameters: {{n: {{tipe: x}}}}", "'tipe' was unexpected"),
        (f"steps: [{{id: a, {LOOK}}}]\nparameters: {{n: {{type: text}}}}", "'text' is not one of"),
        (f"match: [a=b]\nsteps: [{{id: a, {LOOK}}}]\nrepeat: {{mode: twice}}", "'twice' is not"),
    ],
)
def test_an_editor_sees_these_as_well(steps: str, message: str) -> None:
    source = HEAD + steps
    with pytest.raises(RunbookErrors):
        compile_file(source, "a.yaml", REGISTRY)
    value = YAML(typ="safe", pure=True).load(source)
    faults = list(VALIDATOR.iter_errors(value))
    assert any(message in fault.message for fault in faults), [fault.message for fault in faults]
