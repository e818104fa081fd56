"""`remediator record`: a runbook's test out of an alert and what its plan finds now."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.record_source import Source
    from remediator.engine.simulate import Answer, Simulated
    from remediator.plugin.registry import Registry
    from remediator.rehearsal.recording import Recording
    from remediator.settings import Settings

_ENDING = ".test.yaml"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked for on the command line."""

    alert: Path | None
    run: str | None
    incident: str | None
    labels: Mapping[str, str]
    offline: bool
    runbook: str | None
    to: Path | None
    raw: bool
    force: bool
    sender: str
    url: str


@click.command("record")
@click.argument(
    "alert", required=False, type=click.Path(path_type=Path, exists=True, allow_dash=True)
)
@click.option("--run", help="The alert of this run, from the daemon.")
@click.option("--incident", help="The alert of this incident, from the daemon.")
@click.option("--offline", is_flag=True, help="Read --run or --incident from the journal itself.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="The alert that has these labels and fires in Alertmanager; repeatable.",
)
@click.option("--runbook", help="Whose test it is, where several apply.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="The test's file, or a folder for it. Default: NAME.test.yaml beside the runbook.",
)
@click.option("--raw", is_flag=True, help="Write the notification to a file of its own.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option(
    "--runbooks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A folder or file of runbooks, in place of the settings'; repeatable.",
)
@options.sender
@options.url
@options.config
@click.pass_context
def command(
    ctx: click.Context,
    alert: Path | None,
    run: str | None,
    incident: str | None,
    offline: bool,
    labels: tuple[str, ...],
    runbook: str | None,
    to: Path | None,
    raw: bool,
    force: bool,
    runbooks: tuple[Path, ...],
    sender: str,
    url: str,
    config: Path | None,
) -> None:
    """Write a runbook's test from an alert and what the runbook's plan finds now.

    The alert comes from a file ALERT (- for standard input), from a run or an incident, or from
    Alertmanager by its labels. The runbook is planned against the live world, which is only read,
    and what it finds goes into the test: Kubernetes objects, series, HTTP answers; commands are not
    started. Secrets are masked. Then the test is played once.

    Exit code 0: it is written and passes; 1: it does not pass, or nothing is written.
    """
    from remediator.cli import api  # noqa: PLC0415 - keeps --help quick

    if sum(map(bool, (alert, run, incident, labels))) != 1:
        raise click.UsageError("give one of ALERT, --run, --incident and --label")
    if offline and not (run or incident):
        raise click.UsageError("--offline goes with --run or --incident")
    wanted = Wanted(
        alert, run, incident, api.pairs(labels), offline, runbook, to, raw, force, sender, url
    )
    settings = options.read_settings(config, **({"runbooks": runbooks} if runbooks else {}))
    if not _recorded(wanted, settings):
        ctx.exit(1)


def _recorded(wanted: Wanted, settings: "Settings") -> bool:
    """Record, write and play; returns whether the test passes."""
    from remediator.cli import runbook_files, show  # noqa: PLC0415 - keeps --help quick
    from remediator.rehearsal import recording as recordings  # noqa: PLC0415

    registry = runbook_files.registry()
    recording, file, raw = asyncio.run(_record(wanted, settings, registry))
    text = recordings.text(recording)
    if raw is not None:
        body = json.dumps(recordings.masked_body(recording.body), indent=2, ensure_ascii=False)
        _write(raw, f"{body}\n")
    _write(file, text)
    click.echo(f"wrote {file}")
    if raw is not None:
        click.echo(f"wrote {raw}")
    for doubt in recording.doubts:
        click.echo(show.clean(f"remediator: {doubt}"), err=True)
    return _played(file, registry)


def _played(file: Path, registry: "Registry") -> bool:
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick
    from remediator.observe import masking  # noqa: PLC0415
    from remediator.rehearsal import report, suite  # noqa: PLC0415

    outcome = suite.run([file], registry)
    if outcome.well:
        click.echo(f"it passes: remediator test {file}")
        return True
    click.echo("remediator: it does not pass yet; the simulation finds something else:", err=True)
    for line in report.failures(outcome):
        # What the runbook asked for, and the world does not know, is quoted as it was asked for.
        click.echo(show.clean(masking.text(line.text)), err=True)
    return False


