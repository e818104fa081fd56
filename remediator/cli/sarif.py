"""Findings as SARIF 2.1.0, which code scanning reads (https://docs.oasis-open.org/sarif/)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from remediator.cli.checking import Checked
    from remediator.runbook.findings import Edit, Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_ROOT = "SRCROOT"


def of(checked: "Checked", version: str, folder: Path) -> dict[str, Any]:
    """Return one SARIF log with one run.

    Args:
        version: remediator's.
        folder: what the files' paths are shown from.
    """
    from remediator.runbook.lint import catalogue  # noqa: PLC0415 - keeps --help quick

    known = catalogue.codes()
    used = sorted(
        {one.code for one in checked.findings} | {one.finding.code for one in checked.silenced}
    )
    rules = {code: number for number, code in enumerate(used)}
    results = [_result(one, rules, folder) for one in checked.findings]
    for silenced in checked.silenced:
        result = _result(silenced.finding, rules, folder)
        result["suppressions"] = [
            {"kind": "inSource", "status": "accepted", "justification": silenced.reason}
        ]
        results.append(result)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "remediator",
                        "semanticVersion": version,
                        "rules": [_rule(known, code) for code in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {
                    _ROOT: {"description": {"text": "The folder in which check was run."}}
                },
                "results": results,
            }
        ],
    }


def _rule(known: Mapping[str, Any], code: str) -> dict[str, Any]:
    told = known.get(code)
    rule: dict[str, Any] = {"id": code, "name": _pascal(code)}
    if told is not None:
        rule["shortDescription"] = {"text": told.summary}
        rule["help"] = {"text": told.text, "markdown": told.text}
        rule["defaultConfiguration"] = {"level": _LEVELS[told.severity.value]}
    return rule


def _pascal(code: str) -> str:
    return "".join(part.capitalize() for part in code.split("-"))


def _result(one: "Finding", rules: Mapping[str, int], folder: Path) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": one.line, "startColumn": one.column}
    if one.end is not None and one.end >= (one.line, one.column):
        region |= {"endLine": one.end[0], "endColumn": one.end[1]}
    hint = f"; {one.hint}" if one.hint else ""
    where = {"artifactLocation": _location(one.file, folder), "region": region}
    result: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": rules[one.code],
        "level": _LEVELS[one.severity.value],
        "message": {"text": one.message + hint},
        "locations": [{"physicalLocation": where}],
        # Not of the line: what is written above a finding does not make it another one.
        "partialFingerprints": {
            "remediator/v1": hashlib.sha256(
                f"{one.file}\0{one.code}\0{one.message}".encode()
            ).hexdigest()[:32]
        },
    }
    if one.fix is not None:
        result["fixes"] = [
            {
                "description": {"text": one.fix.does},
                "artifactChanges": [
                    {
                        "artifactLocation": _location(one.file, folder),
                        "replacements": [_replacement(edit) for edit in one.fix.edits],
                    }
                ],
            }
        ]
    return result


def _replacement(edit: "Edit") -> dict[str, Any]:
    return {
        "deletedRegion": {"charOffset": edit.start, "charLength": edit.end - edit.start},
        "insertedContent": {"text": edit.text},
    }


def _location(file: str, folder: Path) -> dict[str, Any]:
    path = Path(file)
    if path.is_absolute():
        if not path.is_relative_to(folder):
            return {"uri": path.as_uri()}
        path = path.relative_to(folder)
    return {"uri": quote(path.as_posix()), "uriBaseId": _ROOT}
