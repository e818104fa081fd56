"""Comments that silence one finding: `# remediator: ignore CODE reason`.

At the end of the line that a finding is about, on a line of its own before it, or above a
document's first key for all of the document. The reason is required, and a comment that silences
nothing is a finding itself. An error can't be silenced: the file would load no better for it. Pure.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from remediator.runbook.document import Document
from remediator.runbook.findings import Finding, Severity, did_you_mean

_COMMENT = re.compile(
    r"(?:^|(?<=\s))#[ \t]*remediator:[ \t]*(?P<word>\w*)[ \t]*(?P<rest>[^\n]*)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Ignore:
    """One such comment.

    Args:
        first: the first line that it is for.
        last: the last one.
    """

    file: str
    line: int
    column: int
    code: str
    reason: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Silenced:
    """A finding that a comment silences, and why."""

    finding: Finding
    reason: str


def read(
    documents: Sequence[Document], codes: Collection[str]
) -> tuple[list[Ignore], list[Finding]]:
    """Return the comments of one file, and what is wrong with any of them.

    Args:
        documents: all of the file.
        codes: that there are.
    """
    if not documents or "remediator:" not in documents[0].source:
        return [], []
    source = documents[0].source
    texts = sorted(
        at.span
        for doc in documents
        for of in (doc.values, doc.keys)
        for at in of.values()
        if at.span is not None
    )
    ignores: list[Ignore] = []
    faults: list[Finding] = []
    for found in _COMMENT.finditer(source):
        at = found.start()
        if any(start <= at < end for start, end in texts):
            continue  # a text that looks like one
        doc = _document(documents, source.count("\n", 0, at) + 1)
        line, column = doc.line_and_column(at)
        code, _, reason = found["rest"].strip().partition(" ")
        wrong = _wrong(found["word"], code, reason.strip(), codes)
        if wrong is not None:
            message, hint = wrong
            faults.append(
                Finding(doc.file, line, column, Severity.WARNING, "bad-ignore", message, hint)
            )
            continue
        first, last = _lines(doc, at, line)
        if doc is documents[0] and line < doc.first_line:
            first = 1
        ignores.append(Ignore(doc.file, line, column, code, reason.strip(), first, last))
    return ignores, faults


def _wrong(word: str, code: str, reason: str, codes: Collection[str]) -> tuple[str, str] | None:
    usage = "write # remediator: ignore CODE reason"
    if word != "ignore":
        return f'"remediator: {word}" means nothing here', usage
    if not code:
        return "it names no finding", usage
    if code not in codes:
        return f'there is no finding "{code}"', did_you_mean(code, codes) or usage
    if not reason:
        return f"it does not say why {code} may be ignored", usage
    return None


def _document(documents: Sequence[Document], line: int) -> Document:
    for doc in documents:
        if line <= doc.last_line:
            return doc
    return documents[-1]


def _lines(doc: Document, at: int, line: int) -> tuple[int, int]:
    """Return the lines that a comment is for."""
    source = doc.source
    begin = source.rfind("\n", 0, at) + 1
    if source[begin:at].strip():
        return line, line
    if line < doc.first_line:
        return line, doc.last_line
    lines = source.split("\n")
    after = line + 1
    while after <= len(lines) and (
        not lines[after - 1].strip() or lines[after - 1].lstrip().startswith("#")
    ):
        after += 1
    return line, after


def apply(
    findings: Sequence[Finding], ignores: Sequence[Ignore], beside: Sequence[Ignore] = ()
) -> tuple[list[Finding], list[Silenced]]:
    """Return what is left to be said, and what is silenced.

    Among what is left are the comments that silence nothing.

    Args:
        beside: comments of files that are not looked at themselves: something in them is used, and
            the rest may be what such a comment is for.
    """
    used: set[Ignore] = set()
    left: list[Finding] = []
    silenced: list[Silenced] = []
    by_code: dict[tuple[str, str], list[Ignore]] = {}
    for one in (*ignores, *beside):
        by_code.setdefault((one.file, one.code), []).append(one)
    for finding in findings:
        fitting = [
            one
            for one in by_code.get((finding.file, finding.code), ())
            if one.first <= finding.line <= one.last
        ]
        if fitting and finding.severity is not Severity.ERROR:
            used.update(fitting)
            silenced.append(Silenced(finding, fitting[0].reason))
        else:
            left.append(finding)
    errors = {(f.file, f.code) for f in findings if f.severity is Severity.ERROR}
    left += (_unused(one, errors) for one in ignores if one not in used)
    return sorted(left), silenced


def _unused(one: Ignore, errors: Collection[tuple[str, str]]) -> Finding:
    if (one.file, one.code) in errors:
        message = f"{one.code} is an error here, and keeps the file from loading"
        hint = "mend it; an error can't be ignored"
    else:
        message, hint = f"there is no {one.code} here to ignore", "leave the comment out"
    return Finding(one.file, one.line, one.column, Severity.WARNING, "unused-ignore", message, hint)
