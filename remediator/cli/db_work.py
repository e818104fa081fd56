"""The work of `remediator db`: one function for each thing that is done, over either engine.

`db` reads the arguments and tells what was done.
"""

import asyncio
import getpass
import os
import secrets
import shutil
import socket
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.signed_heads import Heads
    from remediator.journal.anchors import Places
    from remediator.journal.copies import Copy, Restored
    from remediator.journal.postgres.connection import Access
    from remediator.journal.restoring import Mark
    from remediator.settings import Settings

T = TypeVar("T")


def migrate(settings: "Settings") -> list[str]:
    """Bring the schema up to date; returns the migrations that were made."""
    from remediator.journal import urls  # noqa: PLC0415 - keeps --help quick

    if (access := _postgres(settings)) is not None:
        from remediator.journal.postgres import migrate as migrations  # noqa: PLC0415 - an extra

        return asyncio.run(migrations.upgrade(access, now()))
    from remediator.journal.sqlite import offline  # noqa: PLC0415

    return offline.upgrade(urls.sqlite_path(settings.journal), now())


def back_up(settings: "Settings", file: Path, force: bool) -> "tuple[int, Copy | None]":
    """Copy the journal; returns the copy's schema, and what was found where it was looked at."""
    from remediator.journal import urls  # noqa: PLC0415 - keeps --help quick

    if (access := _postgres(settings)) is not None:
        from remediator.journal.postgres import dumping  # noqa: PLC0415 - an extra

        asyncio.run(dumping.require_journal(access))
        return dumping.backup(access, file, force=force), None
    from remediator.journal.sqlite import copying  # noqa: PLC0415

    copy = copying.backup(urls.sqlite_path(settings.journal), file, force=force)
    return copy.schema, copy


def restore(
    settings: "Settings", file: Path, signed: "Heads", force: bool, at: datetime
) -> "tuple[Copy, Restored, Path | None]":
    """Restore a copy; returns what was in it, what became of its runs, and where the old one is."""
    from remediator.journal import urls  # noqa: PLC0415 - keeps --help quick

    mark = _marking(settings, file, at)  # first: settings that are wrong should harm nothing
    if (access := _postgres(settings)) is not None:
        copy, done = asyncio.run(_restore_dump(access, file, signed, mark, at))
        return copy, done, None
    from remediator.journal.sqlite import copying, offline  # noqa: PLC0415

    path = urls.sqlite_path(settings.journal)
    offline.require_free(path, force=force)
    copy = copying.look(file, name=str(file), parts=signed.parts, keys=signed.keys)
    done, kept = offline.restore(path, file, mark(copy), at=at, force=force)
    return copy, done, kept


async def _restore_dump(
    access: "Access",
    file: Path,
    signed: "Heads",
    mark: "Callable[[Copy], Mark]",
    at: datetime,
) -> "tuple[Copy, Restored]":
    from remediator.journal.postgres import dumping  # noqa: PLC0415 - an extra

    dump = dumping.Dump(file)
    await dumping.require_empty(access)
    await asyncio.to_thread(dump.load, access)
    copy = await dumping.check(access, dump, parts=signed.parts, keys=signed.keys)
    return copy, await dumping.finish(access, dump, mark(copy), at)


def _marking(settings: "Settings", file: Path, at: datetime) -> "Callable[[Copy], Mark]":
    """Return what is done to a copy's runs, and who is told of it once a daemon runs."""
    from remediator.app import configured_notifiers  # noqa: PLC0415 - imports everything
    from remediator.cli import runbook_files  # noqa: PLC0415
    from remediator.engine.clock import SystemClock  # noqa: PLC0415
    from remediator.journal import restoring  # noqa: PLC0415
    from remediator.journal.ids import Ids  # noqa: PLC0415
    from remediator.journal.statements import Env  # noqa: PLC0415

    notifiers = configured_notifiers(settings, runbook_files.registry())
    env = Env(
        node=f"restore-{socket.gethostname()}-{os.getpid()}",
        subscribers=tuple(name for name, one in notifiers.items() if not one.escalates),
        pagers=tuple(name for name, one in notifiers.items() if one.escalates),
        ids=Ids(SystemClock()),
    )
    by = f"cli:{_user()}"
    escalate_to = settings.escalate_to

    def mark(copy: "Copy") -> "Mark":
        return lambda: restoring.restored(
            env, copy, file=file.name, by=by, at=at, escalate_to=escalate_to
        )

    return mark


