"""Findings as text for people, and as what other programs read: JSON and GitHub's annotations.

SARIF, which is larger, is in `sarif`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remediator.cli.checking import Checked
    from remediator.runbook.findings import Finding

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def text(checked: "Checked") -> Iterator[str]:
    """Yield the lines for people: each finding, where its code is told of, and a summary."""
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.lint import catalogue  # noqa: PLC0415

    for finding in checked.findings:
        yield show.clean(str(finding))
    codes = sorted({finding.code for finding in checked.findings})
    if codes:
        links = ", ".join(f"{catalogue.PAGE}#{code}" for code in codes[:3])
        more = ", …" if len(codes) > 3 else ""
        yield f"{links}{more}; or remediator check --explain {codes[0]}"
    yield summary(checked)


def summary(checked: "Checked") -> str:
    """Return one line: what was looked at, and how much was found."""
    counts = {
        severity: sum(1 for one in checked.findings if one.severity.value == severity)
        for severity in ("error", "warning", "info")
    }
    found = ", ".join(_many(count, name) for name, count in counts.items() if count) or "clean"
    ignored = f" ({_many(len(checked.silenced), 'finding')} ignored)" if checked.silenced else ""
    looked_at = f"{_many(checked.files, 'file')}, {_many(checked.runbooks, 'runbook')}"
    return f"{looked_at}: {found}{ignored}"


def _many(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 or name == 'info' else 's'}"


def to_json(checked: "Checked", fixed: Sequence["Finding"] = ()) -> dict[str, Any]:
    """Return the findings for scripts."""
    return {
        "files": checked.files,
        "runbooks": checked.runbooks,
        "findings": [_as_json(one) for one in checked.findings],
        "ignored": [{**_as_json(one.finding), "reason": one.reason} for one in checked.silenced],
        "fixed": [_as_json(one) for one in fixed],
    }


def _as_json(one: "Finding") -> dict[str, Any]:
    line, column = one.end if one.end is not None else (None, None)
    return {
        "file": one.file,
        "line": one.line,
        "column": one.column,
        "end_line": line,
        "end_column": column,
        "severity": one.severity.value,
        "code": one.code,
        "message": one.message,
        "hint": one.hint,
        "fix": one.fix.does if one.fix is not None else None,
    }


def github(checked: "Checked") -> Iterator[str]:
    """Yield a workflow command for each finding, which GitHub shows beside the line.

    See https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
    """
    for one in checked.findings:
        places = [("file", one.file), ("line", str(one.line)), ("col", str(one.column))]
        if one.end is not None:
            places.append(("endLine", str(one.end[0])))
            if one.end[0] == one.line:
                places.append(("endColumn", str(one.end[1])))
        places.append(("title", f"remediator {one.code}"))
        properties = ",".join(f"{name}={_property(value)}" for name, value in places)
        hint = f"; {one.hint}" if one.hint else ""
        yield f"::{_LEVELS[one.severity.value]} {properties}::{_data(one.message + hint)}"
    yield summary(checked)


def _data(value: str) -> str:
    """Escape a message as GitHub's runner unescapes it."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    """Escape a property, which ends at a comma or a colon."""
    return _data(value).replace(":", "%3A").replace(",", "%2C")
