"""PromQL text → a typed tree. The only importer of `promql_parser`; evaluates nothing.

Owns the tree, and where its functions stand in the text, which the parser does not keep. Used by
`runbook.alert_rules` (which labels does an alert carry?) and `simulated.prometheus` (what is the
value?).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn

import promql_parser as vendor

LONGEST_QUERY = 64 * 1024
MOST_PARTS = 1000
"""Brackets and operators in one query: the parser, which is native code, would otherwise run out of
stack, and end the process. Hand-written queries have tens."""
NAME = "__name__"
"""The label that holds a series' name."""


class NotPromQL(ValueError):
    """The text can't be parsed; the message is the parser's."""


class Match(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """One condition of a selector."""

    name: str
    match: Match
    value: str


@dataclass(frozen=True, slots=True)
class When:
    """`offset` and `@`. `at_s` is None where the time of the query counts.

    An instant query starts and ends at one time, so `@ start()` and `@ end()` are `at_query`.
    """

    offset_s: float = 0.0
    at_s: float | None = None
    at_query: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """`up{job="api"} offset 5m`; the name is a matcher, too."""

    matchers: tuple[LabelMatcher, ...]
    when: When


@dataclass(frozen=True, slots=True)
class Window:
    """`up[5m]`."""

    selector: Selector
    range_s: float


@dataclass(frozen=True, slots=True)
class Subquery:
    """`EXPR[1h:5m]`; the step is None where the server's default counts."""

    inner: "Expr"
    range_s: float
    step_s: float | None
    when: When


@dataclass(frozen=True, slots=True)
class Call:
    """A function; `offset` is where its name stands in the text."""

    name: str
    args: tuple["Expr", ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`sum by (job) (…)`; `by` False is `without`, and the default is `by ()`."""

    op: str
    inner: "Expr"
    parameter: "Expr | None"
    by: bool
    labels: tuple[str, ...]
    offset: int


class Cardinality(StrEnum):
    """How many of each side may match one of the other."""

    ONE_TO_ONE = "one to one"
    MANY_TO_ONE = "many to one"
    ONE_TO_MANY = "one to many"
    MANY_TO_MANY = "many to many"


@dataclass(frozen=True, slots=True)
class Matching:
    """`on`/`ignoring` and `group_left`/`group_right`; the default is `ignoring ()`."""

    on: bool = False
    labels: tuple[str, ...] = ()
    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """Two sides and an operator."""

    op: str
    left: "Expr"
    right: "Expr"
    matching: Matching
    as_bool: bool


@dataclass(frozen=True, slots=True)
class Negation:
    """`-EXPR`."""

    inner: "Expr"


Expr = Number | Text | Selector | Window | Subquery | Call | Aggregation | Binary | Negation

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
SET_OPERATORS = frozenset({"and", "or", "unless"})


def parse(text: str) -> Expr:
    """Parse PromQL.

    Raises:
        NotPromQL: it is none, or its types do not fit.
    """
    if len(text) > LONGEST_QUERY:
        raise NotPromQL(f"the query is longer than {LONGEST_QUERY} characters")
    bare = _TOKENS.sub(lambda found: "" if found["skipped"] else found[0], text)
    if len(_PARTS.findall(bare)) > MOST_PARTS:
        raise NotPromQL(f"the query has more than {MOST_PARTS} brackets and operators")
    if _BEFORE_1970.search(bare):
        raise NotPromQL("a time before 1970 after @ is not supported here")
    # Older servers' name of the same function; the parser knows only the new one.
    plain = _renamed(text)
    try:
        parsed = vendor.parse(plain)
    except (ValueError, OverflowError) as error:
        raise NotPromQL(str(error)) from None
    try:
        return _Reader(plain).read(parsed)
    except RecursionError:
        raise NotPromQL("the query is nested too deeply") from None


def is_string(expr: Expr) -> bool:
    """Whether the expression is a string."""
    return isinstance(expr, Text)


def is_scalar(expr: Expr) -> bool:
    """Whether the expression is a single number without labels."""
    match expr:
        case Number():
            return True
        case Negation(inner):
            return is_scalar(inner)
        case Binary(left=left, right=right):
            return is_scalar(left) and is_scalar(right)
        case Call(name=name):
            return name in ("scalar", "time", "pi")
        case _:
            return False


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and all that it is made of, outermost first."""
    yield expr
    for inner in children(expr):
        yield from walk(inner)


def children(expr: Expr) -> Sequence[Expr]:
    """Return what an expression is made of."""
    match expr:
        case Window(selector):
            return (selector,)
        case Subquery(inner=inner) | Negation(inner):
            return (inner,)
        case Call(args=args):
            return args
        case Aggregation(inner=inner, parameter=parameter):
            return (inner,) if parameter is None else (parameter, inner)
        case Binary(left=left, right=right):
            return (left, right)
        case _:
            return ()


def where(text: str, offset: int) -> str:
    """Return `line 1, column 5`, for messages."""
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


# Strings and comments are passed over: a name in them is none.
_TOKENS = re.compile(
    r"""(?P<skipped>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|\#[^\n]*)|(?P<word>[A-Za-z_:][\w:.]*)""",
    re.DOTALL,
)
_PARTS = re.compile(r"[(\[{+\-*/%^=<>!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_BEFORE_1970 = re.compile(r"@\s*-")
_OLD_NAMES = {"holt_winters": "double_exponential_smoothing"}


def _renamed(text: str) -> str:
    if not any(old in text for old in _OLD_NAMES):
        return text
    return _TOKENS.sub(lambda found: _OLD_NAMES.get(found[0], found[0]), text)


def _places(text: str) -> Mapping[str, list[int]]:
    """Where each word stands that may be a function or an aggregation."""
    found: dict[str, list[int]] = defaultdict(list)
    for token in _TOKENS.finditer(text):
        follows = text[token.end() :].lstrip()
        if token["word"] and follows.startswith(("(", "by", "without", "BY", "WITHOUT")):
            found[token["word"].lower()].append(token.start())
    return found


class _Reader:
    """Turns the vendor's tree, which it meets in the order of the text, into ours."""

    def __init__(self, text: str) -> None:
        self._places = _places(text)
        self._met: Counter[str] = Counter()

    def read(self, node: Any) -> Expr:
        match node:
            case vendor.NumberLiteral():
                return Number(float(node.val))
            case vendor.StringLiteral():
                return Text(str(node.val))
            case vendor.ParenExpr():
                return self.read(node.expr)
            case vendor.UnaryExpr():
                return Negation(self.read(node.expr))
            case vendor.VectorSelector():
                return _selector(node)
            case vendor.MatrixSelector():
                return Window(_selector(node.vector_selector), _seconds(node.range))
            case vendor.SubqueryExpr():
                step = None if node.step is None else _seconds(node.step)
                range_s = _seconds(node.range or timedelta())
                return Subquery(self.read(node.expr), range_s, step, _when(node.offset, node.at))
            case vendor.Call():
                offset = self._place(node.func.name)
                return Call(node.func.name, tuple(self.read(one) for one in node.args), offset)
            case vendor.AggregateExpr():
                return self._aggregation(node)
            case vendor.BinaryExpr():
                return self._binary(node)
            case _:
                raise NotPromQL(f"{type(node).__name__} is not supported here")

    def _place(self, name: str) -> int:
        places = self._places.get(name, [0])
        self._met[name] += 1
        return places[min(self._met[name], len(places)) - 1]

    def _aggregation(self, node: Any) -> Aggregation:
        op = str(node.op)
        offset = self._place(op)
        parameter = None if node.param is None else self.read(node.param)
        inner = self.read(node.expr)
        modifier = node.modifier
        by = modifier is None or modifier.type == vendor.AggModifierType.By
        labels = () if modifier is None else tuple(modifier.labels)
        return Aggregation(op, inner, parameter, by, labels, offset)

    def _binary(self, node: Any) -> Binary:
        left, right = self.read(node.lhs), self.read(node.rhs)
        op, modifier = str(node.op), node.modifier
        if modifier is None:
            many = Cardinality.MANY_TO_MANY if op in SET_OPERATORS else Cardinality.ONE_TO_ONE
            return Binary(op, left, right, Matching(cardinality=many), as_bool=False)
        fill = modifier.fill_values
        if fill is not None and (fill.lhs is not None or fill.rhs is not None):
            _unknown("the modifier fill")
        labels = modifier.matching
        matching = Matching(
            on=labels is not None and labels.type == vendor.LabelModifierType.Include,
            labels=() if labels is None else tuple(labels.labels),
            cardinality=_CARDINALITIES[str(modifier.card).rpartition(".")[2]],
            include=tuple(modifier.group_labels or ()),
        )
        return Binary(op, left, right, matching, bool(modifier.return_bool))


_CARDINALITIES = {
    "OneToOne": Cardinality.ONE_TO_ONE,
    "ManyToOne": Cardinality.MANY_TO_ONE,
    "OneToMany": Cardinality.ONE_TO_MANY,
    "ManyToMany": Cardinality.MANY_TO_MANY,
}
_MATCHES = {
    "Equal": Match.EQUAL,
    "NotEqual": Match.NOT_EQUAL,
    "Re": Match.REGEX,
    "NotRe": Match.NOT_REGEX,
}


def _selector(node: Any) -> Selector:
    if node.matchers.or_matchers:
        _unknown("`or` between matchers")
    named = () if node.name is None else (LabelMatcher(NAME, Match.EQUAL, node.name),)
    given = tuple(
        LabelMatcher(one.name, _MATCHES[str(one.op).rpartition(".")[2]], one.value)
        for one in node.matchers.matchers
    )
    return Selector(
        (*named, *(one for one in given if one not in named)), _when(node.offset, node.at)
    )


def _when(offset: timedelta | None, at: Any) -> When:
    offset_s = 0.0 if offset is None else _seconds(offset)
    if at is None:
        return When(offset_s)
    if at.type == vendor.AtModifierType.At:
        moment: datetime = at.at
        return When(offset_s, at_s=moment.timestamp())
    return When(offset_s, at_query=True)


def _seconds(span: timedelta) -> float:
    return span.total_seconds()


def _unknown(what: str) -> NoReturn:
    raise NotPromQL(f"{what} is not supported here")
