"""A runbook's next mode as a change of its file. Used by `remediator promote`."""

import difflib
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediator.cli.failure import Failure
from remediator.runbook import document
from remediator.runbook.document import Document
from remediator.runbook.runbook import Runbook

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proposed:
    """What is proposed for one runbook; `diff` is empty where nothing is."""

    name: str
    file: str
    mode: str
    to: str
    bars: Sequence[Item]
    why_not: str = ""
    diff: str = ""


def propose(runbook: Runbook, served: Item | None) -> Proposed:
    """Say which mode a runbook's file may be given.

    Args:
        served: the daemon's line of its report about it; None where it does not serve it.
    """
    mode = runbook.mode.value

    def no(why: str) -> Proposed:
        return Proposed(runbook.name, runbook.file, mode, mode, (), why)

    if served is None:
        return no("the daemon does not serve it: there is no evidence")
    if served["substance"] != runbook.substance:
        return no(
            "the file does something else than what the daemon serves: no evidence is about it"
        )
    if served["mode"] != mode:
        return no(f"the daemon serves it in the mode {served['mode']}; let it take this file first")
    proposal = served["trust"]["proposal"] if served["trust"] else None
    if proposal is None:
        return no("there is no higher mode")
    changed = ""
    if proposal["met"]:
        before = _read(runbook.file)
        after = with_mode(before, runbook.file, runbook.name, proposal["to"])
        changed = _diff(runbook.file, before, after)
    return Proposed(
        runbook.name, runbook.file, mode, proposal["to"], proposal["bars"], diff=changed
    )


def write(proposals: Sequence[Proposed]) -> None:
    """Change the files. Two runbooks of one file are changed one after the other.

    Raises:
        Failure: a file can't be written.
    """
    for one in proposals:
        if one.diff:
            text = with_mode(_read(one.file), one.file, one.name, one.to)
            _replace(Path(one.file), text)


def with_mode(source: str, file: str, name: str, mode: str) -> str:
    """Return the text of a runbook file in which one runbook has another mode, and nothing else is
    different: comments, order and layout stay."""
    found = next(
        doc
        for doc in document.parse(source, file)
        if isinstance(doc.value, dict) and doc.value.get("name") == name
    )
    lines = source.splitlines(keepends=True)
    if "mode" in found.value:
        at, old = found.at(("mode",)), str(found.value["mode"])
        line = lines[at.line - 1]
        start = at.column - 1
        if not line.startswith(old, start):
            raise Failure(f"{file}:{at.line}: write `mode: {mode}` there by hand")
        lines[at.line - 1] = line[:start] + mode + line[start + len(old) :]
    else:
        lines = _inserted(lines, found, mode)
    text = "".join(lines)
    _only_the_mode(found, text, file, name, mode)
    return text


def _inserted(lines: list[str], found: Document, mode: str) -> list[str]:
    """Write the key before the steps; a runbook without it has the mode `approve`."""
    at = found.key(("steps",))
    line = lines[at.line - 1]
    if line[: at.column - 1].strip():  # a mapping on one line
        entry = f"mode: {mode}, "
        lines[at.line - 1] = line[: at.column - 1] + entry + line[at.column - 1 :]
        return lines
    indent = line[: at.column - 1]
    return [*lines[: at.line - 1], f"{indent}mode: {mode}\n", *lines[at.line - 1 :]]


def _only_the_mode(found: Document, text: str, file: str, name: str, mode: str) -> None:
    """Make sure that what is written means what is meant."""
    for doc in document.parse(text, file):
        if isinstance(doc.value, dict) and doc.value.get("name") == name:
            assert doc.value == {**found.value, "mode": mode}, "only the mode may differ"  # noqa: S101 - a check of ourselves


def _diff(file: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), file, file, n=2
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"{file}: cannot be read: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    """Put the text in place at once, so that nobody reads half of it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).chmod(mode)
            Path(name).replace(path.resolve())
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None


def to_json(one: Proposed, *, written: bool) -> Item:
    """Return it as JSON."""
    return {
        "runbook": one.name,
        "file": one.file,
        "from": one.mode,
        "to": one.to,
        "proposed": bool(one.diff),
        "written": bool(one.diff) and written,
        "why_not": one.why_not,
        "bars": list(one.bars),
        "diff": one.diff,
    }
