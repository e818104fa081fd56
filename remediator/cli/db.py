"""`remediator db`: bring the journal's schema up to date, copy it, restore a copy, prune it."""

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

import click

from remediator.cli import options, signed_heads
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.signed_heads import Places
    from remediator.journal.copies import Copy, Restored
    from remediator.journal.postgres.connection import Access
    from remediator.journal.restoring import Mark
    from remediator.settings import Settings

T = TypeVar("T")


def _age(ctx: click.Context, parameter: click.Parameter, given: str | None) -> timedelta | None:
    if given is None:
        return None
    from remediator.model.quantities import (  # noqa: PLC0415 - keeps --help quick
        format_duration,
        parse_duration,
    )
    from remediator.settings import MIN_RETENTION  # noqa: PLC0415

    try:
        age = parse_duration(given)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, parameter) from None
    if age < MIN_RETENTION:
        raise click.BadParameter(
            f"must be {format_duration(MIN_RETENTION)} or longer", ctx, parameter
        )
    return age


@click.group("db")
def command() -> None:
    """Look after the journal: migrate, back up, restore, prune."""


@command.command("migrate")
@options.config
@options.output
def migrate(config: Path | None, output: str) -> None:
    """Bring the journal's schema up to this version.

    On PostgreSQL this is a step of every upgrade, before the first daemon of the new version
    starts; daemons of the version before go on meanwhile. Two at the same time are harmless. On
    SQLite a daemon does it by itself when it starts.
    """
    settings = options.read_settings(config)
    made = _sentences(
        lambda: _migrate(settings),
        "stop it and start the new version, which migrates by itself",
    )
    from remediator.journal import schema  # noqa: PLC0415 - keeps --help quick

    current = schema.known()[-1].version
    if output == "json":
        _as_json({"journal": _shown(settings), "schema": current, "made": made})
        return
    for name in made:
        click.echo(f"made {name}")
    now = "is now at" if made else "is up to date:"
    click.echo(f"the journal {_shown(settings)} {now} schema {current}")


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@options.config
@options.output
def backup(file: Path, force: bool, config: Path | None, output: str) -> None:
    """Copy the journal to FILE, whoever writes it meanwhile.

    The copy is of one moment: all that was acknowledged before it began is in it. Its audit chain
    is verified, and the signed heads and the public key that prove it are put beside it. On
    PostgreSQL FILE is a dump in pg_dump's own format. The private key is not copied: keep it
    elsewhere.
    """
    settings = options.read_settings(config)
    places = signed_heads.places(settings)
    # Read before the copy is made, so that none of them lies beyond it.
    heads = places.heads.read_bytes() if places.heads.exists() else None
    copy = _sentences(lambda: _backup(settings, file, force))
    beside = _put_beside(file, places, heads)
    if output == "json":
        _as_json(
            {
                "file": str(file),
                "bytes": file.stat().st_size,
                "schema": copy.schema if copy else None,
                "audit_head": _head_json(copy) if copy else None,
                "beside": [str(path) for path in beside],
                "signing_key": str(places.key),
            }
        )
        return
    click.echo(f"copied the journal {_shown(settings)} to {file} ({_size(file)})")
    if copy is not None:
        click.echo(f"its audit chain is whole: {copy.records} records, head {copy.head[0]}")
    for path in beside:
        click.echo(f"with it, to prove it: {path}")
    click.echo(f"not copied: the private key {places.key}; keep a copy of it in another place")


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--force",
    is_flag=True,
    help="SQLite: put the journal that is there aside, under another name.",
)
@options.config
@options.output
def restore(file: Path, force: bool, config: Path | None, output: str) -> None:
    """Put the copy FILE in the journal's place, so that nothing is done twice.

    The copy is checked first: the file, its schema, its audit chain against the signed heads. Runs
    that it shows as waiting are cancelled; those that had begun to change something wait for a
    person, as `interrupted`; and everything is paused until `remediator resume`, because the copy
    knows nothing of what came after it.
    """
    settings = options.read_settings(config)
    places = signed_heads.places(settings)
    signed = signed_heads.find(None, None, settings)
    at = _now()
    copy, done, kept = _sentences(lambda: _restore(settings, file, signed, force, at))
    confirmed = _confirm(places, copy, at)
    if output == "json":
        _as_json(
            {
                "journal": _shown(settings),
                "audit_head": _head_json(copy),
                "newest_at": copy.newest_at.isoformat() if copy.newest_at else None,
                "runs_cancelled": done.cancelled,
                "runs_interrupted": done.interrupted,
                "notes_dropped": done.notes_dropped,
                "kept": str(kept) if kept else None,
                "signed": confirmed,
            }
        )
        return
    newest = f", the newest of {copy.newest_at:%Y-%m-%d %H:%M:%S} UTC" if copy.newest_at else ""
    click.echo(f"restored {_shown(settings)} from {file}: {copy.records} audit records{newest}")
    if kept is not None:
        click.echo(f"the journal that was there is kept as {kept}")
    click.echo(
        f"{_counted(done.cancelled, 'run')} that waited cancelled; {done.interrupted} interrupted,"
        f" for a person to look at; {_counted(done.notes_dropped, 'undelivered note')} dropped"
    )
    if confirmed:
        click.echo(f"signed in {places.heads}: the journal goes on from record {copy.head[0]}")
    else:
        click.echo(
            f"no signing key at {places.key}: bring it from where the copy was made, or the heads"
            " that were signed there can't be told from forged ones"
        )
    click.echo(
        "everything is paused: start the daemon, look at `remediator runs` and `remediator"
        " incidents`, then `remediator resume`"
    )


