"""`remediator pause`: a kill switch, through the running daemon."""

import shlex
from typing import Any

import click

from remediator.cli import options


@click.command("pause")
@click.option(
    "--scope",
    default="*",
    show_default=True,
    help="* for everything, runbook:NAME, or scope:NAMESPACE.",
)
@click.option("--for", "for_", metavar="DURATION", help="Like 1h; until it is lifted if left out.")
@click.option("--reason", default="", help="Kept in the audit log and shown to everyone.")
@click.option("--list", "only_list", is_flag=True, help="Only list what is paused now.")
@options.url
@options.output
def command(
    scope: str, for_: str | None, reason: str, only_list: bool, url: str, output: str
) -> None:
    """Stop changes in a scope; undo and escalation go on."""
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    if only_list:
        _list(api.Api(url).get("/api/v1/controls"), output)
        return
    body = {"scope": scope, "reason": reason, **({"for": for_} if for_ else {})}
    control = api.Api(url).post("/api/v1/controls", body)
    if output == "json":
        show.as_json(control)
        return
    until = f"until {show.time_of_day(control['until'])}" if control["until"] else "until lifted"
    scoped = "" if scope == "*" else f" --scope {shlex.quote(scope)}"
    what = "everything" if control["scope"] == "*" else control["scope"]
    click.echo(f"paused {what} {until}; lift it with: remediator resume{scoped}")


def _list(controls: dict[str, Any], output: str) -> None:
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick

    if output == "json":
        show.as_json(controls)
        return
    show.table(
        ("scope", "by", "since", "until", "reason"),
        (
            (
                one["scope"],
                one["by"],
                show.time_of_day(one["since"]),
                show.time_of_day(one["until"]) or "lifted",
                one["reason"],
            )
            for one in controls["items"]
        ),
        none="nothing is paused",
    )
