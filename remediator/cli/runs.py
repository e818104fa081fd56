"""`remediator runs`: look at runs, answer for one, cancel one, let an interrupted one go on."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from remediator.cli import options

_F = TypeVar("_F", bound=Callable[..., Any])


def _listing(function: _F) -> _F:
    """Give a command the options of the list."""
    for option in (
        options.output,
        options.url,
        options.limit,
        click.option("--incident", "incident_id", help="Only this incident's."),
        click.option("--runbook", help="Only this runbook's."),
        click.option("--state", "states", multiple=True, help="Only in this state; repeatable."),
    ):
        function = option(function)
    return function


@click.group("runs", invoke_without_command=True)
@_listing
@click.pass_context
def command(ctx: click.Context, /, **wanted: Any) -> None:
    """List runs (also without a further word); show, cancel or resume one.

    ID is a run's id, or a unique part of it of six characters or more.
    """
    word = ctx.invoked_subcommand
    if word is None:
        _list(**wanted)
        return
    for name in ctx.params:
        # Silently looking at another daemon than the one that was named would be worse.
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"write options after the word: remediator runs {word} …")


@command.command("list")
@_listing
def list_(**wanted: Any) -> None:
    """List runs, the newest first."""
    _list(**wanted)


def _list(
    *,
    states: tuple[str, ...],
    runbook: str | None,
    incident_id: str | None,
    limit: int,
    url: str,
    output: str,
) -> None:
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    found = api.Api(url).items(
        "/api/v1/runs",
        limit,
        state=states or None,
        runbook=runbook,
        incident_id=incident_id,
    )
    if output == "json":
        show.as_json(found)
        return
    show.table(
        ("id", "state", "age", "took", "runbook", "target", "message"),
        (
            (
                show.short_id(one["id"]),
                one["state"],
                show.ago(one["created_at"]),
                show.ago(one["created_at"], show.when(one["ended_at"])) if one["ended_at"] else "",
                one["runbook"],
                one["target"],
                one["message"],
            )
            for one in found["items"]
        ),
        breaking=3,
        none="no runs like that" if states or runbook or incident_id else "no runs yet",
    )


@command.command("show")
@click.argument("run_id", metavar="ID")
@options.url
@options.output
def show_(run_id: str, url: str, output: str) -> None:
    """Show one run: why, what it would change or has changed, who may decide."""
    from remediator.cli import api, run_page, show  # noqa: PLC0415 - keeps --help quick

    view = api.Api(url).get(f"/api/v1/runs/{api.segment(run_id)}")
    if output == "json":
        show.as_json(view)
        return
    show.out(run_page.page(view))


@command.command("cancel")
@click.argument("run_id", metavar="ID")
@click.option("--reason", default="", help="Kept in the audit log and shown to everyone.")
@options.url
@options.output
def cancel(run_id: str, reason: str, url: str, output: str) -> None:
    """Stop a run before its next change."""
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    told = api.Api(url).post(f"/api/v1/runs/{api.segment(run_id)}/cancel", {"reason": reason})
    if output == "json":
        show.as_json(told)
    elif told["outcome"] == "requested":
        click.echo(f"run {told['id']} is in the middle of a change, and ends after it")
    else:
        click.echo(f"cancelled run {told['id']}")


@command.command("ack")
@click.argument("run_id", metavar="ID")
@click.option("--reason", default="", help="Kept in the audit log and shown to everyone.")
@options.url
@options.output
def ack(run_id: str, reason: str, url: str, output: str) -> None:
    """Say that you look at it: nobody else is called for this run."""
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    told = api.Api(url).post(f"/api/v1/runs/{api.segment(run_id)}/acknowledge", {"reason": reason})
    if output == "json":
        show.as_json(told)
    elif told["outcome"] == "repeated":
        click.echo(f"somebody had answered for run {told['id']} before")
    else:
        click.echo(f"acknowledged run {told['id']}; nobody else is called")


@command.command("resume")
@click.argument("run_id", metavar="ID")
@click.option(
    "--how",
    type=click.Choice(["done", "repeat", "undo"]),
    required=True,
    help="done: the change was made, go on after it. repeat: it was not, make it. "
    "undo: take back what was done.",
)
@options.url
@options.output
def resume(run_id: str, how: str, url: str, output: str) -> None:
    """Let an interrupted run go on, as you found the world.

    A run is interrupted when the daemon died inside a change that nothing can check. Look at the
    target first: `remediator runs show ID` says which.
    """
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    told = api.Api(url).post(f"/api/v1/runs/{api.segment(run_id)}/resume", {"how": how})
    if output == "json":
        show.as_json(told)
        return
    click.echo(f"run {told['id']} goes on; follow it with: remediator runs show {told['id']}")
