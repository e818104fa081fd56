"""Copies of a PostgreSQL journal, by PostgreSQL's own programs: `pg_dump` and `pg_restore`.

A dump is a snapshot of one moment, made beside the daemons. The password reaches the programs in
their environment, never in their arguments, which every user of the machine can read.

A restore goes into an empty database and keeps it closed until it is done: the rows that say which
schema it has are written last, in the transaction that lets nothing of the copy be done twice. A
daemon that looks before finds no schema, and refuses to start.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from remediator.journal import audit, copies, schema
from remediator.journal.anchors import SignedHead
from remediator.journal.copies import BadCopy, Copy, Restored
from remediator.journal.errors import CannotOpen
from remediator.journal.postgres import connection as connections
from remediator.journal.postgres import migrate
from remediator.journal.postgres.connection import Access
from remediator.journal.restoring import Mark
from remediator.journal.times import to_us
from remediator.journal.values import AuditEntry

_SCHEMA_DATA = re.compile(r"TABLE DATA \S+ schema_version ")
_SCHEMA_ROWS = re.compile(
    r"^COPY \S*schema_version \(.*?\) FROM stdin;\n(.*?)^\\\.$", re.MULTILINE | re.DOTALL
)


class Dump:
    """A file that `pg_dump` wrote, for a restore.

    Raises:
        CannotOpen: it is newer than the code.
        BadCopy: it is no journal's dump, or can't be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._list = _run(["pg_restore", "--list", str(path)], {}).splitlines()
        rows = _SCHEMA_ROWS.search(
            _run(["pg_restore", "--data-only", "--table=schema_version", "-f-", str(path)], {})
        )
        if rows is None:
            raise BadCopy(f"{path} holds no journal of remediator")
        self.migrations = [line.split("\t") for line in rows[1].splitlines()]
        self.schema = max((int(row[0]) for row in self.migrations), default=0)
        current = schema.known()[-1].version
        if self.schema > current:
            raise CannotOpen(
                f"{path} has schema {self.schema}, and this version of remediator knows only"
                f" {current}; restore it with the newer version that wrote it"
            )

    def load(self, access: Access) -> None:
        """Load all but the rows that open the database to daemons.

        Raises:
            BadCopy: it can't be loaded; nothing of it is there.
        """
        kept = [line for line in self._list if not _SCHEMA_DATA.search(line)]
        with tempfile.NamedTemporaryFile("w", suffix=".list") as listed:
            listed.write("\n".join(kept) + "\n")
            listed.flush()
            dsn, environment = _without_password(access)
            _run(
                [
                    *("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error"),
                    *("--single-transaction", f"--use-list={listed.name}", f"--dbname={dsn}"),
                    str(self._path),
                ],
                environment,
            )


def backup(access: Access, target: Path, *, force: bool) -> int:
    """Dump a journal beside its daemons, in pg_dump's own format; returns its schema's number.

    Raises:
        CannotOpen: pg_dump is not there, the database does not let us, or the file can't be
            written.
        BadCopy: what was dumped can't be read.
    """
    dsn, environment = _without_password(access)
    with copies.whole_file(target, force=force) as partial:
        _run(
            [
                *("pg_dump", "--format=custom", "--no-owner", "--no-privileges"),
                *(f"--file={partial}", f"--dbname={dsn}"),
            ],
            environment,
        )
        return Dump(partial).schema


async def require_journal(access: Access) -> int:
    """Return the schema's number, which may be older than the code.

    Raises:
        CannotOpen: it is newer, or there is no journal.
    """
    connection = await connections.connect(access, "remediator backup")
    try:
        return await migrate.not_newer(connection, access)
    finally:
        await connections.close(connection)


async def require_empty(access: Access) -> None:
    """Check that a restore meets nothing.

    Raises:
        CannotOpen: there are tables.
    """
    connection = await connections.connect(access, "remediator restore")
    try:
        tables = await connection.fetchval(
            "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()"
        )
    finally:
        await connections.close(connection)
    if tables:
        raise CannotOpen(
            f"the database {access.shown} is not empty ({tables} tables); make a new one (createdb)"
            " and name it as `journal` in the settings"
        )


async def check(
    access: Access,
    dump: Dump,
    *,
    parts: Sequence[Sequence[SignedHead]] = ((),),
    keys: Mapping[str, Ed25519PublicKey] | None = None,
) -> Copy:
    """Check the audit chain that was loaded, against the signed heads below its own.

    Raises:
        BadCopy: it is not whole.
    """
    connection = await connections.connect(access, "remediator restore")
    try:
        examined, _ = await connections.drive(connection, copies.examine(parts, keys), [])
    finally:
        await connections.close(connection)
    verification, newest_at = examined
    if not verification.ok:
        raise BadCopy(
            f"the audit chain in the copy is broken: {verification.problem}; the database"
            f" {access.shown}, which it was loaded into, stays shut: drop it"
        )
    return Copy(dump.schema, verification.head, verification.records, newest_at)


async def finish(access: Access, dump: Dump, mark: Mark, at: datetime) -> Restored:
    """Bring what was loaded up to date, mark it as restored, and open it; in one transaction.

    Raises:
        CannotOpen, JournalUnavailable: the database does not let us; nothing was written.
    """
    connection = await connections.connect(access, "remediator restore")
    try:
        await connection.execute("SET statement_timeout = 0")
        async with connection.transaction():
            for version, name, applied_us in dump.migrations:
                await _number(connection, int(version), name, int(applied_us))
            for migration in schema.known():
                if migration.version > dump.schema:
                    await migrate.apply(connection, migration)
                    await _number(connection, migration.version, migration.name, to_us(at))
            entries: list[AuditEntry] = []
            done, _ = await connections.drive(connection, mark(), entries)
            await connections.drive(connection, audit.append(entries), [])
        return done
    except Exception as error:
        raise connections.explained(error, access) from error
    finally:
        await connections.close(connection)


async def _number(
    connection: "asyncpg.Connection", version: int, name: str, applied_us: int
) -> None:
    await connection.execute(
        "INSERT INTO schema_version (version, name, applied_us) VALUES ($1, $2, $3)",
        version,
        name,
        applied_us,
    )


def _without_password(access: Access) -> tuple[str, Mapping[str, str]]:
    """Return the address for an argument, and the environment that holds the rest."""
    parts = urlsplit(access.url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    given = next((value for name, value in options if name == "password"), None)
    password = access.password or given or (unquote(parts.password) if parts.password else None)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}" if user else host
    query = urlencode([(name, value) for name, value in options if name != "password"])
    dsn = urlunsplit(("postgresql", netloc, parts.path, query, ""))
    return dsn, {"PGPASSWORD": password} if password else {}


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    """Run one of PostgreSQL's programs.

    Raises:
        CannotOpen: it is not on this machine.
        BadCopy: it failed; with what it said.
    """
    program = command[0]
    if shutil.which(program) is None:
        raise CannotOpen(
            f"{program} is not on this machine; it comes with PostgreSQL's client programs"
            " (Debian: apt-get install postgresql-client), in the server's version or a later one"
        )
    ran = subprocess.run(  # noqa: S603 - one of two programs, with arguments of ours
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        raise BadCopy(f"{program} failed: {said[0] if said else f'exit code {ran.returncode}'}")
    return ran.stdout
