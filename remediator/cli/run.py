"""`remediator run`: start a runbook by hand, through the running daemon."""

import click

from remediator.cli import options


@click.command("run")
@click.argument("name")
@click.option("--label", "-l", "labels", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@click.option(
    "--param",
    "-p",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="One of the runbook's parameters; a list is written a,b. Repeatable.",
)
@options.url
@options.output
def command(
    name: str, labels: tuple[str, ...], params: tuple[str, ...], url: str, output: str
) -> None:
    """Start the runbook NAME, with labels in place of an alert's.

    It is planned, judged by the guardrails and approved like any other run. Parameters that are not
    given have the runbook's defaults.
    """
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    body: dict[str, object] = {"runbook": name, "labels": api.pairs(labels)}
    if params:
        body["parameters"] = api.pairs(params, "--param", "parameter")
    started = api.Api(url).post("/api/v1/runs", body)
    if output == "json":
        show.as_json(started)
        return
    click.echo(f"started {started['id']}; follow it with: remediator runs show {started['id']}")
