"""Expressions: CEL, compiled and type-checked at load, evaluated in bounds.

`if:` conditions, and `${{ … }}` inside strings. CEL has no loops beyond bounded comprehensions and
no side effects; sizes of expressions and inputs are limited here. See https://cel.dev.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings

from remediator.runbook import cel_text

LONGEST_EXPRESSION = 4096
# What one label or annotation may bring: the square of it still fits, and takes no time.
_LONGEST_VALUE = 4096
# What an expression may make: a label, a query, a list of names.
_LONGEST_RESULT = 256 * 1024

_S, _D = cel.Type.STRING, cel.Type.DYN
_LABELS = cel.Type.Map(_S, _S)

FIXED: Mapping[str, Any] = {
    "alert.labels": _LABELS,
    "alert.annotations": _LABELS,
    "alert.status": _S,
    "alert.firing": cel.Type.BOOL,
    "alert.starts_at": cel.Type.TIMESTAMP,
    "alert.generator_url": _S,
    "alert.fingerprint": _S,
    "labels": _LABELS,
    "annotations": _LABELS,
    "group.labels": _LABELS,
    "group.common_labels": _LABELS,
    "group.common_annotations": _LABELS,
    "group.receiver": _S,
    "run.id": _S,
    "run.name": _S,
    "now": cel.Type.TIMESTAMP,
}
"""Variables that every expression knows, with their types."""

ALERT_STATE = ("alert.status", "alert.firing")


class ExpressionError(Exception):
    """An expression can't be compiled; `offset` is where in it, from 0."""

    def __init__(self, message: str, offset: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint


class ExpressionFailed(Exception):
    """An expression can't be evaluated for this alert; the text names what is missing."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled CEL expression."""

    text: str
    type_name: str
    """CEL's name of the result's type: STRING, INT, BOOL, DOUBLE, LIST…, MAP…, DYN."""
    names: frozenset[str]
    """The declared variables that it reads."""
    _compiled: Any

    @property
    def reads_alert_state(self) -> bool:
        """Whether it asks if the alert fires now."""
        return any(name in self.names for name in ALERT_STATE)

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Return the plain value for these variables.

        Raises:
            ExpressionFailed: a label or key is missing, or a function does not apply.
        """
        for value in (values[name] for name in self.names if name in values):
            if isinstance(value, ExpressionFailed):  # a variable that could not be worked out
                raise type(value)(str(value))
        try:
            known = {name: values[name] for name in self.names}
            self._refuse_long(known)
            result = self._compiled.eval(data=known)
            value = result.plain_value()
        except KeyError as error:
            raise ExpressionFailed(f"{error.args[0]} is not known yet in {self.text!r}") from None
        except ExpressionFailed:
            raise
        except Exception as error:
            raise ExpressionFailed(f"{_first_line(error)} in {self.text!r}") from None
        if result.type().name() == "ERROR":
            raise self._explain(str(value), known)
        if isinstance(value, str | list | dict) and len(value) > _LONGEST_RESULT:
            raise ExpressionFailed(f"the result of {self.text!r} is too large")
        return value

    def _refuse_long(self, known: Mapping[str, Any]) -> None:
        for name in self.names & _LABEL_MAPS:
            for label, value in known[name].items():
                if len(value) > _LONGEST_VALUE and label in self.text:
                    raise ExpressionFailed(
                        f'"{label}" is longer than {_LONGEST_VALUE} characters, in {self.text!r}'
                    )

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return the truth of a condition; a label that is missing makes it false.

        Raises:
            ExpressionFailed: something else than a missing key went wrong.
        """
        try:
            return self.evaluate(values) is True
        except LabelMissing:
            return False

    def _explain(self, error: str, known: Mapping[str, Any]) -> ExpressionFailed:
        found = _KEY_MISSING.search(error)
        if not found:
            return ExpressionFailed(f"{error.splitlines()[0]} in {self.text!r}")
        key, given = found[1], dict(known)
        # CEL names the key and not the map: whether it was a label shows when there is one.
        for name in self.names & _LABEL_MAPS:
            given[name] = {key: "", **given[name]}
        if given != known:
            again = _KEY_MISSING.search(str(self._compiled.eval(data=given).plain_value()))
            if not again or again[1] != key:
                text = f'{_MISSING}"{key}" is missing on this alert, and {self.text!r} needs it'
                return LabelMissing(text)
        return ExpressionFailed(f'there is no "{key}" in what {self.text!r} reads')


class LabelMissing(ExpressionFailed):
    """A label or annotation is missing on this alert: a condition is then false."""


_LABEL_MAPS = frozenset(name for name, kind in FIXED.items() if kind == _LABELS)
_KEY_MISSING = re.compile(r'Key not found in map : "?([^"]*)"?')


class Environment:
    """The variables that expressions at one place may read."""

    def __init__(self, extra: Mapping[str, Any] | None = None) -> None:
        self.variables = {**FIXED, **(extra or {})}
        self._env = _env(tuple(sorted((n, t.name()) for n, t in (extra or {}).items())))

    def compile(self, text: str) -> Expression:
        """Compile and check one expression.

        Raises:
            ExpressionError: with the offset, and the nearest right name for an unknown one.
        """
        if len(text) > LONGEST_EXPRESSION:
            raise ExpressionError(f"longer than {LONGEST_EXPRESSION} characters")
        growing = [one.start() for one in _REPLACE.finditer(text) if not one["plain"]]
        if len(growing) > 1:
            raise ExpressionError(
                "replace by what an alert says stands twice; it could make a text of any size",
                growing[1],
            )
        try:
            compiled = self._env.compile(text)
        except Exception as error:
            raise self._explain(text, str(error)) from None
        kind = compiled.return_type().name()
        if kind.startswith(("optional_type", "BYTES", "TYPE")):
            raise ExpressionError("an optional, bytes or a type is no value", 0, "add .orValue(…)")
        for offset, message in cel_text.wrong_arguments(text):
            raise ExpressionError(message, offset)
        checked = compiled.serialize()
        names = frozenset(name for name in self.variables if _reads(checked, name))
        if not any(self.variables[name].name() in _OF_TIME for name in names):
            # Kept apart from what it was checked in: an environment holds 150 KiB, and nearly
            # every step has one of its own. Values of time are only taken by what declares them.
            compiled = _plain_env().deserialize(checked)
        return Expression(text, kind, names, compiled)

    def _explain(self, text: str, error: str) -> ExpressionError:
        found = re.search(r"<input>:(\d+):(\d+): (.*)", error)
        if found is None:
            return ExpressionError(error.splitlines()[0] if error else "no expression")
        line, column, message = int(found[1]), int(found[2]), found[3]
        offset = sum(len(one) + 1 for one in text.splitlines()[: line - 1]) + column - 1
        unknown = re.match(r"undeclared reference to '([^']+)'", message)
        if unknown is None:
            hint = cel_text.hint(text, message, offset)
            return ExpressionError(message.split(" (in container")[0], offset, hint)
        name = unknown[1].lstrip(".")
        pattern = rf"(?<!\w){re.escape(name)}\b"
        found_at = [one.start() for one in re.finditer(pattern, cel_text.blanked(text))]
        start = max(min(found_at, key=lambda at: abs(at - offset), default=offset), 0)
        called = re.match(rf"{re.escape(name)}(\.\w+)?\s*\(", text[start:])
        if called is not None and name.partition(".")[0] not in self._tops:
            name += called[1] or ""
            if name in cel_text.FUNCTIONS:
                return ExpressionError(f'"{name}" does not take these arguments', start)
            meant = cel_text.nearest_function(name)
            hint = f'did you mean "{meant}"?' if meant else ""
            return ExpressionError(f'unknown function "{name}"', start, hint)
        return ExpressionError(f'unknown name "{name}"', start, self._nearest(name))

    def _nearest(self, name: str) -> str:
        first, _, rest = name.partition(".")
        if first in self._tops:
            near = _close(name, self.variables)
            if not near and not rest:
                there = sorted(known for known in self.variables if known.startswith(f"{name}."))
                return f"there is {', '.join(there[:_MOST_SHOWN])}"
        else:
            near = [f"{top}.{rest}" if rest else top for top in _close(first, self._tops)]
        return f'did you mean "{near[0]}"?' if near else ""

    @property
    def _tops(self) -> frozenset[str]:
        return frozenset(known.partition(".")[0] for known in self.variables)


_MOST_SHOWN = 6


def _close(name: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, sorted(known), n=1)


_OF_TIME = frozenset({"TIMESTAMP", "DURATION"})


@cache
def _plain_env() -> Any:
    """The one that compiled expressions are kept in; what they read is in them."""
    return _env(())


@lru_cache(maxsize=32)
def _env(extra: tuple[tuple[str, str], ...]) -> Any:
    # One takes a millisecond; a document comes back to the few of its own.
    return cel.NewEnv(
        variables={**FIXED, **{name: type_of(kind) for name, kind in extra}},
        extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings(), ext_math.ExtMath()],
    )


