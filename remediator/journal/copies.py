"""What backup and restore share over all engines: what a copy holds, and files made whole.

A copy is a whole journal. It can be proved like the journal it was made of, up to its own head.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from remediator.journal import audit
from remediator.journal.anchors import SignedHead
from remediator.journal.errors import CannotOpen
from remediator.journal.statements import Operation
from remediator.journal.verify import Copied, Verification

_PAGE = 5000


class BadCopy(Exception):
    """A copy can't be restored; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What was found in a copy.

    Args:
        schema: the schema's number.
        head: number and hash of its newest audit record.
        records: how many audit records were verified.
        newest_at: when the newest of them was written; None for an empty chain.
    """

    schema: int
    head: tuple[int, str]
    records: int
    newest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of the runs of a restored journal; see `restoring`."""

    cancelled: int
    interrupted: int
    notes_dropped: int


def examine(
    parts: Sequence[Sequence[SignedHead]], keys: Mapping[str, Ed25519PublicKey] | None
) -> Operation[tuple[Verification, datetime | None]]:
    """Check a copy's audit chain, page by page, against the signed heads below its own.

    Returns:
        What was found, and when the newest record was written.
    """
    chain = Copied((yield from audit.head()), parts, keys)
    after, newest_at = 0, None
    while page := (yield from audit.page(after=after, run_id=None, limit=_PAGE)):
        if not chain.feed(page):
            break
        after, newest_at = page[-1].seq, page[-1].entry.at
    return chain.end(), newest_at


@contextmanager
def whole_file(target: Path, *, force: bool) -> Iterator[Path]:
    """Give a new file, for its owner alone, that takes the target's name once it is whole.

    Raises:
        CannotOpen: there is such a file already and `force` is not given, or it can't be written.
    """
    if target.is_dir():
        raise CannotOpen(f"{target} is a folder; name a file in it")
    if not force and target.exists():
        raise CannotOpen(f"{target} is there already; name another file, or give --force")
    try:
        descriptor, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=".partial"
        )
    except OSError as error:
        raise CannotOpen(f"{target} can't be written: {error.strerror}") from error
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        sync(partial)
        if force:
            partial.replace(target)
        else:
            _name(partial, target)
        sync(target.parent)
    except OSError as error:
        raise CannotOpen(f"{target} can't be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file or folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name(partial: Path, target: Path) -> None:
    """Give the file its name, unless another came before."""
    try:
        target.hardlink_to(partial)
    except FileExistsError:
        raise CannotOpen(f"{target} is there already; name another file, or give --force") from None
    except OSError:  # a file system without links
        partial.replace(target)
