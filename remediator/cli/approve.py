"""`remediator approve`: say yes to what a run wants to change, through the running daemon."""

import click

from remediator.cli import options


@click.command("approve")
@click.argument("run_id", metavar="ID")
@click.option("--reason", default="", help="Kept in the audit log and shown to everyone.")
@click.option(
    "--approval", default="", help="The question that was seen, as `approval.id` of the run."
)
@click.option("--yes", is_flag=True, help="Do not ask once more.")
@options.url
@options.output
def command(run_id: str, reason: str, approval: str, yes: bool, url: str, output: str) -> None:
    """Say yes to the plans of the run ID (or a unique part of it, six characters or more).

    Shows the exact change, its impact and the way back, and asks once more.
    """
    from remediator.cli import deciding  # noqa: PLC0415 - keeps --help quick

    deciding.decide(
        "approve", run_id, reason=reason, approval=approval, yes=yes, url=url, output=output
    )
