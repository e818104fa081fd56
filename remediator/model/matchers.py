"""Alertmanager's matcher syntax: `alertname="X", severity=~"a|b", namespace!="y"`.

Quoted and UTF-8 names as Alertmanager 0.27 and later take them; regular expressions are RE2 and
anchored at both ends, as in Alertmanager: patterns come from authors and values from alerts, so
matching takes linear time. A label that is missing matches as the empty string.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import re2

# A matcher line is a line; alternations of thousands of names belong into a label.
_LONGEST = 8192
_BARE_END = frozenset("{}!=~,\"'` \t\n\r")


class MatcherError(Exception):
    """The text is no matcher; `offset` says where in it, from 0."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Operator(StrEnum):
    """How a label is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of one label."""

    name: str
    operator: Operator
    value: str
    pattern: Any = field(default=None, compare=False, repr=False)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels passes."""
        given = labels.get(self.name, "")
        match self.operator:
            case Operator.EQUAL:
                return given == self.value
            case Operator.NOT_EQUAL:
                return given != self.value
            case Operator.REGEX:
                return self.pattern.fullmatch(given) is not None
            case Operator.NOT_REGEX:
                return self.pattern.fullmatch(given) is None

    def __str__(self) -> str:
        name = self.name if _is_classic(self.name) else _quote(self.name)
        return f"{name}{self.operator}{_quote(self.value)}"


def parse(text: str) -> tuple[Matcher, ...]:
    """Parse one line of matchers.

    Raises:
        MatcherError: it is none; with the offset of the fault.
    """
    if len(text) > _LONGEST:
        raise MatcherError(f"longer than {_LONGEST} characters", 0)
    return _Parser(text).line()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def line(self) -> tuple[Matcher, ...]:
        self._space()
        braced = self._take("{")
        found: list[Matcher] = []
        while True:
            self._space()
            if self.at >= len(self.text) or self.text[self.at] == "}":
                break
            found.append(self._matcher())
            self._space()
            if not self._take(","):
                break
        self._space()
        if braced and not self._take("}"):
            raise MatcherError('the "{" is not closed', self.at)
        self._space()
        if self.at < len(self.text):
            raise MatcherError(f"unexpected {self.text[self.at]!r}; put a comma between", self.at)
        if not found:
            raise MatcherError('no matcher; write alertname="…"', 0)
        return tuple(found)

    def _matcher(self) -> Matcher:
        name = self._word("a label name")
        self._space()
        operator = self._operator()
        self._space()
        start = self.at
        value = self._word("a value", empty_quoted=True)
        pattern = (
            _compile(value, start) if operator in (Operator.REGEX, Operator.NOT_REGEX) else None
        )
        return Matcher(name, operator, value, pattern)

    def _operator(self) -> Operator:
        for text in ("=~", "!~", "!=", "="):
            if self.text.startswith(text, self.at):
                self.at += len(text)
                return Operator(text)
        raise MatcherError("expected =, !=, =~ or !~ after the label name", self.at)

    def _word(self, what: str, *, empty_quoted: bool = False) -> str:
        if self.at < len(self.text) and self.text[self.at] == '"':
            start = self.at
            word = self._quoted()
            if not word and not empty_quoted:
                raise MatcherError(f"expected {what}, found an empty one", start)
            return word
        start = self.at
        while self.at < len(self.text) and not _ends_word(self.text[self.at]):
            self.at += 1
        if start == self.at:
            raise MatcherError(f"expected {what}", start)
        return self.text[start : self.at]

    def _quoted(self) -> str:
        start = self.at
        self.at += 1
        out: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == '"':
                return "".join(out)
            if char != "\\":
                out.append(char)
                continue
            escape = self.text[self.at : self.at + 1]
            self.at += 1
            # Alertmanager knows \" \\ \n; other backslashes stay, so that \d needs no doubling.
            out.append({'"': '"', "\\": "\\", "n": "\n"}.get(escape, "\\" + escape))
        raise MatcherError("the quote is not closed", start)

    def _space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _take(self, char: str) -> bool:
        if self.text.startswith(char, self.at):
            self.at += 1
            return True
        return False


def _ends_word(char: str) -> bool:
    return char in _BARE_END or char.isspace()


def literals(matcher: Matcher) -> frozenset[str] | None:
    """Return the values that a matcher lets through when they are few and known, else None.

    Known for `=`, and for `=~` with an alternation of plain words, in a group or anchored once
    more or not. None where the empty string passes: then a missing label does too.
    """
    if matcher.operator is Operator.EQUAL:
        return frozenset({matcher.value}) if matcher.value else None
    if matcher.operator is not Operator.REGEX:
        return None
    words = _bare(matcher.value).split("|")
    if all(word and all(c.isalnum() or c in "_-/: " for c in word) for word in words):
        return frozenset(words)
    return None


def any_of(patterns: Sequence[str]) -> Any:
    """Return a pattern that matches what any of these, which compile, match."""
    return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), _options(64 << 20))


def _bare(pattern: str) -> str:
    """Return a pattern without anchors, which are implied, and without groups around all of it."""
    while True:
        inner = pattern.removeprefix("^")
        if inner.endswith("$") and not inner.endswith("\\$"):
            inner = inner[:-1]
        for opening in ("(?:", "("):
            body = inner[len(opening) : -1]
            if inner.startswith(opening) and inner.endswith(")") and not set(body) & set("()\\?"):
                inner = body
                break
        if inner == pattern:
            return inner
        pattern = inner


def _options(max_bytes: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = max_bytes
    return options


def regular_expression(pattern: str) -> Any:
    """Return a compiled RE2 expression; `fullmatch` of it anchors at both ends.

    Raises:
        ValueError: it is none, or needs too much memory.
    """
    try:
        return re2.compile(pattern, _options(1 << 20))
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"no regular expression (RE2): {text}") from None


def _compile(pattern: str, offset: int) -> Any:
    try:
        return regular_expression(pattern)
    except ValueError as error:
        raise MatcherError(str(error), offset) from None


def _is_classic(name: str) -> bool:
    return bool(name) and not any(
        char in _BARE_END or char.isspace() or char == "\\" for char in name
    )


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
