"""What a list and a watch give, and how a watch's lines are read. Pure.

Called by `client` alone; `Listing` and `Event` are what whoever watches works with.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from remediator.clients.errors import ClientError, Unavailable
from remediator.clients.kubernetes import nesting
from remediator.clients.kubernetes.resources import Object

LASTS_S = 280
"""How long a watch is asked to last before the server ends it and it is begun anew: below the five
minutes after which load balancers cut what lives too long, and often enough that credentials which
were taken away stop counting soon."""


class Gone(ClientError):
    """The server no longer knows what has happened since that version (410): list anew."""


class Kind(StrEnum):
    """What an event says of its object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    """Nothing happened; the version is where to go on."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Every object there was, and the version from which to watch on."""

    items: tuple[Object, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change, and the version from which to watch on after it."""

    kind: Kind
    object: Object
    version: str


def event(line: bytes) -> Event:
    """Return the event that a line holds.

    Raises:
        Gone: the server says that it can't go on from where it was asked to.
        Unavailable: it says that something else is wrong, or the line is none.
    """
    try:
        value = nesting.loads(line)
        kind, told = value["type"], value["object"]
        if kind == "ERROR":
            raise _error(told)
        return Event(Kind(kind), told, str(told["metadata"]["resourceVersion"]))
    except (ValueError, LookupError, TypeError):
        raise Unavailable("a line of a watch is no event: is this the API server?") from None


def _error(status: Any) -> ClientError:
    message = str(status.get("message") or status.get("reason") or "no reason given")[:500]
    if status.get("code") == 410 or status.get("reason") in ("Expired", "Gone"):
        return Gone(f"the API server no longer knows what happened since then: {message}")
    return Unavailable(f"the API server ended a watch: {message}")
