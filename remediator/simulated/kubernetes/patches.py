"""Merge patches (RFC 7396) and JSON patches (RFC 6902). Pure: what is given is left as it is."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn


class Unfit(ValueError):
    """A JSON patch that does not fit the object."""


def merged(value: Any, patch: Any) -> Any:
    """Return a value under a merge patch; it shares what it did not change."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(value) if isinstance(value, Mapping) else {}
    for key, part in patch.items():
        if part is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), part)
    return result


def json_patched(value: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Return a value under a JSON patch.

    Raises:
        Unfit: an operation names what is not there, or a test fails.
    """
    for operation in operations:
        kind, path = operation.get("op"), _path(operation.get("path"))
        match kind:
            case "add" | "replace":
                if "value" not in operation:
                    raise Unfit(f"{kind} operation without a value")
                value = _put(value, path, operation["value"], kind == "replace")
            case "remove":
                value = _without(value, path)
            case "test":
                if _at(value, path) != operation.get("value"):
                    raise Unfit(f"testing value {operation.get('path')} failed: test failed")
            case "copy" | "move":
                origin = _path(operation.get("from"))
                moved = _at(value, origin)
                if kind == "move":
                    value = _without(value, origin)
                value = _put(value, path, moved, False)
            case _:
                raise Unfit(f"Unexpected kind: {kind}")
    return value


def _path(text: object) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise Unfit(f"{text!r} is no path")
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
    # The API server's library lets a member be replaced that is not there.
    if not isinstance(value, Mapping) or (rest and head not in value):
        _missing(path)
    return {**value, head: _put(value.get(head), rest, new, replace)}


def _without(value: Any, path: Sequence[str]) -> Any:
    if not path:
        raise Unfit("the whole document can't be removed")
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
        raise Unfit(f"the list has no place {part}")
    return int(part)


def _missing(path: Sequence[str]) -> NoReturn:
    raise Unfit(f"the server has nothing at /{'/'.join(path)}")
