"""Written steps → checked elements, one document at a time.

An element is a written step whose texts are compiled and whose parameters are checked; it knows
the document that it stands in and nothing of those that use it. `flatten` makes a runbook's steps
of them. Called by `composed`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from remediator.plugin.action import AnyOperation, Probe
from remediator.plugin.registry import Registry
from remediator.runbook import arguments, expressions, parameters, value_types
from remediator.runbook.arguments import ParameterSpec, ParameterType
from remediator.runbook.document import Path
from remediator.runbook.expressions import BROKEN, Expression, Template
from remediator.runbook.findings import did_you_mean
from remediator.runbook.schema import MOST_LANES, FragmentSpec, MemberSpec, StepSpec
from remediator.runbook.scope import Compiled
from remediator.runbook.texts import Names, Texts, type_name


@dataclass(frozen=True, slots=True, eq=False)
class Does:
    """A step that does one thing: uses an action, or a document's steps."""

    id: str
    path: Path
    where: str
    condition: Expression | None
    operation: AnyOperation | None
    use: str | None
    given: Mapping[str, Compiled]
    """Of the action, or of the document that is used."""
    timeout: timedelta
    attempts: int
    backoff: timedelta


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """A step whose members stand in lanes: a `for_each` (with a single member), or a group."""

    id: str
    path: Path
    where: str
    items: Compiled | None
    most: int
    parallel: int
    condition: Expression | None
    members: tuple[Does, ...]


Element = Does | Lanes


