"""Parameter types, seen from YAML and CEL: what an expression may give, and words for people."""

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, PlainValidator, WrapValidator

_UNIONS = (Union, UnionType)
_LISTS = (list, tuple, set, frozenset, Sequence)
_MAPS = (dict, Mapping)
_READERS = (BeforeValidator, PlainValidator, WrapValidator)


def annotated(field: Any) -> Any:
    """Return a field's annotation with its bounds, for a validator of its own."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def cel_types(annotation: Any) -> frozenset[str]:
    """Return the CEL types that a parameter takes; empty when anything may do."""
    simple = {str: "STRING", bool: "BOOL", int: "INT", float: "DOUBLE", type(None): "NULL"}
    if get_origin(annotation) is Literal:
        return frozenset(simple[type(value)] for value in get_args(annotation))
    if get_origin(annotation) in _LISTS:
        return frozenset({"LIST"})
    if get_origin(annotation) in _MAPS:
        return frozenset({"MAP"})
    if annotation in simple:
        found = simple[annotation]
        return frozenset({found, "INT"}) if found == "DOUBLE" else frozenset({found})
    if not get_args(annotation) or any(isinstance(one, _READERS) for one in get_args(annotation)):
        return frozenset()  # a validator that reads the value first may take other types
    inner = [cel_types(one) for one in get_args(annotation) if not _is_metadata(one)]
    if getattr(annotation, "__metadata__", None):
        return cel_types(get_args(annotation)[0])
    origin = getattr(annotation, "__origin__", None)
    if origin is not None and origin not in _UNIONS:
        return frozenset()
    return frozenset() if not all(inner) else frozenset().union(*inner)


def item_of(annotation: Any) -> Any | None:
    """Return what the items of a list, or the values of a map, must be; None for anything else."""
    if getattr(annotation, "__metadata__", None):
        return item_of(get_args(annotation)[0])
    if get_origin(annotation) in _LISTS:
        return get_args(annotation)[0]
    if get_origin(annotation) in _MAPS:
        return get_args(annotation)[1]
    if get_origin(annotation) in _UNIONS:
        found = [item for one in get_args(annotation) if (item := item_of(one)) is not None]
        return found[0] if len(found) == 1 else None
    return None


def _is_metadata(value: Any) -> bool:
    return not isinstance(value, type) and not hasattr(value, "__origin__") and value is not None


def kind(type_name: str) -> str:
    """Return a CEL type without what is in it: LIST of LIST<STRING>."""
    return type_name.partition("<")[0].partition("(")[0].upper()


def people(type_name: str) -> str:
    """Return a CEL type in plain words."""
    words = {
        "STRING": "text",
        "INT": "a whole number",
        "UINT": "a whole number",
        "DOUBLE": "a number",
        "BOOL": "true or false",
        "LIST": "a list",
        "MAP": "a map",
        "TIMESTAMP": "a time",
        "DURATION": "a duration",
        "NULL": "nothing",
    }
    return words.get(kind(type_name), type_name.lower())
