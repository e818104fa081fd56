"""`remediator db`: bring the journal's schema up to date, copy it, restore a copy, prune it."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import db_work, options, signed_heads
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.journal.copies import Copy
    from remediator.settings import Settings


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
    made = db_work.told(
        lambda: db_work.migrate(settings),
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
    schema, copy = db_work.told(lambda: db_work.back_up(settings, file, force))
    beside = db_work.put_beside(file, places, heads)
    if output == "json":
        _as_json(
            {
                "file": str(file),
                "bytes": file.stat().st_size,
                "schema": schema,
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
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--force",
    is_flag=True,
    help="SQLite: put the journal that is there aside, under another name.",
)
@options.config
@options.output
def restore(file: Path, force: bool, config: Path | None, output: str) -> None:
    """Go on from the copy FILE; nothing is done twice.

    Puts the copy in the journal's place. On PostgreSQL it goes into an empty database.

    The copy is checked first: the file, its schema, its audit chain against the signed heads. Runs
    that it shows as waiting are cancelled; those that had begun to change something wait for a
    person, as `interrupted`; and everything is paused until `remediator resume`, because the copy
    knows nothing of what came after it.
    """
    if not file.is_file():
        raise Failure(f"there is no file {file}")
    settings = options.read_settings(config)
    places = signed_heads.places(settings)
    signed = signed_heads.find(None, None, settings)
    at = db_work.now()
    copy, done, kept = db_work.told(lambda: db_work.restore(settings, file, signed, force, at))
    confirmed = db_work.confirm(places, copy, at)
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
    """Delete what is over and older than the retention.

    Notifications, ended runs and resolved incidents; the daemon does the same every hour. What a
    limit still looks back on stays, whatever its age: the rates and cooldowns of the policy and of
    all runbooks. Audit records go only where `audit.retention` is set; the chain stays provable
    from where it then begins.
    """
    settings = options.read_settings(config)
    now = db_work.now()
    retention = age or settings.retention
    before = db_work.kept_from(settings, retention, now)
    audit = settings.audit.retention
    audit_before = now - audit if audit is not None else None
    counts = db_work.told(
        lambda: asyncio.run(db_work.prune(settings, before, audit_before, dry_run)),
        "it prunes by itself every hour; --dry-run shows what would go",
    )
    if output == "json":
        _as_json({"dry_run": dry_run, "before": before.isoformat(), **counts})
        return
    rows = counts.pop("rows", None)
    would = "would delete" if rows is None else f"deleted {_counted(rows, 'row')}"
    what = ", ".join(_counted(count, name.rstrip("s")) for name, count in counts.items())
    click.echo(f"{would} from {_shown(settings)}: {what.replace('_', ' ')}")
    click.echo(f"kept: what is newer than {before:%Y-%m-%d %H:%M} UTC, and what is not over")
    if before < now - retention:
        click.echo("kept longer than asked: a limit looks back that far")


def _shown(settings: "Settings") -> str:
    from remediator.journal import urls  # noqa: PLC0415 - keeps --help quick

    return urls.shown(settings.journal)


def _as_json(value: object) -> None:
    from remediator.cli import show  # noqa: PLC0415 - rich is slow to import

    show.as_json(value)


def _head_json(copy: "Copy") -> dict[str, object]:
    return {"seq": copy.head[0], "hash": copy.head[1], "records": copy.records}


def _size(file: Path) -> str:
    return f"{file.stat().st_size / 2**20:.1f} MiB"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