_TYPES: Mapping[str, Any] = {
    "STRING": _S,
    "INT": cel.Type.INT,
    "BOOL": cel.Type.BOOL,
    "DOUBLE": cel.Type.DOUBLE,
    "DURATION": cel.Type.DURATION,
    "LIST<STRING>": cel.Type.List(_S),
    "LIST<DYN>": cel.Type.List(_D),
    "MAP<STRING, DYN>": cel.Type.Map(_S, _D),
}


def type_of(kind: str) -> Any:
    """Return the CEL type for a name that `Expression.type_name` gave; any, where it is not one
    that names have."""
    return _TYPES.get(kind, _D)


_LITERAL = r"(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')"
_REPLACE = re.compile(rf"\.replace\((?P<plain>\s*{_LITERAL}\s*,\s*{_LITERAL}\s*(?:,\s*\d+\s*)?\))?")
_STRING_LITERAL = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")


def _reads(checked: bytes, name: str) -> bool:
    # cel.expr.Expr.ident_expr (field 4) with its name (field 1), in cel.expr.CheckedExpr. The text
    # would not do: `.alert.firing`, `alert . firing` and alert.`firing` are the same variable.
    size = len(name)
    return bytes((0x22, size + 2, 0x0A, size)) + name.encode() in checked


_MISSING = "the label or key "


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# ------------------------------------------------------------------------------- templates

