"""How many replicas a scale leads to: `+2`, `-1`, `+50%`, a fixed count, and bounds. Pure."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_STEP = re.compile(r"([+-])(\d{1,4})(%?)")
# Percentages beyond this are a typing error: more than eleven times as many at once.
_MOST_PERCENT = 1000


def parse_step(value: object) -> str:
    """Parse `+2`, `-1`, `+50%` into that text; YAML reads `+2` as the number 2.

    Raises:
        ValueError: it says no direction, or nothing, or far too much.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no change of a count; write +2, -1 or +50%")
    text = f"{value:+d}" if isinstance(value, int) else value.strip()
    match = _STEP.fullmatch(text)
    if not match or not int(match[2]):
        raise ValueError(f"{text!r} is no change of a count; write +2, -1 or +50%")
    if match[3] and int(match[2]) > (_MOST_PERCENT if match[1] == "+" else 100):
        raise ValueError(f"{text!r} is out of range; -100% to +{_MOST_PERCENT}%")
    return text


Step = Annotated[
    str,
    BeforeValidator(parse_step),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "pattern": "^[+-][0-9]{1,4}%?$",
            "examples": ["+2", "-1", "+50%"],
        }
    ),
]


def stepped(current: int, step: str) -> int:
    """Return the count after a step; a percentage moves by one at least, rounded away from it."""
    match = _STEP.fullmatch(step)
    if match is None:
        raise ValueError(f"{step!r} is no step")
    size = int(match[2])
    if match[3]:
        size = max(1, math.ceil(current * size / 100))
    return max(0, current + size if match[1] == "+" else current - size)


def wanted(
    current: int, *, to: int | None, by: str | None, least: int | None, most: int | None
) -> int:
    """Return how many replicas there shall be.

    Bounds stop a step, and never turn it round: `by: +1, max: 5` leaves 8 replicas at 8.
    """
    aim = to if to is not None else stepped(current, by or "")
    bounded = aim
    if least is not None:
        bounded = max(bounded, least)
    if most is not None:
        bounded = min(bounded, most)
    if by is not None:
        return max(current, bounded) if by.startswith("+") else min(current, bounded)
    return bounded
