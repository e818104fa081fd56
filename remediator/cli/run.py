"""`remediator run`: start a runbook by hand, through the running daemon."""

import click

from remediator.cli import options


@click.command("run")
@click.argument("name")
@click.option("--label", "-l", "labels", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@options.url
@options.output
def command(name: str, labels: tuple[str, ...], url: str, output: str) -> None:
    """Start the runbook NAME, with labels in place of an alert's.

    It is planned, judged by the guardrails and approved like any other run.
    """
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    body = {"runbook": name, "labels": api.pairs(labels)}
    started = api.Api(url).post("/api/v1/runs", body)
    if output == "json":
        show.as_json(started)
        return
    click.echo(f"started {started['id']}; follow it with: remediator runs show {started['id']}")
