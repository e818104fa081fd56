"""A pydantic model's complaints about a document, as findings: each with its place in the file, in
the words of YAML, and with the nearest right name.

Called by `compile` for runbooks and by `policy_file` for the policy. Knows nothing of either.
"""

import pathlib
from dataclasses import replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from remediator.model import complaints
from remediator.runbook import edits
from remediator.runbook.document import Document, Path, smart_quotes
from remediator.runbook.findings import Finding, RunbookErrors, did_you_mean

M = TypeVar("M", bound=BaseModel)


def validated(doc: Document, model: type[M], what: str, *, folder: pathlib.Path | None = None) -> M:
    """Return the document as this model.

    Args:
        what: what a document of this kind is called, `a runbook`.
        folder: where the files lie that it names; the working directory where it is None.

    Raises:
        RunbookErrors: with every fault that was found.
    """
    if not isinstance(doc.value, dict):
        raise RunbookErrors([doc.finding((), "structure", f"{what} is a mapping of keys")])
    try:
        return model.model_validate(doc.value, context={"folder": folder})
    except ValidationError as error:
        # Of a list whose items are all wrong, pydantic says that it is too short as well.
        found = [
            fault
            for fault in error.errors(include_url=False)
            if fault["type"] != "too_short" or not fault["input"]
        ]
        raise RunbookErrors([_explain(doc, model, fault) for fault in found]) from None


def _explain(doc: Document, model: type[BaseModel], fault: Any) -> Finding:
    path: Path = tuple(p for p in fault["loc"] if not str(p).startswith("function-"))
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        hint = _MERGE if path[-1] == "<<" else did_you_mean(str(path[-1]), known)
        found = doc.finding(path, "unknown-key", f'unknown key "{path[-1]}"', hint, key=True)
        return replace(found, fix=edits.renaming(doc, path, known))
    if kind == "missing":
        return doc.finding(path[:-1], "missing-key", f'the key "{path[-1]}" is missing')
    message = complaints.plain(fault["msg"])
    name = ".".join(str(part) for part in path)
    hint = smart_quotes(doc.value_at(path))
    return doc.finding(path, "invalid", f"{name}: {message}" if name else message, hint)


_MERGE = "YAML 1.2 has no merge keys; write the keys out, or let both `use:` one fragment"


def _keys_at(model: Any, path: Path) -> list[str]:
    """Return the keys that may stand at `path` in a model."""
    for part in path:
        if isinstance(part, int):
            continue
        fields = getattr(model, "model_fields", {})
        match = next((f for n, f in fields.items() if (f.alias or n) == part), None)
        if match is None:
            return []
        model = _model_in(match.annotation)
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]


def _model_in(annotation: Any) -> Any:
    if hasattr(annotation, "model_fields"):
        return annotation
    for inner in get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
