"""Pod templates: are two the same, and what differs, in words that may be shown. Pure.

Environment values, arguments and headers may hold passwords, which must not reach the journal or
a chat: that they differ is shown, what they are is not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from remediator.model import canonical
from remediator.model.canonical import JSON
from remediator.model.plans import Change

HASH_LABEL = "pod-template-hash"
"""What a Deployment's controller adds to the templates of its ReplicaSets."""

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The annotation by which kubectl and we restart; `kubectl rollout history` knows it."""

_MAY_HOLD_SECRETS = frozenset({"env", "args", "command", "httpHeaders"})
# More differences than this are a different program, and are said in one line.
_MOST_CHANGES = 20
_LONGEST_SHOWN = 160


def bare(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template as a workload holds it: without what controllers add to their copies.

    Left out: the hash label, `$patch` of ControllerRevisions, and empty metadata, which the API
    server writes in one place and leaves out in the other.
    """
    metadata = {
        key: value
        for key, value in (template.get("metadata") or {}).items()
        if value not in (None, {}, [])
    }
    labels = {key: value for key, value in metadata.get("labels", {}).items() if key != HASH_LABEL}
    if labels:
        metadata["labels"] = labels
    else:
        metadata.pop("labels", None)
    rest = {k: v for k, v in template.items() if k not in ("$patch", "metadata")}
    return {"metadata": metadata, **rest}


def fingerprint(template: Mapping[str, Any]) -> str:
    """Return what two templates share if and only if they are the same apart from their hash."""
    return canonical.digest(bare(template))


def release(template: Mapping[str, Any]) -> str:
    """Return what two templates share if and only if they run the same.

    A restart changes a template's fingerprint and hash, and not its release: whatever was wrong
    with a release is wrong with its restarts, and a restart is nothing to go back to.
    """
    return fingerprint(apart_from_restart(template))


def apart_from_restart(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template as if it had never been restarted."""
    plain = bare(template)
    annotations = plain["metadata"].get("annotations", {})
    kept = {key: value for key, value in annotations.items() if key != RESTARTED_AT}
    return bare({**plain, "metadata": {**plain["metadata"], "annotations": kept}})


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs, with paths as people know them: `…containers[app].image`."""
    found = list(_differ("spec.template", bare(before), bare(after), False))
    if len(found) > _MOST_CHANGES:
        left = len(found) - _MOST_CHANGES
        found[_MOST_CHANGES:] = [Change("spec.template", f"{left} more values", "changed")]
    return tuple(found)


def _differ(path: str, before: Any, after: Any, secret: bool) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _differ(
                f"{path}.{key}",
                before.get(key),
                after.get(key),
                secret or key in _MAY_HOLD_SECRETS,
            )
        return
    old, new = _by_name(before), _by_name(after)
    if old is not None and new is not None:
        for name in sorted({*old, *new}):
            yield from _differ(f"{path}[{name}]", old.get(name), new.get(name), secret)
        return
    yield Change(path, _shown(before, secret), _shown(after, secret))


def _by_name(value: Any) -> dict[str, Any] | None:
    """Read a list of named things (containers, ports, variables) by their names."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    if not all(isinstance(item, Mapping) and "name" in item for item in value):
        return None
    named = {str(item["name"]): item for item in value}
    return named if len(named) == len(value) else None


def _shown(value: Any, secret: bool) -> JSON:
    if value is None:
        return None
    if secret:
        return "(not shown)"
    text = canonical.dumps(value)
    if len(text) > _LONGEST_SHOWN:
        return f"({len(text)} characters, {canonical.digest(value)[:8]})"
    shown: JSON = value
    return shown
