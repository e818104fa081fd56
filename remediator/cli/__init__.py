"""The command line: one file for each command; nothing here decides anything.

Each command's module is imported only when it is used, so that `remediator --help` is quick. A
command reads its arguments, calls `app`, the daemon's API (`api`) or the layers below, and shows
the answer (`show`). A user's mistake is a `failure.Failure`: one message that says what to do
next, never a stack trace. Exit codes: 0 fine, 1 findings or failure, 2 usage.
"""

import importlib
from typing import Any

import click

COMMANDS = {
    "serve": "Run the daemon.",
    "demo": "See the whole story on this machine: a service breaks and is repaired.",
    "new": "Begin a runbook and its test from an alert.",
    "check": "Check and lint runbooks, the policy and settings.",
    "test": "Play the tests of runbooks on a simulated world.",
    "simulate": "Show what would be done about an alert, and why not; changes nothing.",
    "replay": "Show what today's runbooks would have done with what was recorded.",
    "record": "Write a test of a runbook from an alert and what it finds now.",
    "run": "Start a runbook by hand.",
    "runs": "List runs; show, acknowledge, cancel or resume one.",
    "approve": "Approve what a run wants to change.",
    "deny": "Deny what a run wants to change.",
    "snooze": "Put a question off for a while.",
    "approvals": "List what waits for a person, for whom, and until when.",
    "incidents": "List firing episodes.",
    "policy": "Show the policy, and what every guardrail says of a run or an alert.",
    "override": "Lift a guardrail for one run, once, with a reason.",
    "pause": "Stop automatic changes: everywhere, of a runbook, or in a scope.",
    "resume": "Lift a pause.",
    "breaker": "List the runbooks that kept failing; reset one.",
    "report": "How often each runbook ran, helped, was refused, and the time it saved.",
    "promote": "Propose observe → approve → auto for runbooks that have earned it.",
    "audit": "Verify or export the audit chain.",
    "db": "Migrate, back up, restore or prune the journal.",
    "rbac": "Print the smallest roles that the runbooks need.",
    "schema": "Print the JSON Schema of runbooks, of the policy or of the settings.",
    "actions": "The catalogue of actions and probes.",
    "config": "Show the settings in force, secrets masked.",
    "notify": "List who is told, and try it with a test note.",
}
"""Every command with its line in `--help`; the module of the same name holds `command`."""


class LazyGroup(click.Group):
    """Imports a command's module when the command is used, and not for the list of commands."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Begin; the program is called `remediator`, also as `python -m remediator`."""
        return super().make_context("remediator", args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the story, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"remediator.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table above, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest right name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = _nearest(args[0])
            hint = f"did you mean {near}?" if near else "`remediator --help` lists them"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


def _nearest(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    return next(iter(get_close_matches(name, COMMANDS, n=1)), "")


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version  # noqa: PLC0415 - slow, and only for --version

    click.echo(f"remediator {version('remediator')}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def main(**_: Any) -> None:
    """Alerts in; safe, approved, verified and recorded repairs out.

    Begin with `remediator demo`. Commands that speak to a running daemon find it by --url or
    $REMEDIATOR_URL, and take their token from $REMEDIATOR_TOKEN or $REMEDIATOR_TOKEN_FILE.
    """
