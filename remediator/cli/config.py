"""`remediator config`: the settings in force, secrets masked."""

from pathlib import Path
from typing import Any

import click

from remediator.cli import options


def masked(value: Any) -> Any:
    """Return the settings without the passwords that stand in URLs."""
    from remediator.observe import masking  # noqa: PLC0415 - keeps --help quick

    if isinstance(value, dict):
        return {key: masked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    if isinstance(value, str):
        return masking.PASSWORD_IN_URL.sub(r"\g<before>**********", value)
    return value


@click.command("config")
@options.config
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="yaml for people, json for scripts.",
)
def command(config: Path | None, output: str) -> None:
    """Show the settings as file, environment and defaults make them, secrets masked."""
    from remediator.cli import runbook_files, show  # noqa: PLC0415 - keeps --help quick

    settings = options.read_settings(config)
    if settings.policy_file is not None:  # what is in force, and not the defaults beside it
        settings = settings.model_copy(update={"policy": runbook_files.policy(settings)})
    # pydantic writes a secret as stars, and None as null; nothing here ever sees its value.
    values = masked(settings.model_dump(mode="json", by_alias=True))
    if output == "json":
        show.as_json(values)
        return
    origin = options.config_path(config)
    click.echo(f"# {origin or 'no settings file: defaults and environment'}")
    show.as_yaml(values)
