"""Label selectors, as objects hold them and as queries write them. Pure.

The query's grammar: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Labels = Mapping[str, str]
Matches = Callable[[Labels], bool]

_TERM = re.compile(
    r"""\s*(?:
        (?P<absent>!)\s*(?P<no>[^\s,()=!<>]+)
      | (?P<set>[^\s,()=!<>]+)\s+(?P<in>in|notin)\s*\((?P<values>[^()]*)\)
      | (?P<key>[^\s,()=!<>]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s,()=!<>]*)
      | (?P<exists>[^\s,()=!<>]+)
    )\s*(?:,|$)""",
    re.VERBOSE,
)


def parse(text: str) -> Matches:
    """Read a `labelSelector` of a query.

    Raises:
        ValueError: the API server would not understand it.
    """
    terms: list[Matches] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise ValueError(f"unable to parse requirement: {text[at:]!r}")
        terms.append(_term(found))
        at = found.end()
    return lambda labels: all(term(labels) for term in terms)


def _term(found: re.Match[str]) -> Matches:
    if found["absent"]:
        absent = found["no"]
        return lambda labels: absent not in labels
    if found["set"]:
        key, values = found["set"], {value.strip() for value in found["values"].split(",")}
        if found["in"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found["key"]:
        key, value = found["key"], found["value"]
        match found["op"]:
            case "!=":
                return lambda labels: labels.get(key) != value
            case ">" | "<" as sign:
                return lambda labels: _compares(labels.get(key), sign, value)
            case _:
                return lambda labels: labels.get(key) == value
    exists = found["exists"]
    return lambda labels: exists in labels


def _compares(label: str | None, sign: str, value: str) -> bool:
    try:
        return int(label or "") > int(value) if sign == ">" else int(label or "") < int(value)
    except ValueError:
        return False


def matches(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Whether an object's selector fits; none fits nothing, an empty one everything."""
    if selector is None:
        return False
    wanted: Labels = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_meets(rule, labels) for rule in selector.get("matchExpressions") or [])


def _meets(rule: Mapping[str, Any], labels: Labels) -> bool:
    key, values = rule.get("key"), rule.get("values") or []
    match rule.get("operator"):
        case "In":
            return labels.get(str(key)) in values
        case "NotIn":
            return labels.get(str(key)) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def text_of(selector: Mapping[str, Any] | None) -> str:
    """Return a selector as a query writes it; keys sorted, as the API server prints them."""
    if not selector:
        return ""
    terms = [(str(k), f"{k}={v}") for k, v in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or []:
        key, values = str(rule.get("key")), ",".join(sorted(rule.get("values") or []))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(str(rule.get("operator")), key)
        terms.append((key, text))
    return ",".join(text for _, text in sorted(terms))
