"""Which labels an alert carries, as far as its PromQL expression says.

Pure: an expression goes in, and three kinds of labels come out: those that every alert has (with
the value, where it is fixed), those that it may have, and whether it may have any others. Decides
nothing about runbooks. What is added later (external labels, relabelling on the way to
Alertmanager) is not in a rule, so "not carried" means: not by this rule.

Called by `runbook.alert_rules`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import re2

from remediator.runbook import promql
from remediator.runbook.promql import (
    NAME,
    Aggregation,
    Binary,
    Call,
    Cardinality,
    Expr,
    LabelMatcher,
    Match,
    Negation,
    Selector,
    Subquery,
    Text,
    Window,
)


@dataclass(frozen=True, slots=True)
class Carried:
    """What is known of the labels of a result.

    Args:
        certain: labels that every element has, with their value; None: it varies.
        possible: labels that an element may have besides.
        open: whether an element may have labels that are not named here.
        never: where it is open, labels that no element has all the same.
    """

    certain: Mapping[str, str | None] = field(default_factory=dict)
    possible: frozenset[str] = frozenset()
    open: bool = False
    never: frozenset[str] = frozenset()

    def may(self, name: str) -> bool:
        """Whether an element may have this label."""
        if name in self.certain or name in self.possible:
            return True
        return self.open and name not in self.never

    def value(self, name: str) -> str | None:
        """Return the label's value where every element has it and it is one and the same."""
        return self.certain.get(name)

    def only(self, names: Iterable[str]) -> "Carried":
        """Keep these labels and no others."""
        kept = frozenset(names)
        return Carried(
            {name: value for name, value in self.certain.items() if name in kept},
            frozenset(name for name in kept if name not in self.certain and self.may(name)),
        )

    def without(self, names: Iterable[str]) -> "Carried":
        """Take these labels away."""
        gone = frozenset(names)
        return Carried(
            {name: value for name, value in self.certain.items() if name not in gone},
            self.possible - gone,
            self.open,
            self.never | gone if self.open else frozenset(),
        )

    def having(self, name: str, value: str | None) -> "Carried":
        """Add a label that is there for certain; an empty value takes it away."""
        if value == "":
            return self.without([name])
        return replace(
            self,
            certain={**self.certain, name: value},
            possible=self.possible - {name},
            never=self.never - {name},
        )

    def perhaps(self, name: str) -> "Carried":
        """Add a label that may be there, with any value."""
        certain = {known: value for known, value in self.certain.items() if known != name}
        return replace(
            self, certain=certain, possible=self.possible | {name}, never=self.never - {name}
        )


ANYTHING = Carried(open=True)
NOTHING = Carried()


def carried(expr: Expr) -> Carried:
    """Return which labels the elements of an expression's result have."""
    match expr:
        case Selector(matchers=matchers):
            return _selected(matchers)
        case Window(selector=selector):
            return carried(selector)
        case Subquery(inner=inner):
            return carried(inner)
        case Negation(inner):
            return carried(inner).without([NAME])
        case Aggregation():
            return _aggregated(expr)
        case Binary():
            return _combined(expr)
        case Call():
            return _called(expr)
        case _:
            return NOTHING


def _selected(matchers: tuple[LabelMatcher, ...]) -> Carried:
    found = ANYTHING
    for one in matchers:
        if one.match is Match.EQUAL:
            found = found.having(one.name, one.value)
        elif not _accepts(one, "") and one.name not in found.certain:
            found = found.having(one.name, None)
    return found


def _accepts(matcher: LabelMatcher, value: str) -> bool:
    if matcher.match is Match.EQUAL:
        return value == matcher.value
    if matcher.match is Match.NOT_EQUAL:
        return value != matcher.value
    matched = full_match(matcher.value, value) is not None
    return matched == (matcher.match is Match.REGEX)


def full_match(pattern: str, value: str) -> "re2._Match[str] | None":
    """Match a whole value as Prometheus does: anchored, and a dot stands for a line break, too.

    Raises:
        re2.error: it is no regular expression.
    """
    return re2.fullmatch(f"(?s:{pattern})", value)


_KEEPS_ELEMENTS = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})


def _aggregated(expr: Aggregation) -> Carried:
    inner = carried(expr.inner)
    if expr.op in _KEEPS_ELEMENTS:
        return inner
    counted = [expr.parameter.value] if isinstance(expr.parameter, Text) else []
    kept = inner.only(expr.labels) if expr.by else inner.without((NAME, *expr.labels))
    for label in counted:
        kept = kept.having(label, None)
    return kept