@command.command("prune")
@click.option(
    "--before",
    "age",
    callback=_age,
    help="Delete what is older than this, 90d. Default: `retention` in the settings.",
)
@click.option("--dry-run", is_flag=True, help="Only count what would go; beside a daemon, too.")
@options.config
@options.output
def prune(age: timedelta | None, dry_run: bool, config: Path | None, output: str) -> None:
    """Delete notifications, ended runs and resolved incidents that are older than the retention.

    The daemon does the same every hour. What a limit still looks back on stays, whatever its age:
    the rates and cooldowns of the policy and of all runbooks. Audit records go only where
    `audit.retention` is set; the chain stays provable from where it then begins.
    """
    settings = options.read_settings(config)
    now = _now()
    retention = age or settings.retention
    before = _kept_from(settings, retention, now)
    audit = settings.audit.retention
    audit_before = now - audit if audit is not None else None
    counts = _sentences(
        lambda: asyncio.run(_prune(settings, before, audit_before, dry_run)),
        "it prunes by itself every hour; --dry-run shows what would go",
    )
    if output == "json":
        _as_json({"dry_run": dry_run, "before": before.isoformat(), **counts})
        return
    would = "would delete" if dry_run else "deleted"
    what = ", ".join(_counted(count, name.rstrip("s")) for name, count in counts.items())
    click.echo(f"{would} from {_shown(settings)}: {what.replace('_', ' ')}")
    click.echo(f"older than {before:%Y-%m-%d %H:%M} UTC")
    if before < now - retention:
        click.echo("kept longer than asked: a limit looks back that far")


def _migrate(settings: "Settings") -> list[str]:
    from remediator.journal import opening  # noqa: PLC0415 - keeps --help quick

    if (access := _postgres(settings)) is not None:
        from remediator.journal.postgres import migrate as migrations  # noqa: PLC0415 - an extra

        return asyncio.run(migrations.upgrade(access, _now()))
    from remediator.journal.sqlite import offline  # noqa: PLC0415

    return offline.upgrade(opening.sqlite_path(settings.journal), _now())


def _backup(settings: "Settings", file: Path, force: bool) -> "Copy | None":
    from remediator.journal import opening  # noqa: PLC0415 - keeps --help quick

    if (access := _postgres(settings)) is not None:
        from remediator.journal.postgres import dumping  # noqa: PLC0415 - an extra

        asyncio.run(dumping.require_journal(access))
        dumping.backup(access, file, force=force)
        return None
    from remediator.journal.sqlite import copying  # noqa: PLC0415

    return copying.backup(opening.sqlite_path(settings.journal), file, force=force)