def put_beside(file: Path, places: "Places", heads: bytes | None) -> list[Path]:
    """Put the heads and the public key beside a copy, where `audit verify` looks for them."""
    from remediator.journal import anchors  # noqa: PLC0415 - keeps --help quick

    put = []
    try:
        if heads is not None:
            put.append(anchors.heads_path(file))
            put[-1].write_bytes(heads)
        if places.public.exists():
            put.append(anchors.public_path(anchors.beside(file)))
            shutil.copyfile(places.public, put[-1])
    except OSError as error:
        raise Failure(
            f"the copy {file} is whole, but {put[-1]} can't be written beside it: {error.strerror}"
        ) from None
    return put


def confirm(places: "Places", copy: "Copy", at: datetime) -> bool:
    """Sign that the heads above the copy's were given up, where there is the key."""
    from remediator.journal import anchors  # noqa: PLC0415 - keeps --help quick

    if not places.key.exists():
        return False
    try:
        key = anchors.load_key(places.key)
        head = anchors.sign(key, seq=copy.head[0], digest=copy.head[1], at=at, restored=True)
        anchors.append(places.heads, head)
    except (anchors.BadKey, OSError) as error:
        raise Failure(
            f"the journal was restored, but that could not be signed: {error}; `remediator audit"
            " verify` will say that its tail was cut off"
        ) from None
    return True


def kept_from(settings: "Settings", retention: timedelta, at: datetime) -> datetime:
    """Return from when on everything is kept, as the daemon computes it."""
    from remediator.cli import runbook_files  # noqa: PLC0415 - keeps --help quick
    from remediator.engine import housekeeping  # noqa: PLC0415

    runbooks = runbook_files.load(settings.runbooks, runbook_files.registry())
    limits = (runbook.limits for runbook in runbooks)
    return housekeeping.kept_from(at, retention, limits, runbook_files.policy(settings))


async def prune(
    settings: "Settings", before: datetime, audit_before: datetime | None, dry_run: bool
) -> dict[str, int]:
    """Delete what is older, or only count it; returns the figures by their names."""
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.journal import opening, urls  # noqa: PLC0415
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415
    from remediator.journal.values import Opening  # noqa: PLC0415 - keeps --help quick

    if not urls.is_postgres(settings.journal):
        path = urls.sqlite_path(settings.journal)
        if not path.is_file():  # to open it would make one
            raise CannotOpen(f"there is no journal at {path}")
    journal = await opening.open_journal(
        settings.journal,
        SystemClock(),
        Opening(node=f"prune-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"),
        postgres=settings.postgres,
        read_only=dry_run,
    )
    try:
        counts = await journal.prunable(before=before, audit_before=audit_before)
        rows = 0
        if not dry_run:
            rows = await journal.prune(before=before)
            if audit_before is not None:
                rows += await journal.prune_audit(before=audit_before)
    finally:
        await journal.close()
    return {**asdict(counts), **({} if dry_run else {"rows": rows})}


def _postgres(settings: "Settings") -> "Access | None":
    from remediator.journal import opening, urls  # noqa: PLC0415 - keeps --help quick

    if not urls.is_postgres(settings.journal):
        return None
    return opening.postgres_access(settings.journal, settings.postgres)


def told(do: Callable[[], T], in_use: str = "stop it first") -> T:
    """Do it; what the operator can act on becomes a failure with its sentence.

    Args:
        in_use: what is said where a daemon has the journal's file.
    """
    from remediator.journal.copies import BadCopy  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen, InUse  # noqa: PLC0415
    from remediator.journal.values import JournalUnavailable  # noqa: PLC0415 - keeps --help quick
    from remediator.settings import SettingsError  # noqa: PLC0415

    try:
        return do()
    except InUse as error:
        raise Failure(f"a daemon (process {error.holder}) has the journal: {in_use}") from None
    except (BadCopy, CannotOpen, JournalUnavailable, SettingsError) as error:
        raise Failure(str(error)) from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, of no name
        return str(os.getuid())


def now() -> datetime:
    """Return the time."""
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick

    return SystemClock().now()
