"""The notifications table: raw bodies, deflated, for replay."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.journal.statements import Execute, Many, Operation, Query
from remediator.journal.times import to_us
from remediator.journal.values import Intake, Truncated

# The fastest level: bodies are repetitive JSON, and level 1 already makes them ten times smaller.
_LEVEL = 1
_SMALL, _SMALL_WBITS, _SMALL_MEMORY = 8 * 1024, 12, 4


@dataclass(frozen=True, slots=True)
class StoredBody:
    """A body as it is kept; made outside of the writer thread, since 20 MB take a while."""

    sha256: str
    size: int
    deflated: bytes


def pack(body: bytes) -> StoredBody:
    """Digest and deflate a body."""
    if len(body) <= _SMALL:
        # Tables for 64 KiB take longer to clear than one alert takes to deflate.
        deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _SMALL_WBITS, _SMALL_MEMORY)
        deflated = deflate.compress(body) + deflate.flush()
    else:
        deflated = zlib.compress(body, _LEVEL)
    return StoredBody(hashlib.sha256(body).hexdigest(), len(body), deflated)


def unpack(deflated: bytes) -> bytes:
    """Return the body that `pack` deflated."""
    return zlib.decompress(deflated)


def insert(received: Sequence[tuple[str, Intake, StoredBody]]) -> Operation[None]:
    """Keep notifications, each with its id."""
    yield Many(
        "INSERT INTO notifications"
        " (id, sender, source, received_us, sha256, size, alerts, truncated, body)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [
            (
                id_,
                intake.sender,
                intake.source,
                to_us(intake.received_at),
                body.sha256,
                body.size,
                len(intake.candidates),
                intake.truncated,
                body.deflated,
            )
            for id_, intake, body in received
        ],
    )


def unfetched(after: str) -> Operation[Truncated | None]:
    """Return the next notification, by id, whose dropped tail has not been asked for yet."""
    rows = yield Query(
        "SELECT id, sender, source, body FROM notifications"
        " WHERE truncated > 0 AND fetched_us IS NULL AND id > $1 ORDER BY id LIMIT 1",
        (after,),
    )
    for row in rows:  # bodies are large: one at a time
        return Truncated(row[0], row[1], row[2], unpack(bytes(row[3])))
    return None


def fetched(notification_id: str, at: datetime) -> Operation[None]:
    """Put on record that a notification's dropped tail was asked for."""
    yield Execute(
        "UPDATE notifications SET fetched_us = $2 WHERE id = $1", (notification_id, to_us(at))
    )
