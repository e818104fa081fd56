"""JSON Schema (draft 2020-12) of runbooks and fragments, for editors: completion, hover, faults.

Made from the models in `schema` and the parameters of every action. What an editor can't see (names
of other documents, types of expressions) is left to `remediator check`.
"""

from typing import Any

from remediator.model.quantities import YamlSchema
from remediator.plugin.registry import Registry
from remediator.runbook.schema import EXPRESSION_PATTERN, ONLY_RUNBOOKS, RunbookSpec


def json_schema(registry: Registry) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document, with each action's parameters."""
    schema = RunbookSpec.model_json_schema(by_alias=True, schema_generator=YamlSchema)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "remediator runbook"
    schema["description"] = (
        "A runbook; or, without match, a fragment: steps that runbooks use by its name."
    )
    schema["required"] = [key for key in schema["required"] if key != "match"]
    others = [key for key in ONLY_RUNBOOKS if key != "match"]
    schema["if"] = {"anyOf": [{"required": [key]} for key in others]}
    schema["then"] = {"required": ["match"]}
    schema["properties"]["repeat"] = _plainly(schema["properties"]["repeat"])
    definitions = schema.setdefault("$defs", {})
    given = _with_of_actions(definitions, registry)
    names = sorted(registry.operations)
    about = [registry.operations[name].summary for name in names]
    for key in ("StepSpec", "MemberSpec"):
        step = definitions[key]
        properties = step["properties"]
        properties["action"] = {
            **_plainly(properties["action"]),
            "enum": names,
            "enumDescriptions": about,  # no keyword of JSON Schema; what editors show of each value
        }
        for name in ("use", "parallel", "steps") if key == "StepSpec" else ("use",):
            properties[name] = _plainly(properties[name])
        forms = ("action", "use", "steps") if key == "StepSpec" else ("action", "use")
        # Exactly one of them: editors name the key with these, and not with oneOf.
        step["anyOf"] = [{"required": [form]} for form in forms]
        step["allOf"] = [*given, *_exclusions(forms)]
    (written, _) = definitions["StepSpec"]["properties"]["for_each"]["anyOf"]
    written["patternErrorMessage"] = "Write a list, or an expression that gives one: ${{ … }}"
    definitions["VerifySpec"]["properties"]["action"] |= {
        "enum": [*names, None],
        "enumDescriptions": [*about, "None: the alert must clear."],
    }
    definitions["VerifySpec"]["allOf"] = given
    return schema


def _with_of_actions(definitions: dict[str, Any], registry: Registry) -> list[dict[str, Any]]:
    """Define each action's parameters; return what chooses them by the action's name."""
    chosen = []
    for name in sorted(registry.operations):
        operation = registry.operations[name]
        params = operation.Params.model_json_schema(by_alias=True, schema_generator=YamlSchema)
        key = f"with.{name}"
        definitions.update(params.pop("$defs", {}))
        params["description"] = operation.summary
        definitions[key] = _templated(params)
        needed = ["with"] if params.get("required") else []
        chosen.append(
            {
                "if": {"properties": {"action": {"const": name}}, "required": ["action"]},
                "then": {"properties": {"with": {"$ref": f"#/$defs/{key}"}}, "required": needed},
            }
        )
    return chosen


def _exclusions(forms: tuple[str, ...]) -> list[dict[str, Any]]:
    """Say which keys can't stand beside which."""
    rules: list[dict[str, Any]] = [_without("use", "action", "timeout", "retry")]
    if "steps" in forms:
        alone = ("action", "use", "with", "timeout", "retry", "for_each", "most")
        rules.append(_without("steps", *alone))
        rules.append(
            {
                "if": {"required": ["most"]},
                "then": {"required": ["for_each"]},
            }
        )
        rules.append(
            {
                "if": {"required": ["parallel"]},
                "then": {"anyOf": [{"required": ["for_each"]}, {"required": ["steps"]}]},
            }
        )
    return rules


def _without(key: str, *others: str) -> dict[str, Any]:
    return {"if": {"required": [key]}, "then": {"properties": dict.fromkeys(others, False)}}


def _plainly(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key that may be left out, but not be null."""
    kept = {k: v for k, v in schema.items() if k not in ("anyOf", "default")}
    (inner,) = [one for one in schema["anyOf"] if one != {"type": "null"}]
    return {**inner, **kept}


def _templated(schema: dict[str, Any]) -> dict[str, Any]:
    """Let every parameter also be an expression."""
    expression = {"type": "string", "pattern": EXPRESSION_PATTERN}
    properties = schema.get("properties", {})
    for name, inner in properties.items():
        notes = {k: inner.pop(k) for k in ("description", "default", "examples") if k in inner}
        properties[name] = {**notes, "anyOf": [inner, expression]}
    return schema
