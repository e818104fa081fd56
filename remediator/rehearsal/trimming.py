"""Kubernetes objects as a test may hold them: without noise, and without anything secret. Pure.

What only the API server keeps for itself goes; what identifies an object and its owners stays, and
so does the status that plans read. Secrets go by the project's one rule of masking, and by the
names of variables. Used by `recording`.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from remediator.clients.process import looks_secret
from remediator.observe import masking
from remediator.observe.masking import MASK

_NOISE = frozenset({"managedFields", "selfLink", "resourceVersion"})
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MASKED_DATA = base64.b64encode(MASK.encode()).decode()


def trimmed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object as a manifest for a test."""
    found = {key: value for key, value in given.items() if key not in ("apiVersion", "kind")}
    metadata = {k: v for k, v in (found.pop("metadata", None) or {}).items() if k not in _NOISE}
    annotations = {
        name: masking.value(name, str(value))
        for name, value in (metadata.get("annotations") or {}).items()
        if name != _LAST_APPLIED
    }
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    kind = str(given.get("kind", ""))
    if kind == "Secret":
        found = {
            key: dict.fromkeys(value or {}, _MASKED_DATA if key == "data" else MASK)
            if key in ("data", "stringData")
            else value
            for key, value in found.items()
        }
    return {
        "apiVersion": given.get("apiVersion"),
        "kind": kind,
        "metadata": _clean(metadata),
        **{key: value if kind == "Secret" else _clean(value, key) for key, value in found.items()},
    }


def _clean(value: Any, name: str = "") -> Any:
    if isinstance(value, str):
        return masking.value(name, value)
    if isinstance(value, Mapping):
        return {
            key: _clean(inner, key)
            for key, inner in _environment(value).items()
            if key not in _NOISE and inner is not None
        }
    if isinstance(value, Sequence):
        return words(value) if name in ("args", "command") else [_clean(v, name) for v in value]
    return value


def _environment(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Mask the value of `{name: DB_PASSWORD, value: x}`."""
    name, held = value.get("name"), value.get("value")
    if not (isinstance(name, str) and isinstance(held, str) and held):
        return value
    hides = looks_secret(name) or masking.secret_name(name)
    return {**value, "value": MASK} if hides else value


def words(given: Sequence[Any]) -> list[Any]:
    """Return a command's words: what follows `--password` is masked, too."""
    found: list[Any] = []
    secret_follows = False
    for word in given:
        if not isinstance(word, str):
            found.append(word)
            continue
        flag, equals, _ = word.partition("=")
        hides = flag.startswith("-") and _secret_flag(flag)
        if hides and equals:
            found.append(f"{flag}={MASK}")
        elif secret_follows and not word.startswith("-"):
            found.append(MASK)
        else:
            found.append(masking.text(word))
        secret_follows = hides and not equals
    return found


def _secret_flag(flag: str) -> bool:
    name = flag.lstrip("-")
    return masking.secret_name(name) or looks_secret(name.replace("-", "_"))
