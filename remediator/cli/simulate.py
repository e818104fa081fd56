"""`remediator simulate`: what would be done about an alert, and why not. Changes nothing."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import options

if TYPE_CHECKING:
    from remediator.cli.runbook_files import Files
    from remediator.engine.simulate import Answer
    from remediator.model.alerts import Notification
    from remediator.settings import Settings


@click.command("simulate")
@click.argument("alert", type=click.Path(path_type=Path, exists=True, allow_dash=True))
@click.option(
    "--runbooks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A folder or file of runbooks, in place of the settings'; repeatable.",
)
@options.against
@options.world
@options.sender
@options.config
@options.output
@click.pass_context
def command(
    ctx: click.Context,
    alert: Path,
    runbooks: tuple[Path, ...],
    against: str | None,
    world: Path | None,
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
    from remediator.cli import (  # noqa: PLC0415 - keeps --help quick
        alert_files,
        revisions,
        runbook_files,
        show,
        simulate_page,
    )

    settings = options.read_settings(config, **({"runbooks": runbooks} if runbooks else {}))
    registry = runbook_files.registry()
    notification = alert_files.parsed(alert_files.notification_body(alert), alert, registry)
    with ExitStack() as stack:
        sides = [runbook_files.files(settings, registry)]
        if against is not None:
            sides.append(stack.enter_context(revisions.files(against, settings, registry)))
        (answers, *others), with_history = simulated(
            notification, sides, settings, sender=sender, world=world
        )
    differences = simulate_page.differences(answers, others[0]) if others else None
    if output == "json":
        found = simulate_page.to_json(answers)
        if differences is not None:
            found["against"] = {"revision": against, "differences": differences}
        show.as_json(found)
    else:
        show.out(simulate_page.page(answers, with_history, against, differences))
    if not all(run.told for answer in answers for run in answer.runs):
        ctx.exit(1)


def simulated(
    notification: "Notification",
    sides: Sequence["Files"],
    settings: "Settings",
    *,
    sender: str = "default",
    world: Path | None = None,
) -> tuple[list[Sequence["Answer"]], bool]:
    """Simulate with each of these sets of runbooks; returns their answers, and whether the
    journal's history counted.

    Raises:
        Failure: the world can't be read.
    """
    return asyncio.run(_simulate(notification, sides, settings, sender, world))


async def _simulate(
    notification: "Notification",
    sides: Sequence["Files"],
    settings: "Settings",
    sender: str,
    file: Path | None,
) -> tuple[list[Sequence["Answer"]], bool]:
    from remediator.cli import reading  # noqa: PLC0415 - keeps --help quick
    from remediator.engine import simulate  # noqa: PLC0415
    from remediator.engine.clock import SystemClock  # noqa: PLC0415

    async with reading.looking(settings, world=file) as looking:
        answers = []
        for files in sides:
            world = reading.world(looking, settings, files, SystemClock())
            answers.append(await simulate.simulate(notification, world, sender=sender))
        return answers, looking.journal is not None
