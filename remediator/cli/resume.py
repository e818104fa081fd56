"""`remediator resume`: lift a pause, through the running daemon."""

import click

from remediator.cli import options


@click.command("resume")
@click.option(
    "--scope",
    default="*",
    show_default=True,
    help="As it was given to pause: * for everything, runbook:NAME, or scope:NAMESPACE.",
)
@options.url
@options.output
def command(scope: str, url: str, output: str) -> None:
    """Lift a pause. (An interrupted run goes on with `remediator runs resume`.)"""
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick
    from remediator.cli.failure import Failure  # noqa: PLC0415

    daemon = api.Api(url)
    try:
        lifted = daemon.delete(f"/api/v1/controls/{api.segment(scope)}")
    except api.ProblemFailure as error:
        if error.status != 404:
            raise
        paused = [one["scope"] for one in daemon.get("/api/v1/controls")["items"]]
        there = f"paused now: {', '.join(paused)}" if paused else "nothing is paused now"
        raise Failure(f"{scope} is not paused; {there}") from None
    if output == "json":
        show.as_json(lifted)
        return
    click.echo(f"lifted the pause of {'everything' if scope == '*' else scope}")
    left = [one["scope"] for one in daemon.get("/api/v1/controls")["items"]]
    if left:
        click.echo(f"still paused: {', '.join('everything' if s == '*' else s for s in left)}")
