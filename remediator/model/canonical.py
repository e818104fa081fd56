"""Canonical JSON and digests: the same value gives the same bytes on every machine.

Used for plan digests, runbook versions and the audit chain. Close to RFC 8785: keys sorted,
no white space, UTF-8 kept, non-finite numbers refused.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
JSONObject: TypeAlias = Mapping[str, JSON]


def dumps(value: JSON) -> str:
    """Return the canonical JSON text of `value`.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: a value is not JSON.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: JSON) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, as 64 hex digits."""
    return hashlib.sha256(dumps(value).encode()).hexdigest()