def _restore(
    settings: "Settings", file: Path, signed: signed_heads.Heads, force: bool, at: datetime
) -> "tuple[Copy, Restored, Path | None]":
    from remediator.journal import opening  # noqa: PLC0415 - keeps --help quick

    if (access := _postgres(settings)) is not None:
        copy, done = asyncio.run(_restore_dump(settings, access, file, signed, at))
        return copy, done, None
    from remediator.journal.sqlite import copying, offline  # noqa: PLC0415

    path = opening.sqlite_path(settings.journal)
    offline.require_free(path, force=force)
    copy = copying.look(file, name=str(file), parts=signed.parts, keys=signed.keys)
    done, kept = offline.restore(
        path,
        file,
        _mark(settings, copy, file, at),
        at=at,
        force=force,
    )
    return copy, done, kept


async def _restore_dump(
    settings: "Settings", access: "Access", file: Path, signed: signed_heads.Heads, at: datetime
) -> "tuple[Copy, Restored]":
    from remediator.journal.postgres import dumping  # noqa: PLC0415 - an extra

    dump = dumping.Dump(file)
    await dumping.require_empty(access)
    await asyncio.to_thread(dump.load, access)
    copy = await dumping.check(access, dump, parts=signed.parts, keys=signed.keys)
    return copy, await dumping.finish(access, dump, _mark(settings, copy, file, at), at)


def _kept_from(settings: "Settings", retention: timedelta, now: datetime) -> datetime:
    from remediator.cli import runbook_files  # noqa: PLC0415 - keeps --help quick
    from remediator.engine import housekeeping  # noqa: PLC0415

    runbooks = runbook_files.load(settings.runbooks, runbook_files.registry())
    limits = (runbook.limits for runbook in runbooks)
    return housekeeping.kept_from(now, retention, limits, settings.policy)


async def _prune(
    settings: "Settings", before: datetime, audit_before: datetime | None, dry_run: bool
) -> dict[str, int]:
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.opening import open_journal  # noqa: PLC0415
    from remediator.journal.protocol import Opening  # noqa: PLC0415

    journal = await open_journal(
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
                await journal.prune_audit(before=audit_before)
    finally:
        await journal.close()
    return {**asdict(counts), **({} if dry_run else {"rows": rows})}


def _mark(settings: "Settings", copy: "Copy", file: Path, at: datetime) -> "Mark":
    """Return what is done to the copy's runs, and who is told of it once a daemon runs."""
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
    return lambda: restoring.restored(
        env,
        copy,
        file=file.name,
        by=f"cli:{getpass.getuser()}",
        at=at,
        escalate_to=settings.escalate_to,
    )


def _put_beside(file: Path, places: "Places", heads: bytes | None) -> list[Path]:
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


def _confirm(places: "Places", copy: "Copy", at: datetime) -> bool:
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


def _postgres(settings: "Settings") -> "Access | None":
    from remediator.journal import opening  # noqa: PLC0415 - keeps --help quick

    if not opening.is_postgres(settings.journal):
        return None
    return opening.postgres_access(settings.journal, settings.postgres)


def _sentences(do: Callable[[], T], in_use: str = "stop it first") -> T:
    """Do it; what the operator can act on becomes a failure with its sentence.

    Args:
        in_use: what is said where a daemon has the journal's file.
    """
    from remediator.journal.copies import BadCopy  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen, InUse  # noqa: PLC0415
    from remediator.journal.protocol import JournalUnavailable  # noqa: PLC0415
    from remediator.settings import SettingsError  # noqa: PLC0415

    try:
        return do()
    except InUse as error:
        raise Failure(f"a daemon (process {error.holder}) has the journal: {in_use}") from None
    except (BadCopy, CannotOpen, JournalUnavailable, SettingsError) as error:
        raise Failure(str(error)) from None


def _now() -> datetime:
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick

    return SystemClock().now()


def _shown(settings: "Settings") -> str:
    from remediator.journal import opening  # noqa: PLC0415 - keeps --help quick

    return opening.shown(settings.journal)


def _as_json(value: object) -> None:
    from remediator.cli import show  # noqa: PLC0415 - rich is slow to import

    show.as_json(value)


def _head_json(copy: "Copy") -> dict[str, object]:
    return {"seq": copy.head[0], "hash": copy.head[1], "records": copy.records}


def _size(file: Path) -> str:
    return f"{file.stat().st_size / 2**20:.1f} MiB"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
