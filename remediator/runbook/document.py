"""YAML 1.2 text → plain values, with the position of every key and value.

Bounded: size, depth and aliases, so that a file from a stranger can't exhaust the daemon. Knows
nothing of runbooks.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from remediator.runbook.findings import Finding, RunbookErrors, Severity

_DIRECTIVE = re.compile(r"^%(YAML|TAG)\b", re.MULTILINE)
# A runbook is some kilobytes; these bounds stop what is no runbook.
LARGEST_FILE_BYTES = 1024 * 1024
_DEEPEST = 40
_MOST_NODES = 50_000

Path = tuple[str | int, ...]


class Unreadable(Exception):
    """A file can't be read; the text says why."""


def text_of(path: FilePath) -> str:
    """Return what a file holds.

    Raises:
        Unreadable: it can't be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8 text") from None
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a node begins, from 1. `exact` says that the text stands there as it is, so that an
    offset into the value is an offset into the line. `span` is where any other text stands in the
    source, from its first character on. `whole` is where all of a scalar stands, quotes and the
    header of a block included; of a list or map where it begins, twice."""

    line: int
    column: int
    exact: bool = False
    span: tuple[int, int] | None = None
    whole: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and where everything in it stands."""

    file: str
    value: Any
    values: Mapping[Path, Position]
    keys: Mapping[Path, Position]
    first_line: int
    last_line: int
    source: str = ""

    def at(self, path: Path) -> Position:
        """Return the position of the value at `path`, or of the nearest parent that exists."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Position(self.first_line, 1))

    def key(self, path: Path) -> Position:
        """Return the position of the key that leads to `path`, else of its value."""
        return self.keys.get(path) or self.at(path)

    def place(self, path: Path, offset: int) -> tuple[int, int]:
        """Return line and column of a character of the text at `path`.

        A text in a block, over several lines or in quotes differs from what is written in its
        white space only; where it differs in more (escapes), it is its beginning.
        """
        where = self.at(path)
        if where.exact:
            return where.line, where.column + offset
        text = self._value(path)
        if where.span is None or not isinstance(text, str):
            return where.line, where.column
        start, end = where.span
        written = [i for i in range(start, end) if not self.source[i].isspace()]
        wanted = [char for char in text if not char.isspace()]
        before = sum(1 for char in text[:offset] if not char.isspace())
        same = all(self.source[i] == char for i, char in zip(written, wanted, strict=False))
        if not same or before >= len(written):
            return where.line, where.column
        return self.line_and_column(written[before])

    def _value(self, path: Path) -> Any:
        value = self.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def finding(
        self, path: Path, code: str, message: str, hint: str = "", *, key: bool = False
    ) -> Finding:
        """Make an error about the value (or key) at `path`."""
        where = self.key(path) if key else self.at(path)
        end = self.end(where) if path in (self.keys if key else self.values) else None
        return Finding(
            self.file, where.line, where.column, Severity.ERROR, code, message, hint, end
        )

    def end(self, where: Position) -> tuple[int, int] | None:
        """Return the line and the column after a scalar; None for a list or a map."""
        if where.span is None:
            return None
        start, end = where.span
        stop = start + len(self.source[start:end].rstrip())
        return self.line_and_column(stop)

    def line_and_column(self, at: int) -> tuple[int, int]:
        """Return line and column of a character of the source, both from 1."""
        return self.source.count("\n", 0, at) + 1, at - self.source.rfind("\n", 0, at)

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Yield every text with its path."""
        return ((path, value) for path, value in leaves(self.value) if isinstance(value, str))

    def value_at(self, path: Path) -> Any:
        """Return the value at a path; None where there is none."""
        return self._value(path)


class Reporter:
    """Gathers the faults of one document, each with its position."""

    def __init__(self, doc: Document) -> None:
        self.doc = doc
        self.findings: list[Finding] = []

    def fault(self, path: Path, code: str, message: str, hint: str = "", offset: int = 0) -> None:
        """Add an error about the value at `path`, `offset` characters into it."""
        line, column = self.doc.place(path, offset)
        end = None if offset or path not in self.doc.values else self.doc.end(self.doc.values[path])
        hint = hint or smart_quotes(self.doc.value_at(path))
        self.findings.append(
            Finding(self.doc.file, line, column, Severity.ERROR, code, message, hint, end)
        )


def smart_quotes(value: Any) -> str:
    """Return what to do about a value in quotes that only people read as such; empty for others."""
    return "write straight quotes, \" or '" if str(value)[:1] in tuple("“”„‘’‚") else ""


def parse(source: str, file: str) -> list[Document]:
    """Read every document of a file.

    Raises:
        RunbookErrors: it is no YAML, or breaks a bound.
    """
    if len(source.encode("utf-8", "replace")) > LARGEST_FILE_BYTES:
        raise RunbookErrors([_error(file, 1, 1, "too-large", "the file is larger than 1 MiB")])
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Bounded
    yaml.composer.warn_double_anchors = False  # to name an anchor again is allowed
    if found := _DIRECTIVE.search(source):  # %YAML 1.1 would turn `on` into true
        line = source.count("\n", 0, found.start()) + 1
        raise RunbookErrors([_error(file, line, 1, "yaml", "directives are not supported")])
    try:
        nodes = list(yaml.compose_all(source))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = error.problem or error.context or "no YAML"
        code = "too-large" if str(problem).startswith(("too many", "nested")) else "yaml"
        hint = _hint(source, line) if code == "yaml" else ""
        raise RunbookErrors([_error(file, line, column, code, str(problem), hint)]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        text = str(error).splitlines()[0] if str(error) else "no YAML"
        raise RunbookErrors([_error(file, 1, 1, "yaml", text)]) from None
    read = [_document(node, file, source) for node in nodes if node is not None]
    return [one for one in read if one.value is not None]  # nothing between two lines of dashes


_QUOTE = 'put the value in quotes: "${{ … }}"'


def _hint(source: str, line: int) -> str:
    """Return what the commonest mistake in a line that is no YAML would be mended by."""
    lines = source.splitlines()
    # What is wrong shows where the reader gave up, on the next line at times.
    for text in (lines[max(line - 2, 0) : line])[::-1]:
        if _BARE_EXPRESSION.search(text):
            return _QUOTE
        if text.lstrip(" ").startswith("\t"):
            return "indent with blanks, not with tabs"
    return ""


# An expression that no quote stands before: braces and colons in it mean something to YAML.
_BARE_EXPRESSION = re.compile(r"(?:^|[:\[{,-])\s*(?:[^\s\"'#|>][^\"'#]*)?\$\{\{")


class _Bounded(Composer):
    """Stops while it reads: to read all of a wide or deep megabyte first takes up to 25 s."""

    seen = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.seen += 1
        if self.seen > _MOST_NODES or self.depth > _DEEPEST:
            what = "too many values" if self.seen > _MOST_NODES else "nested too deeply"
            raise ComposerError(None, None, what, self.parser.peek_event().start_mark)
        return super().compose_node(parent, index)


def _document(node: Node, file: str, source: str) -> Document:
    reader = _Reader(file)
    value = reader.read(node, (), 0)
    if reader.findings:
        raise RunbookErrors(reader.findings)
    # A block ends where the next token begins: at the start of the dashes' line, which is not ours.
    last = node.end_mark.line + (1 if node.end_mark.column else 0)
    return Document(file, value, reader.values, reader.keys, node.start_mark.line + 1, last, source)


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.values: dict[Path, Position] = {}
        self.keys: dict[Path, Position] = {}
        self.findings: list[Finding] = []
        self._seen = 0

    def read(self, node: Node, path: Path, depth: int) -> Any:
        self._seen += 1
        if depth > _DEEPEST or self._seen > _MOST_NODES:
            # Aliases are followed, so a few lines could stand for millions of nodes.
            what = "nested too deeply" if depth > _DEEPEST else "too many values (aliases?)"
            raise RunbookErrors([self._fault(node, "too-large", what)])
        self.values[path] = _position(node)
        if not isinstance(node, ScalarNode) and not str(node.tag).endswith(
            (",2002:map", ",2002:seq")
        ):
            self.findings.append(self._fault(node, "yaml", f"the tag {node.tag} is not known"))
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.findings.append(self._fault(key_node, "yaml", "a key must be a word"))
                continue
            key = str(key_node.value)
            if "${{" in key and "}}" not in key:
                fault = self._fault(key_node, "yaml", "a colon cuts an expression in two")
                self.findings.append(replace(fault, hint=_QUOTE))
                continue
            if key in found:
                self.findings.append(
                    self._fault(key_node, "duplicate-key", f'the key "{key}" stands here twice')
                )
                continue
            self.keys[(*path, key)] = _position(key_node)
            found[key] = self.read(value_node, (*path, key), depth + 1)
        return found

    def _scalar(self, node: Node) -> Any:
        kind, text = str(node.tag).rpartition(":")[2], str(node.value)
        try:
            match kind:
                case "str" | "timestamp" | "merge" | "value":
                    # JSON writes what lies beyond the BMP as two; half of such a pair is no text.
                    return text.encode("utf-16", "surrogatepass").decode("utf-16")
                case "int" | "float" if "_" in text or "0b" in text:
                    return text  # numbers in YAML 1.1 only
                case "int":
                    number = int(text, 0) if "o" in text or "x" in text else int(text)
                    if -(2**63) <= number < 2**63:  # CEL's
                        return number
                case "float":
                    if math.isfinite(_float(text)):  # JSON, and so the journal, has no other
                        return _float(text)
                case "bool" if text.lower() in ("true", "false"):
                    return text.lower() == "true"
                case "null":
                    return None
        except ValueError:
            pass
        self.findings.append(
            self._fault(node, "yaml", f"a value of the type {node.tag} is not known")
        )
        return None

    def _fault(self, node: Node, code: str, message: str) -> Finding:
        mark = node.start_mark
        return _error(self.file, mark.line + 1, mark.column + 1, code, message)


def _position(node: Node) -> Position:
    mark = node.start_mark
    if not isinstance(node, ScalarNode):
        return Position(mark.line + 1, mark.column + 1, whole=(mark.index, mark.index))
    whole = (mark.index, node.end_mark.index)
    if node.style in ("|", ">"):
        header = mark.buffer.find("\n", mark.index) + 1 or node.end_mark.index
        span = (header, node.end_mark.index)
        return Position(mark.line + 1, mark.column + 1, span=span, whole=whole)
    one_line = node.start_mark.line == node.end_mark.line
    quoted = 1 if node.style in ("'", '"') else 0
    width = node.end_mark.column - node.start_mark.column - 2 * quoted
    return Position(
        mark.line + 1,
        mark.column + 1 + quoted,
        one_line and width == len(node.value),
        (mark.index + quoted, node.end_mark.index - quoted),
        whole,
    )


def _float(text: str) -> float:
    lowered = text.lower().replace("_", "")
    return float(lowered.replace(".inf", "inf").replace(".nan", "nan"))


def _error(file: str, line: int, column: int, code: str, message: str, hint: str = "") -> Finding:
    return Finding(file, line, column, Severity.ERROR, code, message, hint)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every scalar below `value` with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path, value
