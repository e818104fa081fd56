"""Rules on spellings that are understood and yet should be written otherwise; each has a fix.

What the compiler takes for the sake of authors who come from elsewhere, the JSON Schema and the
editor do not know.
"""

import types
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, get_args, get_origin

from remediator.runbook import edits, value_types
from remediator.runbook.document import Document, Path
from remediator.runbook.findings import Edit, Finding, Fix, Severity
from remediator.runbook.lint.subject import Part
from remediator.runbook.schema import RunbookSpec

SCHEMA = FilePath("config", "runbook.schema.json")
# runbooks/ and runbooks/team/ beside config/; a schema further up is another project's.
_HIGHEST = 3
_MODELINE = "# yaml-language-server: $schema="


def condition_in_braces(subject: Part) -> Iterator[Finding]:
    """A condition is an expression already."""
    for path, text in subject.texts:
        stripped = text.strip()
        if path[-1] != "if" or "with" in path:
            continue
        if stripped.startswith("${{") and stripped.endswith("}}"):
            found = edits.unwrap(subject.doc, path, "${{", "}}")
            yield subject.finding(
                path,
                "deprecated-condition",
                "a condition is an expression already",
                "write it without ${{ }}",
                fix=Fix("take away the ${{ }}", found) if found else None,
            )


_BOOLEANS = {
    **dict.fromkeys(("yes", "on", "y", "t", "1", "true"), "true"),
    **dict.fromkeys(("no", "off", "n", "f", "0", "false"), "false"),
}


def value_in_quotes(subject: Part) -> Iterator[Finding]:
    """A number or a truth value is written as text, as YAML 1.1 or the environment has it."""
    for path, annotation in _annotated(subject):
        given = subject.doc.value_at(path)
        if not isinstance(given, str):
            continue
        wanted = value_types.cel_types(annotation) - {"NULL"}
        text = None
        if wanted == {"BOOL"}:
            text = _BOOLEANS.get(given.strip().lower())
        elif wanted and wanted <= {"INT", "DOUBLE"} and _number(given):
            text = given.strip()
        if text is not None:
            found = edits.replace_value(subject.doc, path, text)
            what = "true or false" if wanted == {"BOOL"} else "a number"
            yield subject.finding(
                path,
                "deprecated-value",
                f"{path[-1]} is {what}, and this is text",
                f"write {text}",
                fix=Fix(f"write {text}", found) if found else None,
            )


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text and text[:1].isdigit() and "_" not in text and text[:2] != "0x"


def _annotated(subject: Part) -> Iterator[tuple[Path, Any]]:
    """Yield what the language and the actions say of each value that is written."""
    yield from _below(subject.doc.value, RunbookSpec, ())
    for step in subject.steps:
        path = subject.path_of(step)
        if path is None:
            continue
        for name, field in step.operation.Params.model_fields.items():
            annotation = value_types.annotated(field)
            yield (*path, "with", field.alias or name), annotation


def _below(value: Any, annotation: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    for model in _models(annotation):
        if not isinstance(value, dict):
            break
        for name, field in model.model_fields.items():
            key = field.alias or name
            if key in value:
                yield from _below(value[key], value_types.annotated(field), (*path, key))
        return
    item = value_types.item_of(annotation)
    if isinstance(value, list) and item is not None:
        for number, inner in enumerate(value):
            yield from _below(inner, item, (*path, number))
    elif isinstance(value, str):
        yield path, annotation


def _models(annotation: Any) -> Iterator[Any]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    elif get_origin(annotation) not in (list, tuple, dict, Mapping, type(None), types.NoneType):
        for inner in get_args(annotation):
            yield from _models(inner)


def no_modeline(doc: Document, schema: FilePath | None) -> Iterator[Finding]:
    """An editor does not know which schema the file has.

    Args:
        schema: the schema as the file would name it; None where there is none to be named.
    """
    if schema is None or doc.first_line > 200 or "yaml-language-server:" in doc.source:
        return
    line = f"{_MODELINE}{schema.as_posix()}\n"
    at = 1 if doc.source.startswith("\ufeff") else 0
    yield Finding(
        doc.file,
        1,
        1,
        Severity.INFO,
        "no-modeline",
        "no modeline says which schema this is, so that an editor could complete and check it",
        f"begin with {line.strip()}",
        fix=Fix("add the modeline", (Edit(at, at, line),)),
    )


def schema_for(file: FilePath) -> FilePath | None:
    """Return the path from a file to the schema in the nearest `config/` above it, if any."""
    folder = file.resolve().parent
    for up, parent in enumerate((folder, *folder.parents)[:_HIGHEST]):
        if (parent / SCHEMA).is_file():
            return FilePath(*[".."] * up, SCHEMA)
    return None