def _combined(expr: Binary) -> Carried:
    left, right = carried(expr.left), carried(expr.right)
    if expr.op == "or":
        return _either(left, right)
    if expr.op == "unless":
        return left
    if expr.op == "and":
        return _agreeing(left, right, expr)
    if promql.is_scalar(expr.left):
        found = right
    elif promql.is_scalar(expr.right):
        found = left
    else:
        found = _matched(left, right, expr)
    # What a comparison lets through is as it was; anything else is no metric any more.
    return found if expr.op in promql.COMPARISONS and not expr.as_bool else found.without([NAME])


def _matched(left: Carried, right: Carried, expr: Binary) -> Carried:
    matching = expr.matching
    if matching.cardinality is Cardinality.ONE_TO_MANY:
        left, right = right, left
    result = _agreeing(left, right, expr)
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        if matching.on:
            return result.only(matching.labels)
        return result.without(matching.labels)
    for label in matching.include:
        if label in right.certain:
            result = result.having(label, right.certain[label])
        elif right.may(label):
            result = result.perhaps(label)
        else:
            result = result.without([label])
    return result


def _agreeing(left: Carried, right: Carried, expr: Binary) -> Carried:
    """Add to the left what is known from the right: labels that are matched are equal."""
    matching = expr.matching
    matched = [
        name
        for name in {**left.certain, **right.certain}
        if name != NAME and (name in matching.labels) == matching.on
    ]
    for name in matched:
        if name in right.certain:
            known = left.certain.get(name)
            left = left.having(name, known if known is not None else right.certain[name])
    return left


def _either(left: Carried, right: Carried) -> Carried:
    both = {
        name: value if right.certain[name] == value else None
        for name, value in left.certain.items()
        if name in right.certain
    }
    named = {*left.certain, *right.certain, *left.possible, *right.possible}
    never = frozenset(
        name for name in left.never | right.never if not left.may(name) and not right.may(name)
    )
    return Carried(both, frozenset(named - set(both)), left.open or right.open, never)


_NO_LABELS = frozenset({"vector", "scalar", "time", "pi"})


def _called(expr: Call) -> Carried:
    match expr.name, expr.args:
        case (("absent" | "absent_over_time"), (Selector() | Window() as inner,)):
            return _for_absent(inner)
        case (("absent" | "absent_over_time"), _):
            return NOTHING
        case "label_replace", (inner, *texts):
            return _replaced(carried(inner), *(_text(one) for one in texts))
        case "label_join", (inner, label, separator, *sources):
            return _joined(carried(inner), _text(label), _text(separator), map(_text, sources))
        case "histogram_quantile", (_, inner):
            return carried(inner).without((NAME, "le"))
        case "info", _:
            return ANYTHING
        case name, _ if name in _NO_LABELS:
            return NOTHING
    inside = [one for one in expr.args if not promql.is_scalar(one) and not promql.is_string(one)]
    if not inside:
        return NOTHING
    found = carried(inside[0])
    kept = ("last_over_time", "first_over_time", "sort", "sort_desc")
    return found if expr.name.startswith(kept) else found.without((NAME,))


def _for_absent(inner: Selector | Window) -> Carried:
    selector = inner.selector if isinstance(inner, Window) else inner
    found = NOTHING
    seen: set[str] = set()
    for one in selector.matchers:
        if one.name == NAME:
            continue
        if one.match is Match.EQUAL and one.name not in seen:
            found = found.having(one.name, one.value)
            seen.add(one.name)
        else:
            found = found.without([one.name])
    return found


def _text(expr: Expr) -> str:
    return expr.value if isinstance(expr, Text) else ""


def _replaced(found: Carried, target: str, replacement: str, source: str, pattern: str) -> Carried:
    known = found.value(source) if found.may(source) else ""
    if not _matches(pattern, known):
        return found
    fixed = replacement if "$" not in replacement else None
    if fixed is not None and (known is not None or pattern in _EVERYTHING):
        return found.having(target, fixed)
    if fixed and target in found.certain:
        return found.having(target, None)  # the old value or the new one, which is not empty
    if fixed == "" and not found.may(target):
        return found
    return found.perhaps(target)


_EVERYTHING = frozenset({".*", "(.*)"})


def _matches(pattern: str, value: str | None) -> bool:
    """Whether a value may match; None is any value. What is no pattern makes the query fail."""
    try:
        return value is None or full_match(pattern, value) is not None
    except re2.error:
        return False


def _joined(found: Carried, target: str, separator: str, sources: Iterable[str]) -> Carried:
    names = list(sources)
    if any(name in found.certain for name in names) or (separator and len(names) > 1):
        return found.having(target, None)
    return found.perhaps(target)
