"""`remediator check`: validate and lint runbooks, the policy and settings."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.checking import Checked
    from remediator.runbook.findings import Finding, Severity

_SEVERITIES = click.Choice(["error", "warning", "info"])


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="PATH…")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="REMEDIATOR_CONFIG",
    help="A settings file to check as well, and to hold the runbooks against.",
)
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A rule file of Prometheus, a PrometheusRule, or a folder of them: which labels the "
    "alerts have; repeatable.",
)
@click.option(
    "--journal",
    default="",
    metavar="URL",
    help="A journal whose last incidents tell which labels alerts carry. Default: the settings' "
    "one, where it is a file that is there.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="text for people, json for scripts, sarif for code scanning, github for annotations.",
)
@click.option(
    "--severity",
    type=_SEVERITIES,
    default="info",
    show_default=True,
    help="Show what is as grave as this, or graver.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    default="warning",
    show_default=True,
    help="Exit with 1 for what is as grave as this, or graver.",
)
@click.option("--fix", is_flag=True, help="Mend in the files what can be mended.")
@click.option("--explain", metavar="CODE", help="Say what a finding means, and how to mend it.")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    config: Path | None,
    rules: tuple[Path, ...],
    journal: str,
    output: str,
    severity: str,
    fail_on: str,
    fix: bool,
    explain: str | None,
) -> None:
    """Check runbooks, policies and settings, and lint the runbooks.

    PATH is a folder or file of runbooks, a policy, a settings file or a rule file; the policy that
    the settings name is checked with them. Exit code 0: clean, 1: findings, 2: usage.

    A comment `# remediator: ignore CODE reason` beside a line, or above it, silences a warning.
    """
    from remediator.cli import checking, runbook_files  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import Severity  # noqa: PLC0415

    if explain is not None:
        click.echo(_explained(explain))
        return
    if not paths and config is None:
        raise click.UsageError("name what to check: remediator check runbooks/")
    wanted = checking.Wanted(paths, [config] if config else [], rules, journal)
    registry = runbook_files.registry()
    fixed: Sequence[Finding] = ()
    if fix:
        from remediator.cli import fixing  # noqa: PLC0415 - keeps --help quick

        checked, fixed = fixing.fix(lambda: checking.check(wanted, registry))
    else:
        checked = checking.check(wanted, registry)
    _show(checked, fixed, output, Severity(severity))
    if fail_on != "never":
        grave = any(one.severity.reaches(Severity(fail_on)) for one in checked.findings)
        ctx.exit(1 if grave else 0)


def _show(checked: "Checked", fixed: Sequence["Finding"], output: str, least: "Severity") -> None:
    from remediator.cli import check_formats, sarif, show  # noqa: PLC0415 - --help quick

    seen = replace(
        checked, findings=[one for one in checked.findings if one.severity.reaches(least)]
    )
    if output == "json":
        show.as_json(check_formats.to_json(seen, fixed))
        return
    if output == "sarif":
        from importlib.metadata import version  # noqa: PLC0415 - slow, and only here

        show.as_json(sarif.of(seen, version("remediator"), Path.cwd()))
        return
    for one in fixed:
        assert one.fix is not None  # noqa: S101 - that is how it was mended
        click.echo(
            show.clean(f"{one.file}:{one.line}:{one.column}: fixed: {one.fix.does} [{one.code}]"),
            err=output != "text",
        )
    for line in check_formats.github(seen) if output == "github" else check_formats.text(seen):
        click.echo(line)


def _explained(code: str) -> str:
    from remediator.runbook.findings import did_you_mean  # noqa: PLC0415 - --help quick
    from remediator.runbook.lint import catalogue  # noqa: PLC0415

    known = catalogue.codes()
    if code not in known:
        hint = did_you_mean(code, known) or f"{catalogue.PAGE} lists them"
        raise Failure(f'there is no finding "{code}"; {hint}')
    return f"{code}\n\n{known[code].text}"
