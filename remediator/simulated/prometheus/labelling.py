"""Functions that change labels: `label_replace`, `label_join`; and the order of `sort_by_label`."""

import re
from collections.abc import Sequence

from remediator.simulated.prometheus.series import BadQuery, Labels, anchored, key
from remediator.simulated.prometheus.vectors import Element, Failed, Vector, having

_REFERENCE = re.compile(r"\$(?:(?P<escaped>\$)|(?P<plain>\w+)|\{(?P<braced>\w+)\})")
_DIGITS = re.compile(r"(\d+)")


def replace(elements: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Set a label where another matches; `$1` and `$name` stand for groups.

    Raises:
        Failed: the pattern is no regular expression.
    """
    try:
        regex = anchored(pattern)
    except BadQuery:
        raise Failed(f"invalid regular expression in label_replace(): {pattern}") from None
    found = []
    for one in elements:
        match = regex.fullmatch(one.labels.get(source, ""))
        if match is None:
            found.append(one)
            continue
        groups = {str(i): match.group(i) or "" for i in range(regex.groups + 1)}
        groups |= {name: match.group(name) or "" for name in regex.groupindex}
        value = _REFERENCE.sub(
            lambda ref, known=groups: (  # type: ignore[misc]
                "$" if ref["escaped"] else known.get(ref["plain"] or ref["braced"], "")
            ),
            replacement,
        )
        found.append(Element(having(one.labels, target, value), one.value))
    return found


def join(elements: Vector, target: str, separator: str, sources: Sequence[str]) -> Vector:
    """Set a label to other labels' values, joined."""
    return [
        Element(
            having(one.labels, target, separator.join(one.labels.get(s, "") for s in sources)),
            one.value,
        )
        for one in elements
    ]


def order(labels: Labels, names: Sequence[str]) -> tuple[object, ...]:
    """Return what `sort_by_label` sorts by: values, numbers in them by size; then all labels."""
    return (*(_natural(labels.get(name, "")) for name in names), key(labels))


def _natural(text: str) -> list[tuple[int, str]]:
    return [
        (int(part[:18]), "") if part.isdigit() else (-1, part)
        for part in _DIGITS.split(text)
        if part
    ]
