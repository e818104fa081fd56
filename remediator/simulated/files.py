"""Worlds in files: what `remediator record` writes, and plain Kubernetes manifests.

Reads the files that a world names, each fault with file, line and column, and lays the world over
what they say. Used by `rehearsal` for tests and by `simulate --world`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from remediator.runbook import document, faults
from remediator.runbook.document import Document
from remediator.runbook.findings import Finding, RunbookErrors, Severity
from remediator.simulated.spec import Manifests, WorldSpec

W = TypeVar("W", bound=WorldSpec)

# A world may name files that name files; deeper than this somebody went in a circle.
_DEEPEST = 5


def load(path: Path) -> WorldSpec:
    """Return the world that a file holds, with the files that it names.

    Raises:
        RunbookErrors: with every fault.
    """
    return _load(path, 0)


def resolved(spec: W, folder: Path, named: Finding) -> W:
    """Return a world laid over what its files say; it names none any more.

    Args:
        spec: as it was written.
        folder: where it was written; its files are relative to this.
        named: where its `files` stand, for the faults of a file that is not there.

    Raises:
        RunbookErrors: with every fault.
    """
    return _resolved(spec, folder, named, 0)


def _resolved(spec: W, folder: Path, named: Finding, depth: int) -> W:
    if not spec.files:
        return spec
    base = WorldSpec()
    found: list[Finding] = []
    for name in spec.files:
        path = folder / name
        if not path.is_file():
            text = f"there is no file {name} in {folder}"
            found.append(_at(named, "missing", text))
            continue
        try:
            base = _load(path, depth + 1).over(base)
        except RunbookErrors as error:
            found += error.findings
    if found:
        raise RunbookErrors(found)
    whole = spec.over(base)
    return spec.model_copy(
        update={name: getattr(whole, name) for name in WorldSpec.model_fields} | {"files": ()}
    )


def _load(path: Path, depth: int) -> WorldSpec:
    file = str(path)
    if depth > _DEEPEST:
        raise RunbookErrors([_fault(file, "too-deep", "files name files in a circle")])
    try:
        source = document.text_of(path)
    except document.Unreadable as error:
        raise RunbookErrors([_fault(file, "unreadable", f"cannot be read: {error}")]) from None
    documents = document.parse(source, file)
    if len(documents) == 1 and _is_world(documents[0].value):
        spec = faults.validated(documents[0], WorldSpec, "a world", folder=path.parent)
        where = documents[0].at(("files",))
        named = Finding(file, where.line, where.column, Severity.ERROR, "missing", "")
        return _resolved(spec, path.parent, named, depth)
    return WorldSpec(kubernetes=tuple(_manifests(documents)))


def _is_world(value: Any) -> bool:
    return isinstance(value, Mapping) and "apiVersion" not in value


def _manifests(documents: Iterable[Document]) -> Iterable[Mapping[str, Any]]:
    found: list[Finding] = []
    for doc in documents:
        value = doc.value
        listed = isinstance(value, dict) and str(value.get("kind", "")).endswith("List")
        listed = listed and isinstance(value.get("items"), list)
        whole = Document(
            doc.file,
            {"objects": value["items"] if listed else [value]},
            {_inside(path, listed): place for path, place in doc.values.items()},
            {_inside(path, listed): place for path, place in doc.keys.items()},
            doc.first_line,
            doc.last_line,
            doc.source,
        )
        try:
            yield from faults.validated(whole, Manifests, "a manifest").objects
        except RunbookErrors as error:
            found += error.findings
    if found:
        raise RunbookErrors(found)


def _inside(path: document.Path, listed: bool) -> document.Path:
    if not listed:
        return ("objects", 0, *path)
    return ("objects", *path[1:]) if path[:1] == ("items",) else path


def _at(place: Finding, code: str, text: str) -> Finding:
    return Finding(place.file, place.line, place.column, Severity.ERROR, code, text)


def _fault(file: str, code: str, text: str) -> Finding:
    return Finding(file, 1, 1, Severity.ERROR, code, text)
