"""The texts of one document: its conditions and templates, compiled, each fault where it stands.

Used by `compile`, `steps` and `composed`. Knows what names there are at one place and what earlier
steps give; what a step is, it does not know.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from remediator.runbook import expressions, value_types
from remediator.runbook.document import Document, Path, Reporter
from remediator.runbook.expressions import (
    BROKEN,
    Environment,
    Expression,
    ExpressionError,
    Template,
)
from remediator.runbook.findings import did_you_mean
from remediator.runbook.scope import Compiled

_RESULT = re.compile(r"\bsteps\.`?([a-z][\w-]*)`?\.result\.\??([A-Za-z_]\w*)")
_STEP = re.compile(r'unknown name "steps\.`?([a-z][\w-]*)')

Names = Mapping[str, Any]
"""Variables that expressions at one place may read besides the fixed ones, with their CEL types."""


class Texts(Reporter):
    """Compiles the texts of one document."""

    def __init__(self, doc: Document) -> None:
        super().__init__(doc)
        self.gives: dict[str, Sequence[str]] = {}
        """Step → the names in its result, of those earlier ones where they are known."""
        self.siblings: Mapping[str, str] = {}
        """Steps that can't be read at the place in hand → why not."""

    def condition(self, path: Path, text: str | None, names: Names) -> Expression | None:
        """Compile a condition, and check that it is true or false."""
        if text is None:
            return None
        try:
            compiled = Environment(names).compile(_bare(text))
        except ExpressionError as error:
            lead = len(text) - len(text.lstrip())
            self._wrong(path, error, lead)
            return None
        self._check_results(path, text)
        if compiled.type_name not in ("BOOL", "DYN"):
            kind = value_types.people(compiled.type_name)
            self.fault(
                path, "expression-type", f"a condition must be true or false; this is {kind}"
            )
        return compiled

    def compiled(self, path: Path, value: Any, names: Names) -> Compiled:
        """Compile every text in a value."""
        if isinstance(value, str):
            return self._template(path, value, names)
        if isinstance(value, Mapping):
            return {k: self.compiled((*path, k), inner, names) for k, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.compiled((*path, i), inner, names) for i, inner in enumerate(value)]
        return value

    def _template(self, path: Path, text: str, names: Names) -> Template | str:
        if "${{" not in text:
            return text
        try:
            compiled = expressions.compile_template(text, Environment(names))
        except ExpressionError as error:
            self._wrong(path, error, 0)
            return BROKEN  # said once; nothing more is checked about this value
        self._check_results(path, text)
        return compiled

    def _wrong(self, path: Path, error: ExpressionError, lead: int) -> None:
        message, hint = str(error), error.hint
        found = _STEP.match(message)
        if found and found[1] in self.siblings:
            message, hint = self.siblings[found[1]], ""
        self.fault(path, "expression", message, hint, error.offset + lead)

    def _check_results(self, path: Path, text: str) -> None:
        for found in _RESULT.finditer(text):
            known = self.gives.get(found[1])
            if known is None or found[2] in known:
                continue
            message = f'the result of "{found[1]}" has no "{found[2]}"'
            hint = did_you_mean(found[2], known)
            if not hint:
                hint = f"it has {', '.join(known)}" if known else "it has no outputs"
            self.fault(path, "expression", message, hint, found.start(2))


def names_in(value: Compiled) -> frozenset[str]:
    """Return the variables that a value's expressions read."""
    if isinstance(value, Template):
        return value.names
    if isinstance(value, Mapping):
        return frozenset().union(*map(names_in, value.values()))
    if isinstance(value, list):
        return frozenset().union(*map(names_in, value))
    return frozenset()


def type_name(value: Compiled) -> str:
    """Return CEL's name for the type of a value, as far as it is known at load."""
    if isinstance(value, Template):
        return value.sole.type_name if value.sole else "STRING"
    kinds = {bool: "BOOL", int: "INT", float: "DOUBLE", str: "STRING"}
    return kinds.get(type(value), "DYN")


def _bare(text: str) -> str:
    """Return a condition without `${{ }}` around it, which authors of other systems write."""
    stripped = text.strip()
    if stripped.startswith("${{") and stripped.endswith("}}"):
        return stripped[3:-2].strip()
    return stripped
