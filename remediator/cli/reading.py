"""What `simulate`, `replay` and `record` look at: clients that only read, and the journal likewise.

The one place where these commands get anything that could reach a target. Nothing else may be made
here: no notifier, no journal that can be written, no client without its read-only stand-in.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.app.reading import Reading
    from remediator.cli.runbook_files import Files
    from remediator.engine.ports import ContextFor
    from remediator.engine.would import Ledger, World
    from remediator.journal.protocol import Journal
    from remediator.model.clock import Clock
    from remediator.settings import Settings


@dataclass(frozen=True, slots=True)
class Looking:
    """What there is to look at, for as long as the command works."""

    clients: Mapping[type, object]
    ledger: "Ledger"
    journal: "Journal | None"
    clock: "Clock"
    """By which plugins tell the time."""

    @property
    def context_for(self) -> "ContextFor":
        """Makes plugins' contexts."""
        from remediator.engine.context import ReadingContext  # noqa: PLC0415 - keeps --help quick

        return lambda run_id, names: ReadingContext(
            run_id, self.clock, self.clients, self.journal, names
        )


@asynccontextmanager
async def looking(
    settings: "Settings",
    *,
    at: Callable[[], datetime] | None = None,
    world: Path | None = None,
) -> AsyncIterator[Looking]:
    """Look at the world of the settings, or at a recorded one, and at the journal if there is one.

    Args:
        at: the time for which Prometheus is asked; None for now.
        world: a file that holds the world to look at; its time stands still, a test's where its
            first expectation is.

    Raises:
        Failure: the world can't be read.
    """
    from remediator.app.reading import reading_clients  # noqa: PLC0415 - keeps --help quick
    from remediator.clients import seal  # noqa: PLC0415
    from remediator.engine.clock import SystemClock  # noqa: PLC0415
    from remediator.observe import logs, masking  # noqa: PLC0415

    masking.know(logs.secrets_in(settings))
    masking.patterns(settings.mask)
    clock: Clock = SystemClock()
    if world is None:
        reading = reading_clients(settings, at=at)
    else:
        reading, clock = _recorded(settings, world)
    opened = await open_journal(settings)
    try:
        with seal.sealed(reading.ledger, addresses(settings)):
            yield Looking(reading.clients, reading.ledger, opened, clock)
    finally:
        await reading.close()
        if opened is not None:
            await opened.close()


def _recorded(settings: "Settings", path: Path) -> tuple["Reading", "Clock"]:
    """Return clients that look at a recorded world, and its clock."""
    from remediator.app.reading import reading_clients  # noqa: PLC0415 - keeps --help quick
    from remediator.cli import runbook_files  # noqa: PLC0415
    from remediator.engine.clock import SystemClock  # noqa: PLC0415
    from remediator.rehearsal import files as tests  # noqa: PLC0415
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415
    from remediator.settings import PrometheusSettings, Sender  # noqa: PLC0415
    from remediator.simulated import files  # noqa: PLC0415
    from remediator.simulated.alertmanager import ALERTMANAGER_URL  # noqa: PLC0415
    from remediator.simulated.http import PROMETHEUS_URL  # noqa: PLC0415
    from remediator.simulated.world import World as Simulated  # noqa: PLC0415
    from remediator.testing.clock import ManualClock  # noqa: PLC0415

    try:
        if tests.is_test(path):
            test = tests.load(path, runbook_files.registry())
            spec, start = test.cases[0].world, test.spec.start
            after = test.cases[0].spec.expect[0].at
        else:
            spec, start, after = files.load(path), SystemClock().now(), timedelta()
        clock = ManualClock(start)
        world = Simulated(spec, clock)
        clock.advance(after)
    except RunbookErrors as error:
        findings = "\n".join(str(finding) for finding in error.findings)
        raise Failure(f"the world can't be used:\n{findings}") from None
    except ValueError as error:
        raise Failure(f"the world {path} can't be used: {error}") from None
    there = settings.model_copy(
        update={
            "prometheus": PrometheusSettings(url=PROMETHEUS_URL),
            "senders": {
                name: Sender(alertmanager=(ALERTMANAGER_URL,)) for name in settings.senders
            },
        }
    )
    reading = reading_clients(
        there,
        connect=world.cluster.connect,
        http=lambda _: world.web,
        processes=lambda _: world.commands,
    )
    return reading, clock


async def open_journal(settings: "Settings", *, needed: bool = False) -> Any:
    """Open the journal for reading, beside a daemon or without one.

    Args:
        needed: whether there is nothing to do without one; else None is returned, and said why.

    Raises:
        CannotOpen: it is needed, and can't be opened.
    """
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415
    from remediator.journal.opening import open_journal as open_for  # noqa: PLC0415
    from remediator.journal.urls import is_postgres, sqlite_path  # noqa: PLC0415
    from remediator.journal.values import Opening  # noqa: PLC0415

    try:
        url = settings.journal
        if not needed and not is_postgres(url) and not sqlite_path(url).exists():
            return None
        return await open_for(
            url,
            SystemClock(),
            Opening(node="reader"),
            postgres=settings.postgres,
            read_only=True,
        )
    except CannotOpen as error:
        if needed:
            raise
        click.echo(f"remediator: going on without history: {error}", err=True)
        return None


def addresses(settings: "Settings") -> frozenset[object]:
    """Return where the journal's own server may be reached: its reader connects when it must."""
    from remediator.journal.urls import is_postgres  # noqa: PLC0415 - keeps --help quick

    if not is_postgres(settings.journal):
        return frozenset()
    parts = urlsplit(settings.journal)
    host = parts.hostname or os.environ.get("PGHOST", "localhost")
    port = parts.port or int(os.environ.get("PGPORT", "5432"))
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset((one[4][0], one[4][1]) for one in found)


def silencing(settings: "Settings") -> Callable[[str], bool]:
    """Return whether silences may be set at a sender's Alertmanagers, by the settings."""

    def allowed(sender: str) -> bool:
        known = settings.senders.get(sender)
        return known is not None and bool(known.alertmanager) and known.silences

    return allowed


def world(looking: Looking, settings: "Settings", files: "Files", clock: "Clock") -> "World":
    """Return what runs of these runbooks would look at, judged by `clock`."""
    from remediator.engine.would import World  # noqa: PLC0415 - keeps --help quick

    return World(
        runbooks=files.runbooks,
        policy=files.policy,
        clock=clock,
        context_for=looking.context_for,
        journal=looking.journal,
        default_approvers=settings.default_approvers,
        silencing=silencing(settings),
        ledger=looking.ledger,
    )
