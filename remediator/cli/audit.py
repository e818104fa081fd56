"""`remediator audit`: verify or export the audit chain, offline, beside a running daemon or not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from remediator.cli import options, signed_heads
from remediator.cli.failure import Failure
from remediator.cli.signed_heads import Heads

if TYPE_CHECKING:
    from remediator.journal.protocol import Journal
    from remediator.journal.values import AuditRecord
    from remediator.journal.verify import Verification
    from remediator.settings import Settings

# Read in pages: a chain may be larger than memory.
_PAGE = 5000


@click.group("audit")
def command() -> None:
    """Verify the audit chain, or export it. Both only read."""


@command.command("verify")
@options.config
@click.option(
    "--export",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="Verify a file that `audit export` wrote, in place of the journal.",
)
@click.option(
    "--anchors",
    "anchor_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Signed heads, best from another disk. Default for a journal: those beside it.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The public key of the signed heads. Default: the one that the settings name.",
)
@options.output
@click.pass_context
def verify(
    ctx: click.Context,
    config: Path | None,
    export: Path | None,
    anchor_file: Path | None,
    key: Path | None,
    output: str,
) -> None:
    """Prove that no record was changed, removed, inserted or moved.

    With signed heads also that the tail was not cut off, and that the chain was not written anew.
    Exit code 1, with the sentence of what is wrong, when the chain is broken.
    """
    if export is not None:
        signed = signed_heads.find(anchor_file, key, None)
        result = _verify_export(export, signed)
        what = str(export)
    else:
        settings = options.read_settings(config)
        signed = signed_heads.find(anchor_file, key, settings)
        result = asyncio.run(_verify_journal(settings, signed))
        from remediator.journal.urls import shown  # noqa: PLC0415 - keeps --help quick

        what = shown(settings.journal)
    if output == "json":
        from remediator.cli import show  # noqa: PLC0415 - rich is slow to import

        show.as_json(
            {
                "ok": result.ok,
                "records": result.records,
                "head": {"seq": result.head[0], "hash": result.head[1]},
                "signed_heads": result.heads,
                "heads_before_restore": len(signed.before_restore),
                "pruned": result.pruned,
                "problem": result.problem,
                "first_bad": result.first_bad,
            }
        )
    elif result.ok:
        click.echo(f"the audit chain is whole: {result.records} records in {what}")
        if result.pruned:
            click.echo(
                f"records 1 to {result.pruned} were deleted by retention, as a later record says;"
                " their exports continue at this chain's beginning"
            )
        click.echo(f"head: record {result.head[0]}, sha256 {result.head[1]}")
        click.echo(_about_heads(result, signed))
    else:
        click.echo(f"remediator: the audit chain is broken: {result.problem}", err=True)
        click.echo(f"{result.records} records before that are good ({what})", err=True)
    ctx.exit(0 if result.ok else 1)


@command.command("export")
@options.config
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False, writable=True, allow_dash=True),
    default="-",
    show_default="standard output",
    help="The file to write.",
)
def export(config: Path | None, to: Path) -> None:
    """Write the whole chain as JSON Lines, one record a line, oldest first.

    `remediator audit verify --export FILE` checks such a file on any machine.
    """
    settings = options.read_settings(config)
    try:
        with click.open_file(str(to), "w", encoding="utf-8") as file:
            count = asyncio.run(_export(settings, file))
    except OSError as error:
        raise Failure(f"{to}: cannot be written: {error.strerror}") from None
    click.echo(f"exported {count} records", err=True)


async def _export(settings: "Settings", file: IO[str]) -> int:
    from remediator.journal import chain  # noqa: PLC0415 - keeps --help quick

    count = 0
    journal = await _open(settings)
    try:
        head = await journal.audit_head()
        async for page in _pages(journal, up_to=head[0]):
            file.writelines(chain.to_line(record) + "\n" for record in page)
            count += len(page)
    finally:
        await journal.close()
    return count


async def _verify_journal(settings: "Settings", signed: Heads) -> "Verification":
    """Verify page by page. The signed heads were read before the journal's own head, so none of
    them may lie beyond it; records that a daemon adds meanwhile are not looked at."""
    from remediator.journal import verify as verifying  # noqa: PLC0415 - keeps --help quick

    journal = await _open(settings)
    try:
        head = await journal.audit_head()
        chain = verifying.Chain(heads=signed.heads, keys=signed.keys)
        async for page in _pages(journal, up_to=head[0]):
            if not chain.feed(page):
                break
        result = chain.end(head)
        # What a daemon appends meanwhile is below its head by the time that is read once more.
        above = await journal.audit(after=result.head[0], limit=1)
        now = await journal.audit_head()
        if result.ok and above and above[-1].seq > now[0]:
            result = replace(
                result,
                problem=f"record {above[-1].seq} was inserted: the journal's head says {now[0]}",
                first_bad=above[-1].seq,
            )
        return result
    finally:
        await journal.close()


async def _pages(
    journal: "Journal", *, up_to: int | None = None
) -> AsyncIterator[Sequence["AuditRecord"]]:
    after = 0
    while page := await journal.audit(after=after, limit=_PAGE):
        wanted = [record for record in page if up_to is None or record.seq <= up_to]
        if wanted:
            yield wanted
        if len(wanted) < len(page):
            return
        after = page[-1].seq


def _verify_export(path: Path, signed: Heads) -> "Verification":
    from remediator.journal import verify as verifying  # noqa: PLC0415 - keeps --help quick

    try:
        with click.open_file(str(path), encoding="utf-8") as lines:
            return verifying.verify(
                verifying.read_export(lines), heads=signed.heads, keys=signed.keys
            )
    except verifying.BadExport as error:
        raise Failure(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path}: cannot be read: {error}") from None


async def _open(settings: "Settings") -> "Journal":
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415
    from remediator.journal.opening import open_journal  # noqa: PLC0415
    from remediator.journal.values import Opening  # noqa: PLC0415 - keeps --help quick

    try:
        return await open_journal(
            settings.journal,
            SystemClock(),
            Opening(node="audit"),
            postgres=settings.postgres,
            read_only=True,
        )
    except CannotOpen as error:
        raise Failure(f"{error}; `--config` names the settings with the journal") from None


def _about_heads(result: "Verification", signed: Heads) -> str:
    if signed.file is None:
        return "no signed heads were looked at, so a cut tail would not show; see --anchors"
    agree = " agrees" if result.heads == 1 else "s agree"
    text = f"{result.heads} signed head{agree} ({signed.file})"
    if signed.before_restore:
        line = signed.heads[0]
        text += (
            f"\nthe journal was restored at {line.at.isoformat(timespec='seconds')} from a copy"
            f" that ended at record {line.seq}: a signed line says so, and the record"
            f" journal.restored; {len(signed.before_restore)} signed before that not looked at"
        )
    return text
