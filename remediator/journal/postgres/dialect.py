"""The journal's portable SQL (`statements`) as PostgreSQL spells it. Pure.

A write of many rows becomes one statement over `unnest`: the row's values come as one array for
each column, and `$3` is the third of them.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

IDENTITY_KEY = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"

_EACH = re.compile(r"\beach\((\$\d+)\)")
_PLACEHOLDER = re.compile(r"\$(\d+)")
_INSERT = re.compile(r"^\s*(INSERT INTO .*?)\bVALUES\s*\((.*?)\)\s*(ON CONFLICT.*)?$", re.DOTALL)
_UPDATE = re.compile(r"^\s*(UPDATE .*?)\bWHERE\b(.*)$", re.DOTALL)
_DELETE = re.compile(r"^\s*(DELETE FROM \w+)\s+WHERE\b(.*)$", re.DOTALL)


@lru_cache(maxsize=1024)
def translate(sql: str) -> str:
    """Return a statement as PostgreSQL spells it."""
    return _EACH.sub(r"json_array_elements_text(\1::json)", sql)


def storable(values: Sequence[object]) -> Sequence[object]:
    """Return values without the one character that PostgreSQL takes in no text, U+0000.

    It comes out of alerts and of what commands print; a run that could not be written because of it
    would never end. In a document of ours it is escaped already, and stays.
    """
    if not any(isinstance(value, str) and "\0" in value for value in values):
        return values
    return [v.replace("\0", "\ufffd") if isinstance(v, str) else v for v in values]


def many(sql: str, types: Sequence[str]) -> str:
    """Return a write of one row as a write of as many as its arrays hold.

    Args:
        sql: `INSERT … VALUES (…)`, `UPDATE … WHERE …` or `DELETE … WHERE …`, of one row.
        types: PostgreSQL's name of each parameter's type, in order.

    Raises:
        ValueError: it is none of these.
    """
    columns = ", ".join(f"p{number}" for number in range(1, len(types) + 1))
    arrays = ", ".join(f"${number}::{name}[]" for number, name in enumerate(types, start=1))
    rows = f"unnest({arrays}) AS u({columns})"
    if found := _INSERT.match(sql):
        into, values, conflict = found.groups()
        return f"{into}SELECT {_of_row(values)} FROM {rows} {conflict or ''}"  # noqa: S608 - of our own text
    if found := _UPDATE.match(sql):
        update, where = found.groups()
        return f"{_of_row(update)} FROM {rows} WHERE {_of_row(where)}"
    if found := _DELETE.match(sql):
        delete, where = found.groups()
        return f"{delete} USING {rows} WHERE {_of_row(where)}"
    raise ValueError(f"no write of one row: {sql.strip()[:60]}")


def _of_row(sql: str) -> str:
    return _PLACEHOLDER.sub(r"u.p\1", sql)
