"""Signed heads of the audit chain, kept elsewhere: they show when the chain's tail was cut off.

A head is the newest record's number and hash, the time and the key's id, signed with Ed25519
(RFC 8032). Whoever can write the journal can't make an older state pass for the present one
without the key, and can't take back heads that were sent to another disk or machine.

Housekeeping calls `sign` and `append`; `verify` calls `check`. Plain functions that block for
moments; the caller decides on threads.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from remediator.journal import urls
from remediator.model import canonical
from remediator.model.clock import from_text, to_text
from remediator.settings import Audit

# What a signature covers begins with this, so that it can't pass for one of another purpose.
_PURPOSE = "remediator-audit-head-1"
_PURPOSE_RESTORED = "remediator-audit-restored-1"
_KEY_ID_LENGTH = 16
# A head's line is under 400 bytes.
_LONGEST_LINE = 4096


class BadKey(Exception):
    """A key file can't be used; the text names it and says what to do."""


class BadHead(Exception):
    """A signed head can't be trusted or read; the text says why."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head, and who signed it when. `signature` is in hexadecimal.

    One that is `restored` says more: at that time the journal was restored from a copy with this
    head, and goes on from it, whatever was signed until then.
    """

    seq: int
    hash: str
    at: datetime
    key_id: str
    signature: str
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """The files that prove a journal: its signing key, the key's public half, and the heads."""

    key: Path
    public: Path
    heads: Path


def places(url: str, audit: Audit) -> Places:
    """Return where they are by the settings; none of them need be there yet.

    Raises:
        CannotOpen: it is no journal's URL.
    """
    journal = urls.kept_beside(url)
    key = audit.signing_key_file or beside(journal)
    return Places(key, public_path(key), audit.anchor_file or heads_path(journal))


def beside(journal: Path) -> Path:
    """Return where the key of a journal lives unless the settings say otherwise."""
    return journal.with_name(journal.name + ".signing-key.pem")


def heads_path(journal: Path) -> Path:
    """Return where the signed heads of a journal are kept unless the settings say otherwise."""
    return journal.with_name(journal.name + ".heads.jsonl")


def public_path(key_file: Path) -> Path:
    """Return where the public key is written when a key is made."""
    return key_file.with_name(key_file.name + ".pub")


def load_or_make_key(path: Path) -> Ed25519PrivateKey:
    """Read the private key; makes one, for its owner only, with the public key beside it.

    Raises:
        BadKey: the file can't be read or written, is readable by others, or is no Ed25519 key.
    """
    try:
        if not path.exists():
            _make_key(path)
        return load_key(path)
    except OSError as error:
        raise BadKey(f"the signing key {path} can't be used: {error.strerror}") from error


def load_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        BadKey: the file can't be read, is readable by others, or is no Ed25519 key.
    """
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise BadKey(f"the signing key {path} can't be read: {error.strerror}") from error
    if mode & 0o007:
        raise BadKey(f"the signing key {path} is open to every user; run: chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey(f"{path} is no unencrypted private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"the signing key {path} is of another kind; an Ed25519 key is needed")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key, or the public half of a private one.

    Raises:
        BadKey: the file can't be read or is no Ed25519 key.
    """
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise BadKey(f"the key {path} can't be read: {error.strerror}") from error
    if b"PRIVATE KEY" in pem:
        return load_key(path).public_key()
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey(f"{path} is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"the key {path} is of another kind; an Ed25519 key is needed")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """Return the short name of a key: the beginning of the SHA-256 of its 32 bytes."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return sha256(raw).hexdigest()[:_KEY_ID_LENGTH]


def sign(
    key: Ed25519PrivateKey, *, seq: int, digest: str, at: datetime, restored: bool = False
) -> SignedHead:
    """Sign the head (`seq`, `digest`) as it is at `at`; or as the copy had it that was restored."""
    name = key_id(key.public_key())
    unsigned = SignedHead(seq=seq, hash=digest, at=at, key_id=name, signature="", restored=restored)
    return replace(unsigned, signature=key.sign(_covered(unsigned)).hex())


def check(head: SignedHead, keys: Mapping[str, Ed25519PublicKey]) -> None:
    """Check a head's signature.

    Raises:
        BadHead: none of the keys signed it.
    """
    key = keys.get(head.key_id)
    if key is None:
        raise BadHead(f"the head at record {head.seq} was signed by {head.key_id}, no key of ours")
    try:
        key.verify(bytes.fromhex(head.signature), _covered(head))
    except (InvalidSignature, ValueError):
        raise BadHead(f"the signature of the head at record {head.seq} is wrong") from None


def to_line(head: SignedHead) -> str:
    """Return a head as one line of JSON."""
    return canonical.dumps(
        {
            "seq": head.seq,
            "hash": head.hash,
            "at": to_text(head.at),
            "key_id": head.key_id,
            "signature": head.signature,
            **({"restored": True} if head.restored else {}),
        }
    )


def from_line(line: str) -> SignedHead:
    """Read a line that `to_line` wrote.

    Raises:
        BadHead: it is none.
    """
    try:
        value = json.loads(line)
        return SignedHead(
            seq=int(value["seq"]),
            hash=str(value["hash"]),
            at=from_text(value["at"]),
            key_id=str(value["key_id"]),
            signature=str(value["signature"]),
            restored=value.get("restored", False) is True,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadHead(f"not a signed head: {error!r}") from None


def append(path: Path, head: SignedHead) -> None:
    """Append a head to a file, on the disk before this returns.

    Raises:
        OSError: the file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "ab") as file:
        _drop_torn_line(descriptor)
        file.write(to_line(head).encode() + b"\n")
        file.flush()
        os.fsync(descriptor)


def _drop_torn_line(descriptor: int) -> None:
    """Cut off what a crash or a full disk left of a line, or the next one would be part of it."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _LONGEST_LINE, max(0, size - _LONGEST_LINE))
    torn = len(tail) - (tail.rfind(b"\n") + 1)
    if torn:
        os.ftruncate(descriptor, size - torn)


def read(path: Path) -> Iterator[SignedHead]:
    """Read a file of heads. A last line without an end is what a crash leaves, and is passed over.

    Raises:
        BadHead: a line is none, with its number.
        OSError: the file can't be read.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith("\n") or not line.strip():
                continue
            try:
                yield from_line(line)
            except BadHead as error:
                raise BadHead(f"{path}:{number}: {error}") from None


def _covered(head: SignedHead) -> bytes:
    purpose = _PURPOSE_RESTORED if head.restored else _PURPOSE
    return canonical.dumps([purpose, head.seq, head.hash, to_text(head.at), head.key_id]).encode()


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    if not _write_whole(path, private, replace=False):
        return  # another replica was faster, and wrote the public half of its own
    _write_whole(
        public_path(path),
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def _write_whole(path: Path, content: bytes, *, replace: bool = True) -> bool:
    """Write a file that is there whole or not at all, readable by its owner alone.

    Returns:
        False if it was there already and was not to be replaced.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if replace:
            Path(name).replace(path)
            return True
        try:
            path.hardlink_to(name)
        except FileExistsError:
            return False
        return True
    finally:
        Path(name).unlink(missing_ok=True)