async def _record(
    wanted: Wanted, settings: "Settings", registry: "Registry"
) -> tuple["Recording", Path, Path | None]:
    from remediator.cli import alert_files, recorder, runbook_files  # noqa: PLC0415
    from remediator.clients import seal  # noqa: PLC0415
    from remediator.engine import simulate  # noqa: PLC0415
    from remediator.observe import logs, masking  # noqa: PLC0415

    masking.know(logs.secrets_in(settings))
    masking.patterns(settings.mask)
    loaded = runbook_files.load(settings.runbooks, registry)
    async with recorder.recording(settings) as tape:
        source = await _source(wanted, settings, tape)
        notification = alert_files.parsed(source.body, Path(source.name), registry)
        if not notification.alerts:
            raise Failure(f"{source.name} holds no alert")
        world = recorder.world(tape, loaded, settings)
        with seal.sealed(tape.reading.ledger):
            answers = await simulate.simulate(notification, world, sender=source.sender)
        run = _chosen(answers, wanted.runbook or source.runbook)
        seen = tape.tape.objects or tape.tape.exchanges or tape.tape.commands
        if run.end.value == "failed" and not seen:
            raise Failure(f"{run.runbook.name} can't be planned here: {run.message}")
        file, raw = _files(run, wanted)
        series = await recorder.series(tape, settings, run.runbook.wait_for)
        return (
            recorder.put_together(
                run, notification, source.body, tape, series, settings, file, raw
            ),
            file,
            raw,
        )


async def _source(wanted: Wanted, settings: "Settings", tape: Any) -> "Source":
    from remediator.cli import record_source  # noqa: PLC0415 - keeps --help quick

    if wanted.alert is not None:
        return record_source.of_file(wanted.alert, wanted.sender)
    if wanted.labels:
        return await record_source.of_alertmanager(tape.reading, wanted.sender, wanted.labels)
    if wanted.offline:
        return await record_source.of_journal(settings, wanted.run, wanted.incident)
    return record_source.of_daemon(wanted.url, wanted.run, wanted.incident)


def _chosen(answers: Sequence["Answer"], name: str | None) -> "Simulated":
    """Return the run whose test it is.

    Raises:
        Failure: none or several would be, or its plan is not known.
    """
    runs = [run for answer in answers for run in answer.runs]
    named = [run for run in runs if not name or run.runbook.name == name]
    if not named:
        if name and runs:
            others = ", ".join(sorted({run.runbook.name for run in runs}))
            raise Failure(f"runbook {name} does not apply to this alert; these do: {others}")
        why = [f"{p.runbook}: {p.why}" for a in answers for p in a.passed]
        raise Failure("no runbook applies to this alert" + "".join(f"\n{one}" for one in why))
    if len({run.runbook.name for run in named}) > 1:
        names = ", ".join(sorted({run.runbook.name for run in named}))
        raise Failure(f"several runbooks apply: {names}; choose one with --runbook")
    run = named[0]
    if run.end.value == "pending":
        raise Failure(f"{run.runbook.name} can't be planned now: {run.message}")
    return run


def _files(run: "Simulated", wanted: Wanted) -> tuple[Path, Path | None]:
    """Return where the test goes, and its notification.

    Raises:
        Failure: a file is there already.
    """
    book = Path(run.runbook.file)
    to = wanted.to
    if to is None:
        file = book.with_name(f"{book.stem}{_ENDING}")
    elif to.is_dir() or not to.name.endswith((".yaml", ".yml")):
        file = to / f"{run.runbook.name}{_ENDING}"
    elif to.name.endswith((_ENDING, ".test.yml")):
        file = to
    else:
        raise Failure(f"--to {to}: a test's name ends in {_ENDING}")
    raw = file.with_name(f"{file.name.removesuffix(_ENDING)}.notification.json")
    for path in (file, raw) if wanted.raw else (file,):
        if path.exists() and not wanted.force:
            raise Failure(f"{path} is there already; name another with --to, or give --force")
    return file, raw if wanted.raw else None


def _write(file: Path, text: str) -> None:
    """Write a file whole, for its owner and group alone: what was seen may be nobody else's."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise Failure(f"{file}: cannot be written: {error.strerror}") from None
