"""What a journal's URL says: which engine, which file, and what of it people may see. Pure."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from remediator.journal.errors import CannotOpen

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")
# Where a daemon on PostgreSQL keeps its signing key and heads unless the settings say otherwise.
_KEPT_IN = Path("var")


def is_postgres(url: str) -> bool:
    """Whether a URL names a database that several daemons may share."""
    return url.startswith(_POSTGRES)


def kept_beside(url: str) -> Path:
    """Return the path beside which a journal's signing key and heads are kept.

    Raises:
        CannotOpen: it is no journal's URL.
    """
    if not is_postgres(url):
        return sqlite_path(url)
    parts = urlsplit(url)
    where = f"{parts.hostname or 'localhost'}-{parts.port or 5432}-{parts.path.strip('/')}"
    # Another database has another chain, and must not meet this one's heads.
    return _KEPT_IN / re.sub(r"[^\w.-]", "_", where)


def shown(url: str) -> str:
    """Return a journal's URL for people: without user and password."""
    if not is_postgres(url):
        return url
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


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


def _masked(url: str) -> str:
    """Return a URL without what may be a password."""
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url
