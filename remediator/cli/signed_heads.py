"""Where the signed heads of a journal are, and the key that may have signed them.

For `audit` and `db`, which hold a chain against them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from remediator.journal.anchors import Places, SignedHead
    from remediator.settings import Settings


@dataclass(frozen=True, slots=True)
class Heads:
    """Signed heads to hold the chain against, and the keys that may have signed them.

    `parts` are all of them, parted by the restores between them; `heads` is the last part.
    """

    parts: Sequence[Sequence["SignedHead"]] = ((),)
    keys: Mapping[str, "Ed25519PublicKey"] | None = None
    file: Path | None = None

    @property
    def heads(self) -> Sequence["SignedHead"]:
        """Those that count for the journal as it is now."""
        return self.parts[-1]

    @property
    def before_restore(self) -> Sequence["SignedHead"]:
        """Those that a restore's own line stands for now."""
        return [head for part in self.parts[:-1] for head in part]


def places(settings: "Settings") -> "Places":
    """Return where they are by the settings; none of them need be there yet.

    Raises:
        Failure: the settings name no journal.
    """
    from remediator.journal import anchors  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415

    try:
        return anchors.places(settings.journal, settings.audit)
    except CannotOpen as error:
        raise Failure(str(error)) from None


def find(file: Path | None, key: Path | None, settings: "Settings | None") -> Heads:
    """Read the signed heads: those that were named, else those that the settings lead to.

    Raises:
        Failure: they can't be read, or there is no key to check them with.
    """
    from remediator.journal import anchors, verify  # noqa: PLC0415 - keeps --help quick

    if settings is not None:
        ours = places(settings)
        file = file or (ours.heads if ours.heads.exists() else None)
        key = key or next((p for p in (ours.public, ours.key) if p.exists()), None)
    if file is None:
        return Heads()
    if key is None:
        raise Failure(f"{file}: the heads' signatures can't be checked without --key")
    try:
        public = anchors.load_public_key(key)
        keys = {anchors.key_id(public): public}
        parts = verify.by_restore(tuple(anchors.read(file)), keys)
    except (anchors.BadKey, anchors.BadHead) as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{file}: cannot be read: {error.strerror}") from None
    return Heads(parts, keys, file)
