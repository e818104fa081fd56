"""What people may read: secrets in text that others wrote are replaced by stars. The one rule.

Knows the secrets of the settings (`know`), what looks like a secret whoever wrote it (tokens of
known services, private keys, `password=…`, passwords in URLs), what the name of a label or field
says, and the operator's own patterns. Used by `logs`, and by notifiers and the API for everything
that comes from alerts, plans and outputs. Decides nothing about what is worth showing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import re2

from remediator.model.canonical import JSON

MASK = "***"
# Shorter secrets would turn ordinary words into stars; nobody should have one.
_SHORTEST_SECRET_CHARS = 4

PASSWORD_IN_URL = re.compile(r"(?P<before>\b\w+://[^\s/?#:@]*:)(?P<password>[^\s/?#@]+)(?=@)")
"""`https://user:password@host`: what some servers leave as the only way to authenticate.

From the beginning of a word only: else a long word is read again from each of its letters."""

_NAME = (
    r"token|secret(?:[_-]?key)?|passw(?:or)?d|passphrase|authorization|credentials?|api[_-]?key|private[_-]?key"
    r"|signing[_-]?key|access[_-]?key|cookie"
)
_SECRET_NAME = re.compile(
    r"token|secret|passw|authorization|credential|api_?key|private_?key|signing_?key|cookie",
    re.IGNORECASE,
)
# Names that look secret and are not.
_PLAIN_NAMES = frozenset({"token_name", "secret_name", "secretname", "signing_key_file"})

# RE2, so that no text makes the search slow. The groups that have a name stay.
_LOOKS_SECRET = re2.compile(
    r"(?s)-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\z)"
    r"|(?P<bearer>\b(?i:bearer|basic)\s+)[A-Za-z0-9+/_.~=-]{12,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"
    r"|\bgh[opsur]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{20,}"
    r"|\bsk_(?:live|test)_[A-Za-z0-9]{16,}|\bhvs\.[A-Za-z0-9_-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\bhttps://hooks\.slack\.com/[A-Za-z0-9/]+"
    # What signs a link; a user in a URL that is as long as a token.
    r"|(?P<query>[?&](?i:[\w-]{0,20}signature|sig|pwd)=)[^\s\"'&⏎]{6,}"
    r"|(?P<link>\bhttps?://)[^\s/?#:@⏎]{16,}@"
    # `name: DB_PASSWORD` and its `value: x`, as Kubernetes writes the environment.
    r"|(?P<pair>(?i:\bname\\{0,3}[\"']?[ \t]?:[ \t]?\\{0,3}[\"']?[\w.-]{0,60}"
    rf"(?:{_NAME})[\w.-]{{0,20}}"
    r"\\{0,3}[\"']?,?[\s⏎]{0,20}\\{0,3}[\"']?value\\{0,3}[\"']?[ \t]?:[ \t]?))"
    r"(?:\"(?:[^\"\\]|\\.)+\"|'[^']+'|[^\s'},⏎]+)"
    # As a field, `--password x` among arguments, or with quotes that were escaped once more.
    rf"|(?P<named>(?i:\b[\w.-]{{0,40}}(?:{_NAME})(?:\\{{0,3}}[\"']?[ \t]{{0,9}}[=:]\s?[ \t]{{0,8}}"
    r"\\{0,3})|--[\w-]{0,40}"
    rf"(?:{_NAME})[ \t]{{1,9}}))"
    # `Authorization: Bearer x`: the scheme is no secret, what follows it is.
    r"(?:(?i:bearer|basic|token|negotiate|splunk|[a-z-]{0,20}key)\s+[^\s\"',;&⏎]+"
    r"|\"(?:[^\"\\]|\\.){4,}\"|\"[^\"]{4,}\"|'[^']{4,}'"
    r"|[^\s\"',;&⏎]{4,})"  # ⏎ stands where a line ended
)

_HALF = re.compile("[\ud800-\udfff]")

_known: dict[str, None] = {}
_patterns: list[Any] = []


def know(values: Iterable[str]) -> None:
    """Never show these texts again, wherever they appear."""
    for value in values:
        if len(value) >= _SHORTEST_SECRET_CHARS:
            _known[value] = None
    # The longest first: a secret that begins with another must not leave its end behind.
    for value in sorted(_known, key=len, reverse=True):
        _known[value] = _known.pop(value)


def patterns(given: Sequence[str]) -> None:
    """Mask what these regular expressions (RE2) match as well; in place of earlier ones."""
    _patterns[:] = [re2.compile(one) for one in given]


def known(text: str) -> str:
    """Return text without the secrets that the settings hold."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def text(given: str) -> str:
    """Return foreign text without anything that is, or looks like, a secret."""
    # RE2 takes no halves of surrogate pairs.
    shown = known(given.encode(errors="replace").decode() if _HALF.search(given) else given)
    for pattern in _patterns:
        shown = pattern.sub(MASK, shown)
    shown = PASSWORD_IN_URL.sub(rf"\g<before>{MASK}", shown)
    masked: str = _LOOKS_SECRET.sub(_starred, shown)
    return masked


def value(name: str, given: str) -> str:
    """Return the value of a label or field of this name, masked where the name calls for it."""
    return MASK if secret_name(name) and given else text(given)


def document(given: JSON, name: str = "") -> JSON:
    """Return a document with each text in it as `value` shows it, by the nearest name above it."""
    if isinstance(given, str):
        return value(name, given)
    if isinstance(given, Mapping):
        return {key: document(inner, key) for key, inner in given.items()}
    if isinstance(given, Sequence):
        return [document(inner, name) for inner in given]
    return given


def secret_name(name: str) -> bool:
    """Whether what has this name is a secret."""
    return name.lower() not in _PLAIN_NAMES and _SECRET_NAME.search(name) is not None


def _starred(found: Any) -> str:
    kept = found["bearer"] or found["named"] or found["query"] or found["pair"] or ""
    return f"{found['link']}{MASK}@" if found["link"] else f"{kept}{MASK}"
