"""One document with everything checked that it says by itself: parameters, vars, steps, outputs.

Made once, however many runbooks use it, so that a fault of a fragment is told once and where it
is. Called by `compile`; `flatten` puts several together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remediator.plugin.registry import Registry
from remediator.runbook import arguments, expressions
from remediator.runbook.schema import FragmentSpec
from remediator.runbook.scope import Compiled, Frame
from remediator.runbook.steps import Element, Steps
from remediator.runbook.texts import Names, Texts, type_name
from remediator.runbook.uses import Written


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """A checked document."""

    written: Written
    vars: Mapping[str, Compiled]
    elements: tuple[Element, ...]
    outputs: Mapping[str, Compiled]
    positions: Mapping[str, tuple[int, int]]
    """Dotted path → (line, column)."""

    def frame(self, **place: Any) -> Frame:
        """Make the frame of one use of it; without arguments the frame of a runbook's own."""
        declared = self.written.spec.parameters
        return Frame(declared=declared, vars=self.vars, outputs=self.outputs, **place)


@dataclass(slots=True)
class Composing:
    """A document in the making: what was compiled of it, and what can be read after its steps."""

    texts: Texts
    steps: Steps
    parameters: Names
    before: Names
    after: Names
    composed: Composed


def compose(written: Written, registry: Registry, specs: Mapping[str, FragmentSpec]) -> Composing:
    """Compile what a document says by itself; faults are in `texts.findings`.

    Args:
        specs: the documents that may be used, by name.
    """
    spec = written.spec
    texts = Texts(written.doc)
    declared = {
        f"params.{name}": expressions.type_of(arguments.CEL_TYPES[one.type])
        for name, one in spec.parameters.items()
    }
    names = dict(declared)
    variables: dict[str, Compiled] = {}
    for name, value in spec.vars.items():
        variables[name] = texts.compiled(("vars", name), value, names)
        names[f"vars.{name}"] = expressions.type_of(type_name(variables[name]))
    steps = Steps(texts, registry, specs)
    elements, after = steps.compiled(spec.steps, names)
    outputs = {
        name: texts.compiled(("outputs", name), value, after)
        for name, value in spec.outputs.items()
    }
    positions = {
        ".".join(map(str, path)): (at.line, at.column) for path, at in written.doc.values.items()
    }
    composed = Composed(written, variables, elements, outputs, positions)
    return Composing(texts, steps, declared, names, after, composed)
