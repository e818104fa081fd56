"""What pydantic finds wrong with a value, in the words of those who write YAML. Pure.

Used for settings, policies, runbooks and schedules; nobody who writes one should need to know what
a tuple or a timedelta is.
"""

import re
from datetime import timedelta

from remediator.model.quantities import format_duration

_WORDS = (
    ("a valid tuple", "a list"),
    ("a valid list", "a list"),
    ("a valid dictionary", "a mapping"),
    ("a valid string", "text"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
    ("a valid boolean", "true or false"),
    (" after validation", ""),
    ("Input should", "it should"),
)
_INSTANCE = re.compile(r" or instance of \w+")
_CONTAINER = re.compile(r"^(Tuple|List|Set|Frozenset|Dictionary|Value|String) should")
_TIMEDELTA = re.compile(r"datetime\.timedelta\(((?:\w+=\d+(?:, )?)*|0)\)")
_PART = re.compile(r"(\w+)=(\d+)")


def plain(message: str) -> str:
    """Return pydantic's sentence in plain words."""
    text = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    text = _INSTANCE.sub("", _CONTAINER.sub("it should", text))
    for python, yaml in _WORDS:
        text = text.replace(python, yaml)
    return _TIMEDELTA.sub(_duration, text)


def _duration(found: "re.Match[str]") -> str:
    parts = {name: int(count) for name, count in _PART.findall(found[1])}
    return format_duration(timedelta(**parts))
