"""`remediator actions`: the catalogue of actions and probes, with their parameters."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.plugin.action import ActionParams, AnyOperation


@click.command("actions")
@click.argument("name", required=False)
@options.output
def command(name: str | None, output: str) -> None:
    """List the actions, or show one: its parameters, what its credentials need, an example."""
    from remediator.cli import runbook_files, show  # noqa: PLC0415 - keeps --help quick

    known = runbook_files.registry().operations
    if name is None:
        listed = [_summary(known[one]) for one in sorted(known)]
        if output == "json":
            show.as_json({"items": listed, "next": None})
            return
        show.table(
            ("name", "does", "summary"),
            ((one["name"], one["kind"], one["summary"]) for one in listed),
            none="no actions",
        )
        return
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`remediator actions` lists them"
        raise Failure(f"there is no action {name!r}; {hint}")
    if output == "json":
        show.as_json(_whole(known[name]))
        return
    _show(_whole(known[name]))


def _summary(operation: "AnyOperation") -> dict[str, Any]:
    from remediator.plugin.action import Action  # noqa: PLC0415 - keeps --help quick

    kind = "changes" if isinstance(operation, Action) else "reads"
    return {"name": operation.name, "kind": kind, "summary": operation.summary}


def _whole(operation: "AnyOperation") -> dict[str, Any]:
    return {
        **_summary(operation),
        "parameters": _with_defaults(operation.Params),
        "permissions": _permissions(operation),
        "result": dict(getattr(operation, "Output", {})),
        "example": operation.example.strip("\n"),
    }


def _with_defaults(params: "type[ActionParams]") -> dict[str, Any]:
    from remediator.model.quantities import YamlSchema  # noqa: PLC0415 - keeps --help quick

    return params.model_json_schema(by_alias=True, schema_generator=YamlSchema)


def _permissions(operation: "AnyOperation") -> list[dict[str, Any]]:
    """Return what the credentials need for the example's parameters."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - keeps --help quick

    params = operation.Params.model_validate(YAML(typ="safe", pure=True).load(operation.example))
    return [
        {"system": p.system, "resource": p.resource, "verbs": list(p.verbs)}
        for p in operation.permissions(params)
    ]


def _show(one: Mapping[str, Any]) -> None:
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick

    click.secho(f"{one['name']}", bold=True, nl=False)
    click.echo(f"  {one['kind']}")
    click.echo(one["summary"])
    click.echo()
    show.table(
        ("parameter", "type", "default", "meaning"),
        _parameters(one["parameters"]),
        none="no parameters",
    )
    if one["result"]:
        click.echo()
        show.table(("steps.ID.result.", "type"), one["result"].items(), none="")
    if one["permissions"]:
        click.echo()
        show.table(
            ("needs in", "resource", "verbs"),
            ((p["system"], p["resource"], ", ".join(p["verbs"])) for p in one["permissions"]),
            none="",
        )
    click.echo("\nexample")
    click.echo(f"  action: {one['name']}\n  with:")
    for line in one["example"].splitlines():
        click.echo(f"    {line}".rstrip())


def _parameters(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick

    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else show.value(field.get("default"))
        meaning = " ".join(field.get("description", "").split())
        yield name, _type(field, definitions), default, meaning


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say a JSON Schema's type in a few words."""
    if "$ref" in field:
        return _type(definitions[field["$ref"].rpartition("/")[2]], definitions)
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    for union in ("anyOf", "oneOf"):
        if union in field:
            parts = [_type(one, definitions) for one in field[union]]
            return " | ".join(dict.fromkeys(p for p in parts if p != "null"))
    kind = field.get("type", "any")
    if kind == "array":
        inner = field.get("items")
        return f"list of {_type(inner, definitions)}" if inner else "list"
    if kind == "object":
        inner = field.get("additionalProperties")
        return f"map of {_type(inner, definitions)}" if isinstance(inner, Mapping) else "map"
    if isinstance(kind, list):
        return " | ".join(kind)
    if kind == "string" and field.get("examples"):
        return f"{kind}, like {field['examples'][0]}"
    return str(kind)