class Steps:
    """Compiles the steps of one document."""

    def __init__(self, texts: Texts, registry: Registry, specs: Mapping[str, FragmentSpec]) -> None:
        """Report to `texts`; `specs` are the documents that may be used, by name."""
        self._texts = texts
        self._registry = registry
        self._specs = specs

    def compiled(
        self, written: Sequence[StepSpec], names: Names
    ) -> tuple[tuple[Element, ...], Names]:
        """Compile steps in order; each may read those before it.

        Returns:
            the elements, without those that have faults, and the names that may be read after
            them.
        """
        known = dict(names)
        seen: set[str] = set()
        elements: list[Element | None] = []
        for number, one in enumerate(written):
            path: Path = ("steps", number)
            self._claim(path, one.id, seen)
            if one.steps is not None:
                elements.append(self._group(path, one, known, seen))
            elif one.for_each is not None:
                elements.append(self._for_each(path, one, known))
            else:
                elements.append(self._does(path, one, known))
                self._after(one, known)
        return tuple(one for one in elements if one is not None), known

    def operation(self, path: Path, name: str) -> AnyOperation | None:
        """Return the action or probe of this name; None, and a fault, where there is none."""
        operation = self._registry.operations.get(name)
        if operation is None:
            hint = did_you_mean(name, self._registry.operations)
            self._texts.fault(path, "unknown-action", f'unknown action "{name}"', hint)
        return operation

    def checked(
        self, path: Path, given: Mapping[str, Any], operation: AnyOperation, names: Names
    ) -> dict[str, Compiled]:
        """Compile an operation's parameters and check them against its model."""
        compiled = self._texts.compiled(path, dict(given), names)
        assert isinstance(compiled, dict)  # noqa: S101 - a mapping stays one
        parameters.check(self._texts, path, given, compiled, operation)
        return compiled

    # -- names

    def _claim(self, path: Path, step_id: str, seen: set[str]) -> None:
        if step_id in seen:
            text = f'two steps are called "{step_id}"'
            self._texts.fault((*path, "id"), "duplicate-step", text)
        seen.add(step_id)

    def _after(self, one: MemberSpec, known: dict[str, Any]) -> None:
        """Make known what may be read of a step that does one thing."""
        result, plan = ("MAP<STRING, DYN>", "LIST<DYN>") if one.use is not None else ("DYN", "DYN")
        known.update(_outcome(one.id, result, plan))
        operation = self._registry.operations.get(one.action or "")
        if isinstance(operation, Probe) and operation.Output:
            self._texts.gives[one.id] = tuple(operation.Output)
        used = self._specs.get(one.use or "")
        if used is not None:
            self._texts.gives[one.id] = tuple(used.outputs)

    # -- forms

    def _group(
        self, path: Path, one: StepSpec, known: dict[str, Any], seen: set[str]
    ) -> Lanes | None:
        members = one.steps or ()
        condition = self._texts.condition((*path, "if"), one.if_, known)
        compiled = []
        for number, member in enumerate(members):
            at = (*path, "steps", number)
            self._claim(at, member.id, seen)
            self._texts.siblings = {
                other.id: f'"{member.id}" and "{other.id}" stand in one group, so neither can '
                "read what the other gives"
                for other in members
                if other is not member
            }
            compiled.append(self._does(at, member, known))
        self._texts.siblings = {}
        for member in members:
            self._after(member, known)
        known.update(_outcome(one.id, "LIST<DYN>", "LIST<DYN>"))
        return Lanes(
            id=one.id,
            path=path,
            where=self._where(path),
            items=None,
            most=len(members),
            parallel=min(one.parallel or len(members), len(members)),
            condition=condition,
            members=tuple(member for member in compiled if member is not None),
        )

    def _for_each(self, path: Path, one: StepSpec, known: dict[str, Any]) -> Lanes | None:
        at = (*path, "for_each")
        items, most = self._list(at, one, known)
        inner = {
            **known,
            "each.value": expressions.type_of(_item_type(items)),
            "each.index": expressions.type_of("INT"),
        }
        member = self._does(path, one, inner)
        known.update(_outcome(one.id, "LIST<DYN>", "LIST<DYN>"))
        if member is None:
            return None
        return Lanes(
            id=one.id,
            path=path,
            where=self._where(at),
            items=items,
            most=most,
            parallel=min(one.parallel or 1, most),
            condition=None,  # its `if` is each item's
            members=(member,),
        )

    def _list(self, path: Path, one: StepSpec, known: Names) -> tuple[Compiled, int]:
        given = one.for_each
        if isinstance(given, list | tuple):
            most = one.most if "most" in one.model_fields_set else len(given)
            if not given:
                self._texts.fault(path, "for-each", "the list is empty")
            elif len(given) > min(most, MOST_LANES):
                text = f"the list has {len(given)} items, and most is {min(most, MOST_LANES)}"
                self._texts.fault(path, "for-each", text)
            return self._texts.compiled(path, list(given), known), max(most, 1)
        compiled = self._texts.compiled(path, given, known)
        kind = type_name(compiled)
        listed = compiled is BROKEN or value_types.kind(kind) in ("LIST", "DYN")
        if listed and isinstance(compiled, Template):
            return compiled, one.most
        what = value_types.people("MAP" if isinstance(given, Mapping) else kind)
        text = f"for_each needs a list; this is {what}"
        self._texts.fault(path, "for-each", text, "write [a, b], or an expression that gives one")
        return BROKEN, one.most

    def _does(self, path: Path, one: MemberSpec, names: Names) -> Does | None:
        condition = self._texts.condition((*path, "if"), one.if_, names)
        operation = None
        if one.use is not None:
            given = self._arguments(path, one, names)
        else:
            operation = self.operation((*path, "action"), one.action or "")
            if operation is None:
                return None
            given = self.checked((*path, "with"), one.with_, operation, names)
        return Does(
            id=one.id,
            path=path,
            where=self._where(path),
            condition=condition,
            operation=operation,
            use=one.use,
            given=given,
            timeout=one.timeout,
            attempts=one.retry.attempts,
            backoff=one.retry.backoff,
        )

    def _where(self, path: Path) -> str:
        where = self._texts.doc.at(path)
        return f"{self._texts.doc.file}:{where.line}:{where.column}"

    # -- what a used document is given

    def _arguments(self, path: Path, one: MemberSpec, names: Names) -> dict[str, Compiled]:
        compiled = self._texts.compiled((*path, "with"), dict(one.with_), names)
        assert isinstance(compiled, dict)  # noqa: S101 - a mapping stays one
        used = self._specs.get(one.use or "")
        if used is None:
            return compiled  # unknown, or broken: that is told elsewhere
        for name, value in one.with_.items():
            at = (*path, "with", name)
            spec = used.parameters.get(name)
            if spec is not None:
                self._argument(at, spec, value, compiled[name])
                continue
            known = ", ".join(used.parameters)
            hint = did_you_mean(name, used.parameters) or (f"it has {known}" if known else "")
            text = f'"{used.name}" has no parameter "{name}"'
            doc = self._texts.doc
            self._texts.findings.append(doc.finding(at, "unknown-parameter", text, hint, key=True))
        for name, spec in used.parameters.items():
            if spec.required and name not in one.with_:
                text = f'"{used.name}" needs the parameter "{name}"'
                at = (*path, "with") if one.with_ else path
                self._texts.fault(at, "missing-parameter", text)
        return compiled

    def _argument(self, path: Path, spec: ParameterSpec, value: Any, compiled: Compiled) -> None:
        """Check one value: what is written out as it is, an expression by its type."""
        name = path[path.index("with") + 1]
        if isinstance(compiled, Template):
            self._argument_type(path, spec.type, compiled)
        elif parameters.holds_template(compiled):
            if spec.type is not ParameterType.LIST or not isinstance(compiled, list):
                words = value_types.people(arguments.CEL_TYPES[spec.type])
                self._texts.fault(path, "invalid-parameter", f"{name} needs {words}")
                return
            for number, item in enumerate(compiled):
                text = ParameterSpec(pattern=spec.pattern, enum=spec.enum)
                self._argument((*path, number), text, value[number], item)
        else:
            try:
                arguments.read(spec, value)
            except ValueError as error:
                self._texts.fault(path, "invalid-parameter", f"{name}: {error}")

    def _argument_type(self, path: Path, wanted: ParameterType, given: Template) -> None:
        kind = value_types.kind(type_name(given))
        taken = {value_types.kind(arguments.CEL_TYPES[wanted])}
        if wanted is ParameterType.NUMBER:
            taken.add("INT")
        if wanted is ParameterType.DURATION:
            taken.add("STRING")  # read when it is known
        if given is BROKEN or kind == "DYN" or kind in taken:
            if type_name(given) in ("LIST<INT>", "LIST<DOUBLE>", "LIST<BOOL>"):
                self._texts.fault(path, "expression-type", f"{path[-1]} needs a list of texts")
            return
        self._texts.fault(
            path,
            "expression-type",
            f"{path[-1]} needs {value_types.people(arguments.CEL_TYPES[wanted])}; "
            f"the expression is {value_types.people(kind)}",
            "convert it, as in int(labels.count)" if kind == "STRING" else "",
        )


def _outcome(step_id: str, result: str, plan: str) -> dict[str, Any]:
    return {
        f"steps.{step_id}.result": expressions.type_of(result),
        f"steps.{step_id}.plan": expressions.type_of(plan),
        f"steps.{step_id}.ok": expressions.type_of("BOOL"),
    }


def _item_type(items: Compiled) -> str:
    if isinstance(items, list):
        kinds = {type_name(item) for item in items}
        return kinds.pop() if len(kinds) == 1 else "DYN"
    name = type_name(items)
    return name.removeprefix("LIST<").removesuffix(">") if name.startswith("LIST<") else "DYN"
