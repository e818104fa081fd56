"""`remediator breaker`: the failure breakers of runbooks, through the running daemon."""

import click

from remediator.cli import options


@click.group("breaker")
def command() -> None:
    """See which runbooks kept failing, and let one act by itself again.

    While the breaker of a runbook is open, every one of its plans is held for a person.
    """


@command.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are closed, too.")
@options.url
@options.output
def list_(every: bool, url: str, output: str) -> None:
    """List the breakers that are open or half open.

    While one is half open, one automatic run at a time may show that the runbook works again.
    """
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    found = api.Api(url).get("/api/v1/breakers")
    if not every:
        found["items"] = [one for one in found["items"] if one["state"] != "closed"]
    if output == "json":
        show.as_json(found)
        return
    show.table(
        ("runbook", "state", "failures", "opened", "half open", "last reset"),
        (
            (
                one["runbook"],
                one["state"],
                one["failures"],
                show.time_of_day(one["opened_at"]),
                show.time_of_day(one["half_open_at"]),
                _reset(one["reset"]),
            )
            for one in found["items"]
        ),
        none="no runbook is in force" if every else "no failure breaker is open",
    )


def _reset(one: dict[str, str] | None) -> str:
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick

    return f"{show.time_of_day(one['at'])} by {one['by']}: {one['reason']}" if one else ""


@command.command("reset")
@click.argument("runbook")
@click.option(
    "--reason", required=True, help="What was wrong, and why it works again; kept on record."
)
@options.url
@options.output
def reset(runbook: str, reason: str, url: str, output: str) -> None:
    """Close a runbook's breaker: its earlier failures count no longer."""
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    path = f"/api/v1/breakers/{api.segment(runbook)}/reset"
    told = api.Api(url).post(path, {"reason": reason})
    if output == "json":
        show.as_json(told)
        return
    click.echo(f"the failure breaker of {runbook} is closed")