_OPEN, _CLOSE, _ESCAPED = "${{", "}}", "$${{"


@dataclass(frozen=True, slots=True)
class Template:
    """A string with `${{ … }}` in it: pieces of text and expressions, in order."""

    pieces: tuple[str | Expression, ...]

    @property
    def sole(self) -> Expression | None:
        """The expression, when there is nothing else: then its type is the field's."""
        if len(self.pieces) == 1 and isinstance(self.pieces[0], Expression):
            return self.pieces[0]
        return None

    @property
    def names(self) -> frozenset[str]:
        """The variables that its expressions read."""
        read = [piece.names for piece in self.pieces if isinstance(piece, Expression)]
        return frozenset().union(*read)

    def render(self, values: Mapping[str, Any]) -> Any:
        """Return the value.

        Raises:
            ExpressionFailed: an expression can't be evaluated.
        """
        if self.sole is not None:
            return self.sole.evaluate(values)
        return "".join(
            piece if isinstance(piece, str) else to_text(piece.evaluate(values))
            for piece in self.pieces
        )


BROKEN = Template(())
"""Stands for a string whose expression does not compile: the fault is reported already."""


def compile_template(text: str, environment: Environment) -> Template:
    """Compile a string with expressions in it.

    Raises:
        ExpressionError: with the offset in `text`.
    """
    pieces: list[str | Expression] = []
    at = 0
    while at < len(text):
        start = text.find(_OPEN, at)
        if start < 0:
            pieces.append(text[at:])
            break
        if start > 0 and text[start - 1] == "$":
            pieces.append(text[at : start - 1] + _OPEN)
            at = start + len(_OPEN)
            continue
        if start > at:
            pieces.append(text[at:start])
        end = _closing(text, start + len(_OPEN))
        code = text[start + len(_OPEN) : end]
        lead = len(code) - len(code.lstrip())
        try:
            pieces.append(environment.compile(code.strip()))
        except ExpressionError as error:
            offset = start + len(_OPEN) + lead + error.offset
            raise ExpressionError(str(error), offset, error.hint) from None
        at = end + len(_CLOSE)
    return Template(tuple(pieces))


def _closing(text: str, at: int) -> int:
    """Find the `}}` that ends an expression, past string literals and the braces of maps."""
    depth = 0
    while at < len(text):
        char = text[at]
        if char in "\"'":
            literal = _STRING_LITERAL.match(text, at)
            at = literal.end() if literal else at + 1
            continue
        if char == "}" and depth == 0 and text.startswith(_CLOSE, at):
            return at
        depth += (char == "{") - (char == "}")
        at += 1
    raise ExpressionError('"${{" is not closed by "}}"', max(text.rfind(_OPEN), 0))


def to_text(value: Any) -> str:
    """Return a value as it stands inside a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return str(value)
