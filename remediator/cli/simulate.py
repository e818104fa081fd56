"""`remediator simulate`: what would be done about an alert, and why not. Changes nothing."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options

if TYPE_CHECKING:
    from remediator.engine.simulate import Answer
    from remediator.model.alerts import Notification
    from remediator.model.policy import Policy
    from remediator.plugin.registry import Registry
    from remediator.settings import Settings


@click.command("simulate")
@click.argument("alert", type=click.Path(path_type=Path, exists=True, allow_dash=True))
@click.option(
    "--runbooks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A folder or file of runbooks, in place of the settings'; repeatable.",
)
@options.sender
@options.config
@options.output
@click.pass_context
def command(
    ctx: click.Context,
    alert: Path,
    runbooks: tuple[Path, ...],
    sender: str,
    config: Path | None,
    output: str,
) -> None:
    """Show which runbooks an alert would start, each step's plan, and every guardrail's verdict.

    ALERT is a file (- for standard input) with the body of Alertmanager's webhook, one alert, or a
    list of alerts as `amtool alert -o json` prints it. Targets are only read, whatever the
    credentials allow; no command is started. The history of the journal in the settings counts, if
    there is one.

    Exit code 0: it could be told what would be done, refused and held included; 1: a run would
    fail, or it can't be told.
    """
    from remediator.cli import alert_files, runbook_files, show, simulate_page  # noqa: PLC0415

    settings = options.read_settings(config, **({"runbooks": runbooks} if runbooks else {}))
    registry = runbook_files.registry()
    notification = alert_files.parsed(alert_files.notification_body(alert), alert, registry)
    answers, with_history = simulated(notification, settings, registry, sender)
    if output == "json":
        show.as_json(simulate_page.to_json(answers))
    else:
        show.out(simulate_page.page(answers, with_history))
    if not all(run.told for answer in answers for run in answer.runs):
        ctx.exit(1)


def simulated(
    notification: "Notification", settings: "Settings", registry: "Registry", sender: str
) -> tuple[Sequence["Answer"], bool]:
    """Simulate with the files here; returns the answers, and whether history counted.

    Raises:
        Failure: runbooks or policy have faults.
    """
    from remediator.cli import runbook_files  # noqa: PLC0415 - keeps --help quick

    loaded = runbook_files.load(settings.runbooks, registry)
    policy = runbook_files.policy(settings)
    return asyncio.run(_simulate(notification, loaded, settings, policy, sender))


async def _simulate(
    notification: "Notification",
    loaded: Sequence[Any],
    settings: "Settings",
    policy: "Policy",
    sender: str,
) -> tuple[Sequence["Answer"], bool]:
    from remediator.cli import reading  # noqa: PLC0415 - keeps --help quick
    from remediator.engine import simulate  # noqa: PLC0415

    async with reading.looking(settings) as looking:
        world = simulate.World(
            runbooks=loaded,
            policy=policy,
            clock=looking.clock,
            context_for=looking.context_for,
            journal=looking.journal,
            default_approvers=settings.default_approvers,
            silencing=reading.silencing(settings),
            ledger=looking.ledger,
        )
        answers = await simulate.simulate(notification, world, sender=sender)
        return answers, looking.journal is not None
