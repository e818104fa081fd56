"""Lanes as people read them: the same step of many items is one thing that was done to many. Pure.

The ids of a `for_each` say which belong together (`restarts[0]`, `restarts[1]`, or with a fragment
`restarts[0].look`). Used by notifiers and the command line, so that thirty lanes read as one step.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_LANE = re.compile(r"^(?P<block>.+)\[(?P<lane>\d+)\](?P<rest>.*)$")
FEW = 3
"""So many lanes are shown one by one: each with all that is known of it."""


@dataclass(frozen=True, slots=True)
class Lanes(Generic[T]):
    """Several lanes' instances of one step; `name` is like `restarts[0–29]`."""

    name: str
    members: tuple[T, ...]


def grouped(
    items: Sequence[T],
    *,
    id_of: Callable[[T], str],
    apart: Callable[[T], bool] = lambda _: False,
) -> list[T | Lanes[T]]:
    """Return items, with those of many lanes put together where the first of them stands.

    Args:
        items: in order.
        id_of: an item's step id.
        apart: which of them stand by themselves, whatever their lane; they come where they were.
    """
    of: dict[tuple[str, str], list[T]] = {}
    for item in items:
        found = _LANE.match(id_of(item))
        if found is not None and not apart(item):
            of.setdefault((found["block"], found["rest"]), []).append(item)
    first = {id(members[0]): key for key, members in of.items() if len(members) > FEW}
    told = {id(one) for key in first.values() for one in of[key]}
    shown: list[T | Lanes[T]] = []
    for item in items:
        key = first.get(id(item))
        if key is not None:
            members = of[key]
            shown.append(Lanes(_name(key, [id_of(one) for one in members]), tuple(members)))
        elif id(item) not in told:
            shown.append(item)
    return shown


def names(ids: Sequence[str]) -> list[str]:
    """Return step ids with the lanes of a block in one: `a`, `restarts[0–3, 5]`, `b`."""
    of: dict[tuple[str, str], list[str]] = {}
    for step_id in ids:
        of.setdefault(_key(step_id), []).append(step_id)
    return [_name(key, members) if len(members) > 1 else members[0] for key, members in of.items()]


def _key(step_id: str) -> tuple[str, str]:
    found = _LANE.match(step_id)
    return (found["block"], found["rest"]) if found is not None else (step_id, "")


def _name(key: tuple[str, str], ids: Sequence[str]) -> str:
    lanes = sorted({int(found["lane"]) for found in map(_LANE.match, ids) if found is not None})
    return f"{key[0]}[{', '.join(_ranges(lanes))}]{key[1]}"


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    begin = end = None
    for number in numbers:
        if begin is None or end is None:
            begin = end = number
        elif number == end + 1:
            end = number
        else:
            yield _range(begin, end)
            begin = end = number
    if begin is not None and end is not None:
        yield _range(begin, end)


def _range(begin: int, end: int) -> str:
    return str(begin) if begin == end else f"{begin}–{end}"
