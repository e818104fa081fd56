"""`remediator check --fix`: carries out the fixes of findings in their files, and says what it did.

A file that would load no better afterwards is left as it is.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.checking import Checked
    from remediator.runbook.findings import Finding

# One fix may make room for the next; so many rounds are far more than a file can need.
_MOST_ROUNDS = 10


def fix(look: "Callable[[], Checked]") -> tuple["Checked", Sequence["Finding"]]:
    """Mend what can be mended.

    Args:
        look: checks everything anew.

    Returns:
        What is left, and what was mended.

    Raises:
        Failure: a file can't be written.
    """
    done: list[Finding] = []
    checked = look()
    given_up: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        by_file: dict[str, list[Finding]] = {}
        for finding in checked.findings:
            if finding.fix is not None and finding.file not in given_up:
                by_file.setdefault(finding.file, []).append(finding)
        if not by_file:
            break
        errors = _errors(checked)
        before = {file: Path(file).read_bytes() for file in by_file}
        mended = {file: _mend(Path(file), findings) for file, findings in by_file.items()}
        checked = look()
        worse = {f for f, count in _errors(checked).items() if count > errors.get(f, 0)}
        for file in worse & before.keys():
            _write(Path(file), before[file])
            given_up.add(file)
        if worse & before.keys():
            checked = look()
        done += [one for file in mended if file not in given_up for one in mended[file]]
    return checked, sorted(done)


def _errors(checked: "Checked") -> dict[str, int]:
    found: dict[str, int] = {}
    for one in checked.findings:
        if one.severity.value == "error":
            found[one.file] = found.get(one.file, 0) + 1
    return found


def _mend(path: Path, findings: Sequence["Finding"]) -> Sequence["Finding"]:
    """Write a file with its fixes in it; its line ends stay what they are."""
    from remediator.runbook import edits  # noqa: PLC0415 - imports CEL

    raw = path.read_bytes().decode("utf-8")
    offsets = _offsets(raw)
    plain = raw.replace("\r\n", "\n").replace("\r", "\n")
    _, done = edits.apply(plain, findings)
    taken = sorted(
        (edit for one in done if one.fix is not None for edit in one.fix.edits),
        key=lambda edit: edit.start,
        reverse=True,
    )
    ending = "\r\n" if "\r\n" in raw else "\n"
    for edit in taken:
        text = edit.text.replace("\n", ending)
        raw = raw[: offsets[edit.start]] + text + raw[offsets[edit.end] :]
    _write(path, raw.encode("utf-8"))
    return done


def _offsets(raw: str) -> Sequence[int]:
    """Return where each character of the text, with every line end as one, begins in the file."""
    found = [at for at, char in enumerate(raw) if char != "\n" or raw[at - 1 : at] != "\r"]
    return [*found, len(raw)]


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once: a watching daemon never sees half of it."""
    path = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(path.stat().st_mode & 0o7777)
        Path(name).replace(path)
    except OSError as error:
        raise Failure(f"{path} can't be written: {error.strerror}") from None
