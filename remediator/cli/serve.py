"""`remediator serve`: the daemon, in the foreground, until it is told to stop."""

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.settings import Settings


@click.command("serve")
@options.config
@click.option(
    "--runbooks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A folder or file of runbooks, in place of the settings'; repeatable.",
)
def command(config: Path | None, runbooks: tuple[Path, ...]) -> None:
    """Run the daemon.

    Logs go to standard error. One line on standard output names its URL as soon as it listens, so
    that a script can let it choose a free port (`listen: 127.0.0.1:0`). SIGTERM and SIGINT stop it
    when what is in hand has been journalled; a second one stops it at once, and the next start
    carries on.
    """
    import uvloop  # noqa: PLC0415 - keeps --help quick

    from remediator.observe import logs, masking  # noqa: PLC0415

    given = {"runbooks": runbooks} if runbooks else {}
    settings = options.read_settings(config, **given)
    logs.configure(settings.log)
    masking.know(logs.secrets_in(settings))
    uvloop.run(_serve(settings))


async def _serve(settings: "Settings") -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are in one
    stopping = asyncio.Event()
    started = False

    def stop(number: int) -> None:
        if stopping.is_set():
            sys.stderr.flush()
            os._exit(128 + number)  # all state is in the journal; the next start carries on
        stopping.set()
        if not started:
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    from remediator.app import Daemon  # noqa: PLC0415 - signals are heard while this is imported

    while True:
        try:
            daemon = Daemon(settings)
            address = await daemon.start()
        except asyncio.CancelledError:
            return  # told to stop before it had begun
        except ImportError:
            raise  # a broken installation: the stack trace is what is needed
        except start_errors() as error:
            raise Failure(_sentence(error)) from None
        started = True
        if stopping.is_set():
            await daemon.stop()
            return
        scheme = "https" if settings.tls else "http"
        print(f"remediator listens on {scheme}://{address}", flush=True)
        _keep_what_was_loaded()
        waits = [asyncio.ensure_future(one.wait()) for one in (stopping, daemon.broken)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await daemon.stop()
        if stopping.is_set():
            return
        if not daemon.dead:
            raise Failure(
                "a part of the daemon broke (see the log); start it again, nothing is lost"
            )
        # Declared dead by other replicas after too long a pause: join them again as a new node.
        started = False


def _keep_what_was_loaded() -> None:
    """Leave what there is now out of collections of garbage: it stays as long as the process.

    To look through it takes a tenth of a second in which everything stands still, and would come in
    the middle of a storm, or between an alert and its repair.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def start_errors() -> tuple[type[Exception], ...]:
    """Return what a start may raise for reasons that the operator can act on."""
    from remediator.journal.anchors import BadKey  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415
    from remediator.journal.values import JournalUnavailable  # noqa: PLC0415 - keeps --help quick
    from remediator.plugin.registry import DuplicatePlugin  # noqa: PLC0415
    from remediator.runbook.store import RunbookErrors  # noqa: PLC0415
    from remediator.settings import SettingsError  # noqa: PLC0415
    from remediator.web.server import ListenError  # noqa: PLC0415
    from remediator.web.tls import TlsError  # noqa: PLC0415

    return (
        BadKey,
        CannotOpen,
        DuplicatePlugin,
        JournalUnavailable,
        ListenError,
        RunbookErrors,
        SettingsError,
        TlsError,
    )


def _sentence(error: Exception) -> str:
    findings = getattr(error, "findings", None)
    if findings:
        lines = "\n".join(str(finding) for finding in findings)
        return f"the runbooks can't be used:\n{lines}"
    return str(error)
