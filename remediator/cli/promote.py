"""`remediator promote`: propose the next mode for runbooks that have earned it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.promoting import Proposed
    from remediator.runbook.runbook import Runbook


@click.command("promote")
@click.argument("runbook", required=False)
@click.option(
    "--runbooks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A folder or file of runbooks, in place of the settings'; repeatable.",
)
@click.option("--write", is_flag=True, help="Change the `mode:` lines in the files here.")
@options.config
@options.url
@options.output
@click.pass_context
def command(
    ctx: click.Context,
    runbook: str | None,
    runbooks: tuple[Path, ...],
    write: bool,
    config: Path | None,
    url: str,
    output: str,
) -> None:
    """Propose observe → approve → auto, one step at a time, for the runbook files here.

    The running daemon tells what each runbook showed, and whether that meets the policy's bars
    (policy.trust). Prints a diff of the file, and what is met or missing; with --write the file is
    changed, its comments stay, and the daemon takes it over like any change.

    Exit code 0: a promotion is proposed (or written), 1: there is nothing to propose, or it failed,
    2: usage.
    """
    from remediator.cli import api, promoting, runbook_files, show  # noqa: PLC0415

    settings = options.read_settings(config, **({"runbooks": runbooks} if runbooks else {}))
    local = {one.name: one for one in runbook_files.load(settings.runbooks, _registry())}
    if runbook is not None:
        local = {runbook: _named(runbook, local)}
    found = api.Api(url).get("/api/v1/report", runbook=runbook)
    served = {one["runbook"]: one for one in found["items"] if one["in_force"]}
    proposals = [promoting.propose(one, served.get(name)) for name, one in sorted(local.items())]
    if write:
        promoting.write(proposals)
    if output == "json":
        show.as_json({"items": [promoting.to_json(one, written=write) for one in proposals]})
    else:
        _print(proposals, write)
        _ceiling(proposals, found["policy_mode"])
    if not any(one.diff for one in proposals):
        ctx.exit(1)


def _ceiling(proposals: "Sequence[Proposed]", policy: str) -> None:
    """Say so where the policy lets nobody go as far as is proposed."""
    order = ("observe", "approve", "auto")
    if any(one.diff and order.index(one.to) > order.index(policy) for one in proposals):
        click.echo(f"the policy's mode is {policy}: until it is raised, no runbook goes further")


def _registry() -> Any:
    from remediator.cli import runbook_files  # noqa: PLC0415 - keeps --help quick

    return runbook_files.registry()


def _named(name: str, local: "Mapping[str, Runbook]") -> "Runbook":
    from remediator.runbook.findings import did_you_mean  # noqa: PLC0415 - keeps --help quick

    if name not in local:
        hint = did_you_mean(name, local) or "`--runbooks` or the settings say where to look"
        raise Failure(f"no runbook here is called {name!r}; {hint}")
    return local[name]


def _print(proposals: "Sequence[Proposed]", written: bool) -> None:
    for one in proposals:
        to = f"{one.mode} → {one.to}" if one.diff else f"stays {one.mode}"
        click.echo(f"{one.name}: {to}{' (written)' if one.diff and written else ''}")
        if one.why_not:
            click.echo(f"  {one.why_not}")
        for bar in one.bars:
            click.echo(f"  {'met    ' if bar['met'] else 'missing'}  {bar['text']}")
        if one.diff:
            click.echo(one.diff, nl=False)
