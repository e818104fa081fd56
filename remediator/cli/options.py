"""Options that several commands share, so that they mean the same everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_CONFIG = Path("config/remediator.yaml")

output: Callable[[F], F] = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="table for people, json for scripts.",
)

url: Callable[[F], F] = click.option(
    "--url",
    envvar="REMEDIATOR_URL",
    default="http://127.0.0.1:9095",
    show_default=True,
    help="The running daemon; or $REMEDIATOR_URL.",
)

config: Callable[[F], F] = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="REMEDIATOR_CONFIG",
    help="The settings file; or $REMEDIATOR_CONFIG. Default: config/remediator.yaml if there.",
)

sender: Callable[[F], F] = click.option(
    "--sender",
    default="default",
    show_default=True,
    help="Which of `senders` in the settings the alert comes from.",
)

against: Callable[[F], F] = click.option(
    "--against",
    metavar="REV",
    help="Compare with the runbooks (and the policy file) of another Git revision.",
)

world: Callable[[F], F] = click.option(
    "--world",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Plan against a recorded world (a test, a world's file, manifests), not the live one.",
)

limit: Callable[[F], F] = click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="At most so many, the newest first.",
)


def config_path(given: Path | None) -> Path | None:
    """Return the settings file to read, None for defaults and environment alone."""
    if given is None and DEFAULT_CONFIG.is_file():
        return DEFAULT_CONFIG
    return given


def read_settings(given: Path | None, **overrides: Any) -> "Settings":
    """Read the settings.

    Raises:
        Failure: they can't be used; each fault with its key.
    """
    from remediator import settings  # noqa: PLC0415 - pydantic is slow to import

    try:
        return settings.load(config_path(given), **overrides)
    except settings.SettingsError as error:
        raise Failure(str(error)) from None
