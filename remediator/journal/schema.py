"""The schema's migrations: numbered SQL files, forward only, each in one transaction with its
number. The same files for every engine; `IDENTITY_KEY` is spelled by each.
"""

import re
from importlib import resources
from typing import NamedTuple

_NAME = re.compile(r"(\d{4})_\w+\.sql")

TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version"
    " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us BIGINT NOT NULL)"
)


class Migration(NamedTuple):
    """One step of the schema."""

    version: int
    name: str
    sql: str


def known() -> list[Migration]:
    """Return the migrations of this version, in order."""
    folder = resources.files("remediator.journal") / "migrations"
    found = []
    for file in folder.iterdir():
        match = _NAME.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), file.name, file.read_text(encoding="utf-8")))
    return sorted(found)
