"""What a rule of the linter looks at: one document that loads, with the text that it was read from,
and how it says what it found. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from remediator.plugin.action import Action
from remediator.runbook.cel_text import LabelRead, label_reads
from remediator.runbook.document import Document, Path
from remediator.runbook.expressions import Expression, Template
from remediator.runbook.findings import Finding, Fix, Severity
from remediator.runbook.runbook import Compiled, CompiledStep, Fragment, Frame, Runbook

_LANE = re.compile(r"\[\d+\]")


class Part:
    """A runbook or a fragment, and where everything of it stands."""

    def __init__(self, one: Runbook | Fragment, doc: Document) -> None:
        self.doc = doc
        self.name: str = one.name
        self.frame: Frame = one.frame
        self.steps: Sequence[CompiledStep] = one.steps
        self.texts: Sequence[tuple[Path, str]] = tuple(doc.texts())
        """Every text of the document, with its path."""

    @property
    def changes(self) -> Sequence[CompiledStep]:
        """The steps that change something."""
        return tuple(step for step in self.steps if isinstance(step.operation, Action))

    def path_of(self, step: CompiledStep) -> Path | None:
        """Return where a step is written; None where that is in another document."""
        file, line, _ = step.origin.at()
        if file != self.doc.file or not self.doc.first_line <= line <= self.doc.last_line:
            return None
        return tuple(int(p) if p.isdigit() else p for p in step.origin.path.split("."))

    def finding(
        self,
        path: Path,
        code: str,
        message: str,
        hint: str = "",
        *,
        severity: Severity = Severity.WARNING,
        key: bool = False,
        offset: int = 0,
        fix: Fix | None = None,
    ) -> Finding:
        """Say something about the value (or the key) at a path, `offset` characters into it."""
        where = self.doc.key(path) if key else self.doc.at(path)
        line, column = where.line, where.column
        end = self.doc.end(where)
        if offset:
            line, column = self.doc.place(path, offset)
        text = f"{self.name}: {message}"
        return Finding(self.doc.file, line, column, severity, code, text, hint, end, fix)

    def of_step(
        self,
        step: CompiledStep,
        below: Path,
        code: str,
        message: str,
        hint: str = "",
        *,
        severity: Severity = Severity.WARNING,
        key: bool = False,
        offset: int = 0,
    ) -> Finding:
        """Say something about a step, or about what stands below it."""
        path = self.path_of(step)
        if path is not None:
            return self.finding(
                (*path, *below),
                code,
                message,
                hint,
                severity=severity,
                key=key,
                offset=offset,
            )
        # It is written in a document that this one uses; all of its lanes are one step there.
        file, line, column = step.origin.at(".".join(map(str, below)))
        text = f"{self.name}: step {_LANE.sub('', step.id)}: {message}"
        return Finding(file, line, column, severity, code, text, hint)


class Subject(Part):
    """A runbook."""

    def __init__(self, runbook: Runbook, doc: Document) -> None:
        super().__init__(runbook, doc)
        self.runbook = runbook


def templates(value: Compiled, path: Path = ()) -> Iterator[tuple[Path, Template]]:
    """Yield every text with expressions in a value, with its path."""
    if isinstance(value, Template):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from templates(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from templates(inner, (*path, number))


def expressions_in(value: Compiled) -> Iterator[Expression]:
    """Yield every expression in a value."""
    for _, template in templates(value):
        yield from (piece for piece in template.pieces if isinstance(piece, Expression))


def templated(value: Compiled) -> bool:
    """Whether any part of a value is an expression."""
    return next(templates(value), None) is not None


def labels_read(expression: Expression) -> Iterator[LabelRead]:
    """Yield the labels that an expression reads by their names."""
    if expression.names & {"labels", "alert.labels"}:
        yield from label_reads(expression.text)
