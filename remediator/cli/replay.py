"""`remediator replay`: recorded notifications through today's runbooks. Changes nothing."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.recorded import Reading, Wanted
    from remediator.engine.replay import Moment
    from remediator.plugin.registry import Registry
    from remediator.settings import Settings

_TELL_EVERY = 200


@click.command("replay")
@click.argument("recording", required=False, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--since",
    help="How far back, like 30d, or a time like 2026-11-01. Default: 30d for the journal, all of "
    "a RECORDING.",
)
@click.option("--until", help="Up to then: a time, or how long ago. Default: now.")
@options.against
@options.world
@click.option("--no-plans", is_flag=True, help="Plan nothing: matching and limits alone.")
@click.option(
    "--approvals",
    type=click.Choice(["all", "none"]),
    default="all",
    show_default=True,
    help="Whether people say yes at once, or nobody answers.",
)
@click.option(
    "--runbooks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A folder or file of runbooks, in place of the settings'; repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Show runs that do not differ, too.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if any run differs.")
@options.sender
@options.limit
@options.config
@options.output
@click.pass_context
def command(
    ctx: click.Context,
    recording: Path | None,
    since: str | None,
    until: str | None,
    against: str | None,
    world: Path | None,
    no_plans: bool,
    approvals: str,
    runbooks: tuple[Path, ...],
    everything: bool,
    exit_code: bool,
    sender: str,
    limit: int,
    config: Path | None,
    output: str,
) -> None:
    """Show what today's runbooks would have done with recorded notifications, and what differs.

    RECORDING is a file or folder of notifications (.json or .jsonl); without it the journal of the
    settings is read, beside a running daemon or without one, and what would be is held against what
    happened. Each run that would be is taken as carried out at its time, so that cooldowns, rates
    and breakers see the replay's own past. Targets are only read; nothing can be changed.
    """
    from remediator.cli.recorded import Wanted  # noqa: PLC0415 - keeps --help quick
    from remediator.engine.clock import SystemClock  # noqa: PLC0415

    now = SystemClock().now()
    journal = recording is None
    wanted = Wanted(
        recording,
        _moment("--since", since or ("30d" if journal else None), now),
        _moment("--until", until, now) or now,
        until is not None,
        against,
        world,
        not no_plans,
        approvals == "all",
        sender,
        runbooks,
    )
    if wanted.since is not None and wanted.since >= wanted.until:
        raise click.UsageError("--since: it is not before --until")
    settings = options.read_settings(config, **({"runbooks": runbooks} if runbooks else {}))
    differing = asyncio.run(_replay(wanted, settings, output, limit, everything))
    if exit_code and differing:
        ctx.exit(1)


def _moment(name: str, text: str | None, now: datetime) -> datetime | None:
    """Read a time, or how long ago it was."""
    from remediator.model.quantities import parse_duration  # noqa: PLC0415 - keeps --help quick

    if text is None:
        return None
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    except OverflowError:
        raise click.UsageError(f"{name}: {text!r} is longer ago than any time") from None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"{name}: {text!r} is neither a duration like 30d nor a time like 2026-11-01T10:00Z"
        ) from None
    return at.replace(tzinfo=at.tzinfo or now.tzinfo).astimezone(now.tzinfo)


async def _replay(
    wanted: "Wanted", settings: "Settings", output: str, limit: int, everything: bool
) -> int:
    """Replay and print; returns how many runs differ."""
    from remediator.cli import (  # noqa: PLC0415 - keeps --help quick
        reading,
        recorded,
        replay_page,
        revisions,
        runbook_files,
    )
    from remediator.engine.clock import SystemClock  # noqa: PLC0415
    from remediator.engine.replay.assumed import Assumed, Turned  # noqa: PLC0415
    from remediator.engine.replay.course import Course  # noqa: PLC0415
    from remediator.engine.replay.pairing import replay  # noqa: PLC0415

    registry = runbook_files.registry()
    clock = Turned(SystemClock(), wanted.since or wanted.until)
    assumed = Assumed(
        approved=wanted.approved,
        plans=wanted.plans,
        of_the_time=wanted.world is not None,
        hold=settings.worker.hold,
        give_up=settings.worker.give_up,
    )
    told = recorded.Reading(progress=_progress())
    async with AsyncExitStack() as stack:
        sides = [runbook_files.files(settings, registry)]
        if wanted.against is not None:
            others = revisions.files(wanted.against, settings, registry)
            sides.append(stack.enter_context(others))
        looking = await stack.enter_async_context(
            reading.looking(settings, at=clock.now, world=wanted.world)
        )
        moments = _moments(wanted, settings, registry, told, looking.journal)
        courses = [
            Course(reading.world(looking, settings, files, clock), clock, assumed)
            for files in sides
        ]
        compared = wanted.recording is None or wanted.against is not None
        page = replay_page.printer(output, limit=limit, everything=everything, compared=compared)
        page.begin()
        async for pair in replay(moments, *courses):
            page.add(pair)
        _over()
        page.end(wanted, told, courses[0].unmatched, looking.ledger)
        if told.unread and not told.replayed:
            raise Failure(f"nothing could be read: {told.unreadable[0]}")
        return page.tally.differing if compared else 0


def _moments(
    wanted: "Wanted",
    settings: "Settings",
    registry: "Registry",
    told: "Reading",
    journal: Any,
) -> AsyncIterator["Moment"]:
    from remediator.cli import recorded  # noqa: PLC0415 - keeps --help quick
    from remediator.journal import urls  # noqa: PLC0415

    if wanted.recording is not None:
        until = wanted.until if wanted.ends else None
        return recorded.of_files(
            wanted.recording, registry, wanted.sender, wanted.since, until, told
        )
    if journal is None:
        raise Failure(
            f"there is no journal at {urls.shown(settings.journal)} to replay; name another in the "
            "settings, or a folder of recorded notifications"
        )
    since = wanted.since or wanted.until - timedelta(days=30)
    return recorded.of_journal(journal, registry, since, wanted.until, told)


def _progress() -> Callable[["Reading"], None]:
    """Return what tells on a terminal how far it is."""
    if not sys.stderr.isatty():
        return lambda _: None

    def tell(told: "Reading") -> None:
        done = told.replayed + told.unread
        if done % _TELL_EVERY == 0:
            of = f" of {told.expected:,}" if told.expected else ""
            click.echo(f"\rreplayed {done:,}{of} notifications\x1b[K", nl=False, err=True)

    return tell


def _over() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
