"""`remediator snooze`: be asked later, through the running daemon."""

import click

from remediator.cli import options


@click.command("snooze")
@click.argument("run_id", metavar="ID")
@click.option("--for", "for_", required=True, metavar="SPAN", help="How long, like 30m; up to 8h.")
@click.option("--reason", default="", help="Kept in the audit log and shown to everyone.")
@options.url
@options.output
def command(run_id: str, for_: str, reason: str, url: str, output: str) -> None:
    """Put the question of the run ID (or a unique part of it) off.

    The run waits; then it is checked, planned and asked about anew. Answers that were given count
    no more. Only for a run that has changed nothing yet.
    """
    from remediator.cli import deciding  # noqa: PLC0415 - keeps --help quick

    deciding.snooze(run_id, for_=for_, reason=reason, url=url, output=output)
