"""An operation's parameters against its model: names, types and bounds, each fault where it stands.

Values that are written out are checked whole; of an expression its type is known.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from remediator.model import complaints
from remediator.plugin.action import AnyOperation
from remediator.runbook import edits, value_types
from remediator.runbook.document import Path, Reporter
from remediator.runbook.expressions import BROKEN, Template
from remediator.runbook.findings import did_you_mean
from remediator.runbook.runbook import Compiled


def check(
    report: Reporter,
    path: Path,
    given: Mapping[str, Any],
    compiled: Mapping[str, Compiled],
    operation: AnyOperation,
) -> None:
    """Report unknown and missing parameters, and values that can't do.

    Args:
        path: where the parameters stand.
        given: as they were written.
        compiled: the same with every expression compiled.
    """
    fields = {field.alias or name: field for name, field in operation.Params.model_fields.items()}
    for name in given:
        if name not in fields:
            found = report.doc.finding(
                (*path, name),
                "unknown-parameter",
                f'{operation.name} has no parameter "{name}"',
                did_you_mean(name, fields) or f"it has {', '.join(fields)}",
                key=True,
            )
            fix = edits.renaming(report.doc, (*path, name), fields)
            report.findings.append(replace(found, fix=fix))
    for name, field in fields.items():
        if field.is_required() and name not in given:
            text = f'{operation.name} needs the parameter "{name}"'
            report.fault(path if given else path[:-1], "missing-parameter", text)
    _check_values(report, path, given, compiled, operation, fields)


def _check_values(
    report: Reporter,
    path: Path,
    given: Mapping[str, Any],
    compiled: Mapping[str, Compiled],
    operation: AnyOperation,
    fields: Mapping[str, Any],
) -> None:
    """Check what is written out, and the types of sole expressions, against the model."""
    before = len(report.findings)
    for name, value in compiled.items():
        if name not in fields:
            continue
        annotation = value_types.annotated(fields[name])
        _check_value(report, (*path, name), value, given[name], annotation)
    if before == len(report.findings):
        _check_together(report, path, given, compiled, operation, fields)


def _check_value(
    report: Reporter, path: Path, value: Compiled, given: Any, annotation: Any
) -> None:
    """Check one value: what is written out as it is, an expression by its type, part by part."""
    if isinstance(value, Template):
        _check_type(report, path, value, annotation)
    elif not holds_template(value):
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        _try(report, partial(adapter.validate_python, given), path)
    elif (item := value_types.item_of(annotation)) is not None:
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in parts:
            _check_value(report, (*path, key), part, given[key], item)


def _check_together(
    report: Reporter,
    path: Path,
    given: Mapping[str, Any],
    compiled: Mapping[str, Compiled],
    operation: AnyOperation,
    fields: Mapping[str, Any],
) -> None:
    """Check what concerns several parameters: one of them must be named, two exclude each other.

    Something stands in for each expression; only what is wrong whatever stands there is reported.
    """
    open_ones = [name for name, value in compiled.items() if holds_template(value)]
    if not open_ones:
        _try(report, lambda: operation.Params.model_validate(dict(given)), path)
        return
    choices = {name: _stand_ins(fields[name]) for name in open_ones if name in fields}
    if not all(choices.values()):
        return
    for least in (True, False):
        chosen = {name: values[0 if least else -1] for name, values in choices.items()}
        try:
            operation.Params.model_validate({**given, **chosen})
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            if whole := [fault for fault in faults if not fault["loc"]]:
                continue
        return
    report.fault(path, "invalid-parameter", complaints.plain(whole[0]["msg"]))


_SAMPLES: tuple[Any, ...] = ("x", 1, "1", True, "1m", "+1", ["x"], {"x": "x"}, 10**6, "1000000")


def _stand_ins(field: Any) -> list[Any]:
    """Return values that a parameter takes, a small one first and a large one last."""
    adapter: TypeAdapter[Any] = TypeAdapter(value_types.annotated(field))
    found = []
    for sample in _SAMPLES:
        try:
            adapter.validate_python(sample)
        except ValidationError:
            continue
        found.append(sample)
    return found


def _try(report: Reporter, validate: Callable[[], object], path: Path) -> None:
    try:
        validate()
    except ValidationError as error:
        said: set[Path] = set()
        for fault in error.errors(include_url=False, include_input=False):
            if fault["type"] in ("missing", "extra_forbidden") and not fault["loc"][1:]:
                continue  # said already, with the nearest name
            at = _existing(report, path, fault["loc"])
            if at in said:
                continue  # each branch of a union has its own complaint; one will do
            said.add(at)
            name = ".".join(str(p) for p in at[at.index("with") + 1 :])
            text = complaints.plain(fault["msg"])
            report.fault(at, "invalid-parameter", f"{name}: {text}" if name else text)


def _existing(report: Reporter, path: Path, loc: Path) -> Path:
    """Return the path in the file; pydantic's holds names of types as well."""
    for part in loc:
        if (*path, part) in report.doc.values:
            path = (*path, part)
    return path


def _check_type(report: Reporter, path: Path, template: Template, annotation: Any) -> None:
    kind = value_types.kind(template.sole.type_name) if template.sole else "STRING"
    wanted = value_types.cel_types(annotation) - {"NULL"}
    if template is BROKEN or kind == "DYN" or not wanted or kind in wanted:
        return
    report.fault(
        path,
        "expression-type",
        f"{path[-1]} needs {' or '.join(sorted(map(value_types.people, wanted)))}; "
        f"the expression is {value_types.people(kind)}",
        "convert it, as in int(labels.count)" if kind == "STRING" else "",
    )


def holds_template(value: Compiled) -> bool:
    """Whether any part of a value is an expression."""
    if isinstance(value, Template):
        return True
    if isinstance(value, Mapping):
        return any(map(holds_template, value.values()))
    return isinstance(value, list) and any(map(holds_template, value))
