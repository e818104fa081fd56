"""`remediator schema`: JSON Schemas of runbooks, their tests, the policy and the settings."""

from typing import Any

import click


@click.command("schema")
@click.option("--config", "of_settings", is_flag=True, help="Of the settings, not of runbooks.")
@click.option("--policy", "of_policy", is_flag=True, help="Of the policy file, not of runbooks.")
@click.option("--test", "of_tests", is_flag=True, help="Of runbook tests, not of runbooks.")
@click.option("--crd", "as_crd", is_flag=True, help="The CustomResourceDefinitions, as YAML.")
def command(of_settings: bool, of_policy: bool, of_tests: bool, as_crd: bool) -> None:
    """Print the JSON Schema.

    An editor completes and checks a file that begins with
    `# yaml-language-server: $schema=PATH`, where PATH is a file that holds what this prints.
    """
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick

    if of_settings + of_policy + of_tests + as_crd > 1:
        raise click.UsageError("give one of --config, --policy, --test and --crd")
    if as_crd:
        from remediator.runbook import crds  # noqa: PLC0415

        click.echo("---\n".join(map(crds.text, crds.definitions())), nl=False)
        return
    if of_tests:
        from remediator.rehearsal import schema as tests  # noqa: PLC0415

        schema = tests.json_schema()
    elif of_policy:
        from remediator.runbook import policy_file  # noqa: PLC0415

        schema = policy_file.json_schema()
    elif of_settings:
        from remediator.model.quantities import YamlSchema  # noqa: PLC0415
        from remediator.settings import Settings  # noqa: PLC0415

        schema = Settings.model_json_schema(by_alias=True, schema_generator=YamlSchema)
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        schema["title"] = "remediator settings"
        for part in schema["$defs"].values():
            _offer_files(part)
    else:
        from remediator.cli import runbook_files  # noqa: PLC0415
        from remediator.runbook.json_schema import json_schema  # noqa: PLC0415

        schema = json_schema(runbook_files.registry())
    show.as_json(schema)


def _offer_files(section: dict[str, Any]) -> None:
    """Say that every secret may also be read from a file (`remediator.settings.Section`)."""
    properties = section.get("properties", {})
    for name in [name for name, field in properties.items() if _is_secret(field)]:
        properties[f"{name}_file"] = {
            "type": "string",
            "format": "path",
            "description": f"A file to read {name} from; give one of the two.",
        }
        if name in section.get("required", ()):
            section["required"].remove(name)


def _is_secret(field: dict[str, Any]) -> bool:
    return any(one.get("format") == "password" for one in (field, *field.get("anyOf", ())))
