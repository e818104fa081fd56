"""`remediator policy`: the one in force, and what every guardrail says of a run or an alert."""

from pathlib import Path
from typing import Any

import click

from remediator.cli import options


@click.group("policy")
def command() -> None:
    """See the policy, and what it says. `remediator check` checks a policy file."""


@command.command("show")
@options.url
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="yaml for people, json for scripts.",
)
def show_(url: str, output: str) -> None:
    """Show the policy that the daemon judges by, defaults and all."""
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    found = api.Api(url).get("/api/v1/policy")
    if output == "json":
        show.as_json(found)
        return
    click.echo(f"# {found['file'] or 'in the settings'}, digest {found['digest'][:12]}")
    show.as_yaml(found["policy"])


@command.command("explain")
@click.argument("what", metavar="RUN|ALERT")
@click.option(
    "--offline",
    is_flag=True,
    help="Judge an alert by the files here, without asking a daemon.",
)
@options.config
@options.url
@options.output
@click.pass_context
def explain(
    ctx: click.Context, what: str, offline: bool, config: Path | None, url: str, output: str
) -> None:
    """Show every guardrail's verdict, why, and what lifts it.

    RUN is a run's id or a unique part of it: the daemon judges its newest plans as things are now.
    ALERT is a file (- for standard input) as for `remediator simulate`: the daemon says what it
    would do with it now; where none answers at the default address, the files here are judged, with
    the journal's history if it can be read. Changes nothing.
    """
    from remediator.cli import verdict_page  # noqa: PLC0415 - keeps --help quick

    if what != "-" and not Path(what).is_file():
        if what.endswith(".json"):
            raise click.UsageError(f"there is no file {what}")
        found = _of_run(what, url)
        _print(found, output, verdict_page.of_run(found))
        return
    given = ctx.get_parameter_source("url") is not click.core.ParameterSource.DEFAULT
    found, how = _of_alert(Path(what), config, None if offline else url, sure=given)
    _print(found, output, verdict_page.of_alerts(found, how))


def _print(found: dict[str, Any], output: str, page: Any) -> None:
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick

    if output == "json":
        show.as_json(found)
    else:
        show.out(page)


def _of_run(run_id: str, url: str) -> dict[str, Any]:
    from remediator.cli import api  # noqa: PLC0415 - keeps --help quick

    return api.Api(url).get(f"/api/v1/runs/{api.segment(run_id)}/verdicts")


def _of_alert(
    path: Path, config: Path | None, url: str | None, *, sure: bool
) -> tuple[dict[str, Any], str]:
    """Return the answers and how they came about.

    Args:
        url: where to ask; None to ask nobody.
        sure: somebody named the daemon, so that it must answer.
    """
    from remediator.cli import alert_files, api, runbook_files, simulate, simulate_page  # noqa: PLC0415

    body = alert_files.notification_body(path)
    if url is not None:
        try:
            found = api.Api(url).post("/api/v1/explain", body)
        except api.Unreachable:
            if sure:
                raise
        else:
            return found, f"judged by the daemon at {url}, with the journal's history"
    settings = options.read_settings(config)
    registry = runbook_files.registry()
    notification = alert_files.parsed(body, path, registry)
    files = runbook_files.files(settings, registry)
    (answers,), with_history = simulate.simulated(notification, [files], settings)
    history = "with the journal's history" if with_history else "without history"
    nobody = "" if url is None else f"no daemon answers at {url}; "
    return simulate_page.to_json(answers), f"{nobody}judged by the files here, {history}"
