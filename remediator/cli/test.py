"""`remediator test`: play the tests of runbooks."""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.rehearsal.play import Played
    from remediator.rehearsal.report import Printed
    from remediator.rehearsal.suite import FileResult, Outcome

_COLOURS: Mapping[str, Mapping[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "head": {"bold": True},
    "expected": {"fg": "green"},
    "found": {"fg": "red"},
    "faint": {"dim": True},
}


@click.command("test")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH…",
)
@click.option(
    "-k",
    "chosen",
    multiple=True,
    metavar="TEXT",
    help="Only tests whose file or name contains this; repeatable.",
)
@click.option("-v", "--verbose", is_flag=True, help="A line for each test, in place of a dot.")
@click.option("--story", is_flag=True, help="Tell what happened in tests that pass, too.")
@click.option("--coverage", "show_coverage", is_flag=True, help="Show what no test goes through.")
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail when any runbook's coverage is below this; one without a test has 0.",
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what came of it as JUnit XML, too.",
)
@options.output
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    chosen: tuple[str, ...],
    verbose: bool,
    story: bool,
    show_coverage: bool,
    fail_under: float | None,
    junit: Path | None,
    output: str,
) -> None:
    """Play the tests of runbooks with the real engine and actions on a simulated world.

    PATH is a folder, a runbook (its test is NAME.test.yaml beside it) or a test file. Nothing is
    changed and nobody is asked anywhere. Exit code 0: all passed, 1: something did not, 2: usage.
    """
    from remediator.cli import runbook_files, show  # noqa: PLC0415 - keeps --help quick
    from remediator.observe import masking  # noqa: PLC0415
    from remediator.rehearsal import report, suite  # noqa: PLC0415

    began = time.perf_counter()
    progress = _Progress(verbose=verbose) if output == "table" else None
    outcome = suite.run(
        paths,
        runbook_files.registry(),
        chosen=chosen,
        say=progress.say if progress else lambda file, played: None,
    )
    took_s = time.perf_counter() - began
    if junit is not None:
        _write(junit, outcome, took_s)
    low = [one for one in outcome.coverage if fail_under is not None and one.percent < fail_under]
    if output == "json":
        show.as_json(masking.document(report.to_json(outcome, took_s)))
    else:
        _print(report.failures(outcome, passed_too=story))
        if show_coverage:
            click.echo()
            _print(report.covered(outcome.coverage))
        click.echo()
        _print(report.untested(outcome))
        _print([report.summary(outcome, took_s)])
    for one in low:
        click.echo(
            f"remediator: {one.runbook}: its tests cover {one.percent:.0f}%, under {fail_under:g}%",
            err=True,
        )
    ctx.exit(0 if outcome.well and not low else 1)


class _Progress:
    """Says how it goes, as it goes."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._begun: Path | None = None

    def say(self, file: "FileResult", played: "Played | None") -> None:
        """Show one test, or the end of a file."""
        from remediator.rehearsal import report  # noqa: PLC0415 - keeps --help quick

        if self._verbose:
            if played is not None:
                _print([report.named(file, played)])
            return
        if self._begun != file.path and (played is not None or file.findings):
            self._begun = file.path
            click.echo(f"{file.path} ", nl=False)
        if played is not None:
            _print([report.dot(played)], end="")
        elif file.findings:
            _print([report.Printed("E", report.Style.BAD)])
        elif self._begun == file.path:
            click.echo()


def _print(lines: "Iterable[Printed]", *, end: str = "\n") -> None:
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick
    from remediator.observe import masking  # noqa: PLC0415

    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for line in lines:
        style = _COLOURS.get(line.style, {}) if coloured else {}
        text = show.clean(masking.text(line.text))
        click.echo((click.style(text, **style) if style else text) + end, nl=False)


def _write(path: Path, outcome: "Outcome", took_s: float) -> None:
    from remediator.rehearsal import junit  # noqa: PLC0415 - keeps --help quick

    try:
        path.write_bytes(junit.written(outcome, took_s))
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None
