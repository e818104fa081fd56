"""What a journal operation may ask of a database: a few kinds of statement, in portable SQL.

An operation is a generator that yields statements and is sent their answers; it does no I/O, so
SQLite's writer thread drives it now and an asyncio driver can drive the same code later. The SQL
is the common part of SQLite 3.40 and PostgreSQL: `$1` placeholders, RETURNING, ON CONFLICT. Three
spellings are left to the engine, which translates each text once:

* `each($1) AS x` is a row source: the strings of a JSON array, in the column `value`;
* `FOR NO KEY UPDATE`, with `OF x` or `SKIP LOCKED`, where an engine has row locks (this strength
  lets others insert rows that refer to the locked one);
* `IDENTITY_KEY` in migrations: a primary key that the database numbers.

Times are integer microseconds since 1970 UTC (columns end in `_us`), JSON is text.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from remediator.journal.ids import Ids
from remediator.journal.values import AuditEntry, Due

P = TypeVar("P")
T = TypeVar("T")

Row: TypeAlias = Sequence[Any]


class Query(NamedTuple):
    """Answered by the list of rows; also for writes with RETURNING."""

    sql: str
    args: tuple[Any, ...] = ()


class Execute(NamedTuple):
    """Answered by the number of rows that changed."""

    sql: str
    args: tuple[Any, ...] = ()


class Many(NamedTuple):
    """One write for each row of arguments; answered by None."""

    sql: str
    rows: Sequence[tuple[Any, ...]]


class Record(NamedTuple):
    """Entries for the audit chain; the engine appends all of a transaction's at its end."""

    entries: Sequence[AuditEntry]


class Wake(NamedTuple):
    """Once this is committed, somebody should look at what is due."""

    what: Due


Statement: TypeAlias = Query | Execute | Many | Record | Wake
Operation: TypeAlias = Generator[Statement, Any, T]


@dataclass(frozen=True, slots=True, eq=False)
class Together(Generic[P, T]):
    """A kind of operation of which all that wait in a batch are carried out as one, set by set.

    Args:
        rank: kinds of a batch go in this order, everywhere, so that two replicas lock alike.
        start: makes one operation of many items; its answers are in the items' order.
    """

    rank: int
    start: Callable[[Sequence[P]], Operation[Sequence[T]]]


@dataclass(frozen=True, slots=True)
class Env:
    """What operations know of the daemon that they run in.

    Args:
        node: the identity that claims carry.
        subscribers: notifiers that every note goes to.
        pagers: notifiers that are told of escalations, and then of what becomes of the run.
        ids: where new identities come from.
    """

    node: str
    subscribers: tuple[str, ...]
    ids: Ids
    pagers: tuple[str, ...] = ()
