"""`remediator new`: a first runbook and its test, from an alert or the rule that it comes of."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.plugin.registry import Registry
    from remediator.rehearsal.beginning import Known
    from remediator.runbook.alert_rules import AlertRule

_SCHEMAS = Path("config")
_TEMPLATE = "{{"


@click.command("new")
@click.argument("alertname", required=False)
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Prometheus rule file or a PrometheusRule manifest that holds the alert; repeatable.",
)
@click.option(
    "--from",
    "alert",
    type=click.Path(path_type=Path, exists=True, allow_dash=True),
    help="A file with the alert: a webhook body, or what amtool prints (- for standard input).",
)
@click.option("--incident", help="The alert of this incident, from the daemon.")
@click.option("--run", help="The alert of this run, from the daemon.")
@click.option("--offline", is_flag=True, help="Read --run or --incident from the journal itself.")
@click.option("--name", help="The runbook's name. Default: made from the alert's.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runbooks"),
    show_default=True,
    help="The folder to write to.",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@options.url
@options.config
def command(
    alertname: str | None,
    rules: tuple[Path, ...],
    alert: Path | None,
    incident: str | None,
    run: str | None,
    offline: bool,
    name: str | None,
    to: Path,
    force: bool,
    url: str,
    config: Path | None,
) -> None:
    """Begin a runbook for ALERTNAME, and its test.

    The matchers, and the labels that may be relied on, come from the alert's rule (--rules) or from
    an alert that was seen (--from, --incident, --run). What is proposed is the least change that
    could help by these labels; it only observes until you raise its mode. Both files are clean
    under `remediator check`, and the test passes.
    """
    from remediator.cli import runbook_files  # noqa: PLC0415 - keeps --help quick
    from remediator.rehearsal import beginning  # noqa: PLC0415

    if alertname and (Path(alertname).is_file() or alertname.endswith((".yaml", ".yml", ".json"))):
        raise click.UsageError(
            f"{alertname} is a file: give rules with --rules {alertname}, an alert with --from"
        )
    if sum(map(bool, (alert, incident, run))) > 1:
        raise click.UsageError("give one of --from, --incident and --run")
    if offline and not (run or incident):
        raise click.UsageError("--offline goes with --run or --incident")
    if alert or incident or run:
        known = _seen(alert, incident, run, offline=offline, url=url, config=config)
        if alertname and alertname != known.alertname:
            raise Failure(f"the alert is {known.alertname}, not {alertname}; leave the name out")
    elif rules:
        known = _of_rules(rules, alertname)
    elif alertname:
        known = beginning.Known(alertname, {})
    else:
        raise click.UsageError("name an alert, or say where it is: --rules, --from, --incident")
    chosen = name or beginning.name_of(known.alertname)
    if not beginning.is_name(chosen):
        raise Failure(f"{chosen!r} is no name for a runbook; use a-z, 0-9 and -")
    book, test = to / f"{chosen}.yaml", to / f"{chosen}.test.yaml"
    for file in (book, test):
        if file.exists() and not force:
            raise Failure(f"{file} is there already; give --name, --to, or --force")
    _write(book, beginning.runbook(known, chosen, _schema("runbook", book)))
    _write(test, beginning.test(known, chosen, _schema("test", test)))
    click.echo(f"wrote {book}\nwrote {test}")
    _proved(book, test, runbook_files.registry())


def _proved(book: Path, test: Path, registry: "Registry") -> None:
    """Load and play what was written; say how to go on."""
    from remediator.cli import runbook_files, show  # noqa: PLC0415 - keeps --help quick
    from remediator.rehearsal import report, suite  # noqa: PLC0415

    runbook_files.load([book], registry)
    outcome = suite.run([test], registry)
    if not outcome.well:
        lines = "\n".join(show.clean(line.text) for line in report.failures(outcome))
        raise Failure(f"the test does not pass yet:\n{lines}")
    click.echo(
        f"the test passes. Edit the runbook, then:\n"
        f"  remediator check {book}\n  remediator test -v {test}"
    )


def _seen(
    alert: Path | None,
    incident: str | None,
    run: str | None,
    *,
    offline: bool,
    url: str,
    config: Path | None,
) -> "Known":
    """Return what an alert says that was seen."""
    from remediator.cli import alert_files, record_source, runbook_files  # noqa: PLC0415
    from remediator.observe import masking  # noqa: PLC0415
    from remediator.rehearsal.beginning import Known  # noqa: PLC0415

    if alert is not None:
        source = record_source.of_file(alert, "default")
    elif offline:
        settings = options.read_settings(config)
        source = asyncio.run(record_source.of_journal(settings, run, incident))
    else:
        source = record_source.of_daemon(url, run, incident)
    parsed = alert_files.parsed(source.body, Path(source.name), runbook_files.registry())
    if not parsed.alerts:
        raise Failure(f"{source.name} holds no alert")
    first = parsed.alerts[0]
    labels = {key: masking.value(key, value) for key, value in first.labels.items()}
    annotations = {key: masking.value(key, value) for key, value in first.annotations.items()}
    if not labels.get("alertname"):
        raise Failure(f"{source.name}: its alert has no alertname")
    return Known(labels["alertname"], labels, (), annotations, "", Path(source.name).name)


def _of_rules(files: Sequence[Path], alertname: str | None) -> "Known":
    """Return what the rule of an alert says."""
    from remediator.rehearsal.beginning import Known  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook import alert_rules, document  # noqa: PLC0415
    from remediator.runbook.findings import RunbookErrors, did_you_mean  # noqa: PLC0415

    found: list[AlertRule] = []
    for file in files:
        try:
            found += alert_rules.load(file)
        except document.Unreadable as error:
            raise Failure(f"{file}: cannot be read: {error}") from None
        except RunbookErrors as error:
            raise Failure("\n".join(str(one) for one in error.findings)) from None
    names = sorted({rule.name for rule in found})
    if alertname is None:
        if len(names) != 1:
            raise Failure(f"the rules hold {len(names)} alerts; name one: {', '.join(names)}")
        alertname = names[0]
    mine = [rule for rule in found if rule.name == alertname]
    if not mine:
        hint = did_you_mean(alertname, names) or f"they hold {', '.join(names)}"
        raise Failure(f"the rules hold no alert {alertname}; {hint}")
    rule = mine[0]
    # Several rules of one name (a warning and a critical one) share what all of them carry.
    certain = {
        label: value
        for label, value in rule.carries.certain.items()
        if all(label in other.carries.certain for other in mine)
    }
    for label, value in certain.items():
        if any(other.carries.certain[label] != value for other in mine):
            certain[label] = None
    plain = {k: v for k, v in rule.annotations.items() if _TEMPLATE not in v}
    possible = sorted(rule.carries.possible - certain.keys())
    origin = f"{Path(rule.file).name}:{rule.line}"
    return Known(alertname, certain, possible, plain, rule.expr, origin)


def _schema(kind: str, file: Path) -> str:
    """Return where a JSON Schema is, relative to a file; empty where there is none."""
    schema = (_SCHEMAS / f"{kind}.schema.json").resolve()
    if not schema.is_file():
        return ""
    return Path(os.path.relpath(schema, file.parent.resolve())).as_posix()


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"{file}: cannot be written: {error.strerror}") from None
