"""Open a journal by its URL; the one place that knows which engines there are."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from remediator.journal.errors import CannotOpen
from remediator.journal.handle import Handle
from remediator.journal.ids import Ids
from remediator.journal.protocol import Journal, Opening
from remediator.journal.sqlite import engine as sqlite_engine
from remediator.journal.statements import Env
from remediator.model.clock import Clock
from remediator.settings import PostgresSettings

if TYPE_CHECKING:
    from remediator.journal.postgres.connection import Access

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")
# Where a daemon on PostgreSQL keeps its signing key and heads unless the settings say otherwise.
_KEPT_BESIDE = Path("var/remediator.db")


async def open_journal(
    url: str,
    clock: Clock,
    opening: Opening,
    *,
    postgres: PostgresSettings | None = None,
    read_only: bool = False,
) -> Journal:
    """Open a journal.

    Args:
        url: `sqlite:///relative/path`, `sqlite:////absolute/path`, or
            `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
        clock: where new ids, and the freeing of what a former daemon had in hand, take the time.
        opening: who we are and what we want to be told.
        postgres: how PostgreSQL is used.
        read_only: only look, beside running daemons or without one; takes no lock, migrates
            nothing and joins nobody.

    Raises:
        CannotOpen: with the reason and the way out.
    """
    env = Env(
        node=opening.node, subscribers=opening.subscribers, ids=Ids(clock), pagers=opening.pagers
    )
    if is_postgres(url):
        access = postgres_access(url, postgres)
        from remediator.journal.postgres import engine as postgres_engine  # noqa: PLC0415 - an extra

        if read_only:
            return Handle(await postgres_engine.open_for_reading(access, clock, env), env, clock)
        return Handle(await postgres_engine.open_engine(access, clock, opening, env), env, clock)
    path = sqlite_path(url)
    if read_only:
        return Handle(await sqlite_engine.open_for_reading(path, env), env, clock)
    return Handle(await sqlite_engine.open_engine(path, clock, opening, env), env, clock)


def is_postgres(url: str) -> bool:
    """Whether a URL names a database that several daemons may share."""
    return url.startswith(_POSTGRES)


def postgres_access(url: str, postgres: PostgresSettings | None) -> "Access":
    """Return how to reach a PostgreSQL journal.

    Raises:
        CannotOpen: the driver is not installed.
    """
    try:
        from remediator.journal.postgres.connection import Access  # noqa: PLC0415 - an extra
    except ImportError:
        raise CannotOpen(
            "a journal on PostgreSQL needs the driver asyncpg: pip install 'remediator[postgres]'"
        ) from None
    settings = postgres or PostgresSettings()
    return Access(
        url=url,
        password=settings.password.get_secret_value() if settings.password else None,
        isolation=settings.isolation,
        listen_notify=settings.listen_notify,
        lease=settings.lease,
    )


def kept_beside(url: str) -> Path:
    """Return the path beside which a journal's signing key and heads are kept.

    Raises:
        CannotOpen: it is no journal's URL.
    """
    return _KEPT_BESIDE if is_postgres(url) else sqlite_path(url)


def sqlite_path(url: str) -> Path:
    """Return the file that a SQLite URL names; keys and locks live beside it.

    Raises:
        CannotOpen: it is no SQLite URL.
    """
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path or path.endswith("/"):
        raise CannotOpen(
            f"{_masked(url)!r} is no journal; write sqlite:///relative/path,"
            " sqlite:////absolute/path or postgresql://USER@HOST/DATABASE"
        )
    return Path(path)


def shown(url: str) -> str:
    """Return a journal's address for texts: without user, password and options."""
    if not is_postgres(url):
        return _masked(url)
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _masked(url: str) -> str:
    """Return a URL without what may be a password."""
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url
