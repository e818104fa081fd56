"""Open a journal by its URL; the one place that knows which engines there are."""

from pathlib import Path

from remediator.journal.errors import CannotOpen
from remediator.journal.handle import Handle
from remediator.journal.ids import Ids
from remediator.journal.protocol import Journal, Opening
from remediator.journal.sqlite import engine as sqlite_engine
from remediator.journal.statements import Env
from remediator.model.clock import Clock

_SQLITE = "sqlite:///"


async def open_journal(
    url: str, clock: Clock, opening: Opening, *, read_only: bool = False
) -> Journal:
    """Open a journal.

    Args:
        url: `sqlite:///relative/path` or `sqlite:////absolute/path`.
        clock: where new ids, and the freeing of what a former daemon had in hand, take the time.
        opening: who we are and what we want to be told.
        read_only: only look, beside a running daemon or without one; takes no lock and migrates
            nothing.

    Raises:
        CannotOpen: with the reason and the way out.
    """
    path = sqlite_path(url)
    env = Env(
        node=opening.node, subscribers=opening.subscribers, ids=Ids(clock), pagers=opening.pagers
    )
    if read_only:
        return Handle(await sqlite_engine.open_for_reading(path), env, clock)
    return Handle(await sqlite_engine.open_engine(path, clock, opening, env), env, clock)


def sqlite_path(url: str) -> Path:
    """Return the file that a SQLite URL names; keys and locks live beside it.

    Raises:
        CannotOpen: it is no SQLite URL.
    """
    scheme = url.partition(":")[0]
    if scheme in {"postgresql", "postgres"}:
        raise CannotOpen(
            "a journal on PostgreSQL is not supported by this version; use sqlite:///PATH"
        )
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path or path.endswith("/"):
        raise CannotOpen(
            f"{_masked(url)!r} is no journal; write sqlite:///relative/path or"
            " sqlite:////absolute/path"
        )
    return Path(path)


def _masked(url: str) -> str:
    """Return a URL without what may be a password."""
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url
