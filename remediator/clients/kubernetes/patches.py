"""What a patch makes of an object: JSON merge patch (RFC 7396) and JSON patch (RFC 6902). Pure.

What is given is left as it is, and what was not changed is shared with it. Without the API server:
no defaults, no admission. Used where nothing may be sent to one, and by the simulated one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn


class BadPatch(ValueError):
    """The patch does not fit the object; the text says where."""


def merge(value: Any, patch: Any) -> Any:
    """Return a value under a merge patch: null deletes, mappings merge, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(value) if isinstance(value, Mapping) else {}
    for key, part in patch.items():
        if part is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), part)
    return result


def json_patch(
    value: Any, operations: Sequence[Mapping[str, Any]], *, as_the_server: bool = False
) -> Any:
    """Return a value under a JSON patch, whole or not at all.

    Args:
        as_the_server: let a member be replaced that is not there, as the API server's library does;
            the RFC refuses that.

    Raises:
        BadPatch: an operation names what is not there, or a test fails.
    """
    for operation in operations:
        kind, path = operation.get("op"), _path(operation.get("path"))
        match kind:
            case "add" | "replace":
                if "value" not in operation:
                    raise BadPatch(f"{kind} operation without a value")
                replaces = kind == "replace"
                if replaces and not as_the_server:
                    _at(value, path)
                value = _put(value, path, operation["value"], replaces)
            case "remove":
                value = _without(value, path)
            case "test":
                if _at(value, path) != operation.get("value"):
                    raise BadPatch(f"testing value {operation.get('path')} failed: test failed")
            case "copy" | "move":
                origin = _path(operation.get("from"))
                moved = _at(value, origin)
                if kind == "move":
                    value = _without(value, origin)
                value = _put(value, path, moved, False)
            case _:
                raise BadPatch(f"Unexpected kind: {kind}")
    return value


def _path(text: object) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise BadPatch(f"{text!r} is no path")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _at(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        if isinstance(value, list):
            value = value[_index(value, part, len(value) - 1)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            _missing(path)
    return value


def _put(value: Any, path: Sequence[str], new: Any, replace: bool) -> Any:
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, list):
        result = list(value)
        if not rest and not replace:
            result.insert(_index(value, head, len(value)), new)
        else:
            at = _index(value, head, len(value) - 1)
            result[at] = _put(result[at], rest, new, replace)
        return result
    if not isinstance(value, Mapping) or (rest and head not in value):
        _missing(path)
    return {**value, head: _put(value.get(head), rest, new, replace)}


def _without(value: Any, path: Sequence[str]) -> Any:
    if not path:
        raise BadPatch("the whole document can't be removed")
    head, rest = path[0], path[1:]
    if isinstance(value, list):
        at = _index(value, head, len(value) - 1)
        return [*value[:at], *([_without(value[at], rest)] if rest else []), *value[at + 1 :]]
    if not isinstance(value, Mapping) or head not in value:
        _missing(path)
    if rest:
        return {**value, head: _without(value[head], rest)}
    return {key: part for key, part in value.items() if key != head}


def _index(value: list[Any], part: str, last: int) -> int:
    if part == "-" and last == len(value):
        return last
    if not part.isdigit() or int(part) > last:
        raise BadPatch(f"the list has no place {part}")
    return int(part)


def _missing(path: Sequence[str]) -> NoReturn:
    raise BadPatch(f"the server has nothing at /{'/'.join(path)}")
