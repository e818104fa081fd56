"""What a patch makes of an object: JSON merge patch (RFC 7396) and JSON patch (RFC 6902). Pure.

Without the API server: no defaults, no admission. Used where nothing may be sent to one.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any


class BadPatch(ValueError):
    """The patch does not fit the object; the text says where."""


def merge(target: Any, patch: Any) -> Any:
    """Return the target with a merge patch applied: null deletes, mappings merge, all else
    replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def json_patch(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Return the target with a JSON patch applied, whole or not at all.

    Raises:
        BadPatch: a path leads nowhere, a test fails, or an operation is unknown.
    """
    document = copy.deepcopy(target)
    for one in operations:
        document = _applied(document, one)
    return document


def _applied(document: Any, one: Mapping[str, Any]) -> Any:
    path, what = str(one.get("path", "")), one.get("op")
    if what == "test":
        if _at(document, path) != one.get("value"):
            raise BadPatch(f"{path} is not what the patch expects")
        return document
    if what in ("move", "copy"):
        source = str(one.get("from", ""))
        value = copy.deepcopy(_at(document, source))
        if what == "move":
            document = _removed(document, source)
        return _added(document, path, value)
    if what == "remove":
        return _removed(document, path)
    if what == "replace":
        _at(document, path)
        return _added(_removed(document, path), path, copy.deepcopy(one.get("value")))
    if what == "add":
        return _added(document, path, copy.deepcopy(one.get("value")))
    raise BadPatch(f"{what!r} is no operation of a JSON patch")


def _parts(path: str) -> list[str]:
    if not path:
        return []
    if not path.startswith("/"):
        raise BadPatch(f"{path!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _at(document: Any, path: str) -> Any:
    for part in _parts(path):
        document = _child(document, part, path)
    return document


def _child(parent: Any, part: str, path: str) -> Any:
    if isinstance(parent, Mapping) and part in parent:
        return parent[part]
    if isinstance(parent, list) and part.isdigit() and int(part) < len(parent):
        return parent[int(part)]
    raise BadPatch(f"there is no {path}")


def _removed(document: Any, path: str) -> Any:
    parts = _parts(path)
    if not parts:
        return None
    parent = document
    for part in parts[:-1]:
        parent = _child(parent, part, path)
    _child(parent, parts[-1], path)
    del parent[int(parts[-1]) if isinstance(parent, list) else parts[-1]]
    return document


def _added(document: Any, path: str, value: Any) -> Any:
    parts = _parts(path)
    if not parts:
        return value
    parent = document
    for part in parts[:-1]:
        parent = _child(parent, part, path)
    last = parts[-1]
    if isinstance(parent, list):
        if last != "-" and not (last.isdigit() and int(last) <= len(parent)):
            raise BadPatch(f"there is no {path}")
        parent.insert(len(parent) if last == "-" else int(last), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise BadPatch(f"there is no {path}")
    return document
