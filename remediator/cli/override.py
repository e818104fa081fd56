"""`remediator override`: lift a guardrail for one run, once, through the running daemon."""

import click

from remediator.cli import options


@click.command("override")
@click.argument("run_id", metavar="RUN")
@click.option("--guardrail", required=True, help="As verdicts name it: cooldown.")
@click.option("--reason", required=True, help="Why; kept in the audit log and shown to everyone.")
@options.url
@options.output
def command(run_id: str, guardrail: str, reason: str, url: str, output: str) -> None:
    """Lift a guardrail for one run, once.

    A run that the guardrail ended is started again with the override, if its alert still fires; a
    run that waits gets it. Only people whom the policy names may (policy.override), only for the
    guardrails that it lists, and only for a while. `remediator policy explain RUN` shows what holds
    a run.
    """
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    told = api.Api(url).post(
        f"/api/v1/runs/{api.segment(run_id)}/override", {"guardrail": guardrail, "reason": reason}
    )
    if output == "json":
        show.as_json(told)
        return
    click.echo(told["message"])
    click.echo(f"follow it with: remediator runs show {told['id']}")
