"""Open a journal by its URL; the one place that knows which engines there are."""

from typing import TYPE_CHECKING

from remediator.journal.errors import CannotOpen
from remediator.journal.handle import Handle
from remediator.journal.ids import Ids
from remediator.journal.protocol import Journal
from remediator.journal.sqlite import engine as sqlite_engine
from remediator.journal.statements import Env
from remediator.journal.urls import is_postgres, sqlite_path
from remediator.journal.values import Opening
from remediator.model.clock import Clock
from remediator.settings import PostgresSettings

if TYPE_CHECKING:
    from remediator.journal.postgres.connection import Access


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
