"""`remediator deny`: say no to what a run wants to change, through the running daemon."""

import click

from remediator.cli import options


@click.command("deny")
@click.argument("run_id", metavar="ID")
@click.option("--reason", default="", help="Kept in the audit log and shown to everyone.")
@options.url
@options.output
def command(run_id: str, reason: str, url: str, output: str) -> None:
    """Say no to the plans of the run ID (or a unique part of it, six characters or more).

    The answer counts for the plans as they are now; look at them with `remediator runs show ID`.
    """
    from remediator.cli import deciding  # noqa: PLC0415 - keeps --help quick

    deciding.decide("deny", run_id, reason=reason, yes=True, url=url, output=output)
