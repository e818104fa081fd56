"""Connections to PostgreSQL: how they are opened, how operations are driven, what errors mean.

Used by the writer, the readers, the lease and the migrations; knows nothing of incidents or runs.
"""

import asyncio
from collections.abc import MutableSequence, MutableSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg

from remediator.journal import urls
from remediator.journal.errors import CannotOpen
from remediator.journal.postgres import dialect
from remediator.journal.statements import Execute, Many, Operation, Query, Record, Wake
from remediator.journal.values import AuditEntry, Due, JournalUnavailable

T = TypeVar("T")

# An answer that takes longer comes from a server that is of no use now.
ANSWER_WITHIN_S = 10.0
CONNECT_WITHIN_S = 3.0
# The journal has about a hundred statements, and as many again for sets of rows.
_CACHED_STATEMENTS = 512
# Operations of more alerts than this are carried on in a thread, so that heartbeats go on.
HEAVY = 500


@dataclass(frozen=True, slots=True)
class Access:
    """Where the database is, and how it is used.

    Args:
        url: `postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=…]`.
        password: in place of one in the URL.
        isolation: `read committed`, or `serializable` for engines that have nothing else.
        listen_notify: whether replicas wake each other; without it they look every two seconds.
        lease: a node that was not seen for so long may be declared dead.
    """

    url: str
    password: str | None = None
    isolation: str = "read committed"
    listen_notify: bool = True
    lease: timedelta = timedelta(seconds=3)

    @property
    def shown(self) -> str:
        """The address without user and password, for texts."""
        return urls.shown(self.url)

    def session(self, name: str) -> dict[str, str]:
        """Return what is set for each session."""
        # A node that froze inside a transaction must lose it before its lease is over: its locks
        # would keep others from declaring it dead.
        idle_ms = int(self.lease.total_seconds() * 1000 * 2 / 3)
        return {
            "application_name": name,
            "idle_in_transaction_session_timeout": str(idle_ms),
            "statement_timeout": str(int(ANSWER_WITHIN_S * 1000)),
            "default_transaction_isolation": self.isolation,
            "jit": "off",  # no statement here is long enough to pay for it
        }

    def arguments(self, name: str) -> dict[str, Any]:
        """Return what every connection is opened with."""
        return {
            "dsn": self.url,
            **({"password": self.password} if self.password is not None else {}),
            "timeout": CONNECT_WITHIN_S,
            "command_timeout": ANSWER_WITHIN_S,
            "statement_cache_size": _CACHED_STATEMENTS,
            "server_settings": self.session(name),
        }


async def connect(access: Access, name: str) -> "asyncpg.Connection":
    """Open a connection.

    Raises:
        JournalUnavailable: the server can't be reached now.
        CannotOpen: it never will be: the address, the password or the database is wrong.
    """
    try:
        return await asyncpg.connect(**access.arguments(name))
    except asyncpg.PostgresError as error:
        raise explained(error, access) from error
    except ValueError as error:
        raise CannotOpen(f"the journal's address {access.shown} can't be used: {error}") from error
    except Exception as error:
        raise explained(error, access) from error


async def drive(
    connection: "asyncpg.Connection",
    operation: Operation[T],
    entries: MutableSequence[AuditEntry],
    due: MutableSet[Due] | None = None,
    *,
    heavy: bool = False,
) -> tuple[T, bool]:
    """Answer an operation's statements until it returns.

    Audit entries are put into `entries`, what somebody should look at into `due`.

    Args:
        heavy: the operation itself computes for long; it is carried on in a thread.

    Returns:
        What it returned, and whether anything was written.

    Raises:
        Exception: what a statement or the operation raised.
    """
    wrote = False
    answer: object = None
    try:
        while True:
            # A StopIteration can't cross a thread's future.
            done, step = (
                await asyncio.to_thread(_send, operation, answer)
                if heavy
                else _send(operation, answer)
            )
            if done:
                result: T = step
                return result, wrote
            answer = None
            match step:
                case Query(sql, args):
                    rows = await connection.fetch(dialect.translate(sql), *dialect.storable(args))
                    answer = [tuple(row) for row in rows]
                    wrote |= bool(rows) and not sql.lstrip().startswith("SELECT")
                case Execute(sql, args):
                    status = await connection.execute(
                        dialect.translate(sql), *dialect.storable(args)
                    )
                    answer = int(status.rpartition(" ")[2])
                    wrote |= bool(answer)
                case Many(sql, rows):
                    if rows:
                        await _many(connection, sql, rows)
                        wrote = True
                case Record(recorded):
                    entries.extend(recorded)
                case Wake(what):
                    if due is not None:
                        due.add(what)
    finally:
        operation.close()


def _send(operation: Operation[Any], answer: object) -> tuple[bool, Any]:
    try:
        return False, operation.send(answer)
    except StopIteration as stop:
        return True, stop.value


_sets: dict[str, str] = {}
"""Writes of one row → of many; the types in them are the schema's, and so the same everywhere."""


async def _many(connection: "asyncpg.Connection", sql: str, rows: Any) -> None:
    if len(rows) == 1:
        await connection.execute(dialect.translate(sql), *dialect.storable(rows[0]))
        return
    many = _sets.get(sql)
    if many is None:
        prepared = await connection.prepare(dialect.translate(sql))
        types = [parameter.name for parameter in prepared.get_parameters()]
        many = _sets[sql] = dialect.many(sql, types)
    columns = zip(*map(dialect.storable, rows), strict=True)
    await connection.execute(many, *map(list, columns))


async def close(connection: "asyncpg.Connection | None") -> None:
    """Close a connection, whatever state it is in."""
    if connection is None or connection.is_closed():
        return
    try:
        await connection.close(timeout=1.0)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


# Another transaction was in the way: the same again, from the start, may well succeed.
CONFLICTS = (
    asyncpg.SerializationError,  # 40001
    asyncpg.DeadlockDetectedError,  # 40P01
    asyncpg.UniqueViolationError,  # 23505: another replica opened the same incident just now
)
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # stopped, restarted, a statement took too long
    asyncpg.InsufficientResourcesError,  # full disk, too many connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby, after a failover
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.InternalClientError,
)
_WRONG = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)


def lost(error: BaseException) -> bool:
    """Whether an error says something about the server or the way to it, not about a statement."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # a value that can't be sent is a bug of ours
    return isinstance(error, _LOST)


def explained(error: Exception, access: Access) -> Exception:
    """Return what to tell of an error, without what the address holds of secrets."""
    if isinstance(error, JournalUnavailable | CannotOpen):
        return error
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, _WRONG):
        return CannotOpen(
            f"the journal {access.shown} can't be opened: {said}; see `journal` and"
            " `postgres.password` in the settings"
        )
    if lost(error):
        return JournalUnavailable(f"the journal {access.shown} does not answer: {said}")
    return error
