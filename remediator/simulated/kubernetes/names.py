"""Identities, names and hashes that are the same at every run. Pure but for its counters.

What is made, and how often before, decides them; so one more object in a world leaves the others'
identities as they were.
"""

import hashlib
import json
import uuid
from typing import Any

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of Kubernetes' own suffixes: none that spell words, and nothing like 0 and o."""


class Names:
    """Hands out uids and suffixes."""

    def __init__(self) -> None:
        self._made: dict[str, int] = {}

    def uid(self, group: str, kind: str, namespace: str, name: str) -> str:
        """Return the uid of an object that is made now."""
        return str(
            uuid.UUID(bytes=self._digest(f"uid {group} {kind} {namespace}/{name}")[:16], version=4)
        )

    def suffix(self, namespace: str, prefix: str) -> str:
        """Return five letters for a name that the API server makes up."""
        return _letters(self._digest(f"name {namespace}/{prefix}"), 5)

    def _digest(self, what: str) -> bytes:
        count = self._made[what] = self._made.get(what, 0) + 1
        return hashlib.sha256(f"{what} {count}".encode()).digest()


def hash_of(value: Any, collisions: int = 0) -> str:
    """Return a hash as controllers put it into names: ten letters.

    Not the figure that Kubernetes would compute, which depends on its Go types.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":")) + str(collisions or "")
    return _letters(hashlib.sha256(text.encode()).digest(), 10)


def _letters(digest: bytes, count: int) -> str:
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:count])
