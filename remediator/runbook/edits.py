"""Small changes to a YAML text by position: what a `Fix` is made of, and how it is carried out.

Comments, quotes and layout stay as they are wherever nothing must change. Called by the compiler
and the linter, which offer fixes, and by `remediator check --fix`, which carries them out. Knows
nothing of runbooks.
"""

from collections.abc import Iterable, Sequence

from remediator.runbook import document
from remediator.runbook.document import Document, Path, Position
from remediator.runbook.findings import Edit, Finding, Fix, RunbookErrors, only_near


def rename_key(doc: Document, path: Path, name: str) -> tuple[Edit, ...]:
    """Give the key that leads to `path` another name."""
    where = doc.keys.get(path)
    return (Edit(*where.whole, name),) if where is not None else ()


def renaming(doc: Document, path: Path, known: Iterable[str]) -> Fix | None:
    """Offer the one known name that an unknown key can have meant; None where there is a choice,
    or a key of that name already."""
    meant = only_near(str(path[-1]), known)
    beside = doc.value_at(path[:-1])
    if meant is None or not isinstance(beside, dict) or meant in beside:
        return None
    found = rename_key(doc, path, meant)
    return Fix(f"write {meant}", found) if found else None


def replace_value(doc: Document, path: Path, text: str) -> tuple[Edit, ...]:
    """Write another scalar, as it shall stand in the file, in the place of one; none for a list or
    a map."""
    where = doc.values.get(path)
    return (Edit(*where.whole, text),) if where is not None and where.span is not None else ()


def unwrap(doc: Document, path: Path, opening: str, closing: str) -> tuple[Edit, ...]:
    """Take away what stands around a text, and the blanks inside it; none where the text does not
    begin and end so in the file."""
    where = doc.values.get(path)
    if where is None or where.span is None:
        return ()
    start, end = where.span
    written = doc.source[start:end]
    inner = written.strip()
    if not (inner.startswith(opening) and inner.endswith(closing)):
        return ()
    body = inner[len(opening) : len(inner) - len(closing)]
    if where.whole == where.span and not _stays(body.strip()):
        return (Edit(start, end, _quoted(body.strip())),)
    first = start + len(written) - len(written.lstrip())
    last = start + len(written.rstrip())
    lead = len(body) - len(body.lstrip())
    tail = len(body) - len(body.rstrip())
    return (
        Edit(first, first + len(opening) + lead, ""),
        Edit(last - len(closing) - tail, last, ""),
    )


def _stays(text: str) -> bool:
    """Whether a text without quotes is the same text to YAML, in braces as well."""
    try:
        read = document.parse(f"[{text}]\n---\na: {text}\n", "")
    except RunbookErrors:
        return False
    return [one.value for one in read] == [[text], {"a": text}]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def remove(doc: Document, path: Path) -> tuple[Edit, ...]:
    """Take a key with its value out of its map; none where that would need another layout: the
    only key of a map, or the first one behind the dash of an item."""
    key = doc.keys.get(path)
    if key is None:
        return ()
    start, end = key.whole[0], _end(doc, path)
    line_start = doc.source.rfind("\n", 0, start) + 1
    if doc.source[line_start:start].strip():
        return _remove_from_braces(doc, path, start, end)
    siblings = [one for one in doc.keys if one[:-1] == path[:-1]]
    if len(siblings) < 2:
        return ()
    line_end = doc.source.find("\n", end)
    line_end = len(doc.source) if line_end < 0 else line_end
    rest = doc.source[end:line_end].strip()
    if not rest:
        return (Edit(line_start, min(line_end + 1, len(doc.source)), ""),)
    return (Edit(start, end, ""),) if rest.startswith("#") else ()


def _remove_from_braces(doc: Document, path: Path, start: int, end: int) -> tuple[Edit, ...]:
    """Take a key out of `{a: 1, b: 2}`, with the comma before it or, of the first, after it."""
    source = doc.source
    before = start
    while before and source[before - 1].isspace():
        before -= 1
    if before and source[before - 1] == ",":
        return (Edit(before - 1, end, ""),)
    after = end
    while after < len(source) and source[after].isspace():
        after += 1
    if before and source[before - 1] == "{" and source[after : after + 1] == ",":
        after += 1
        while after < len(source) and source[after] == " ":
            after += 1
        return (Edit(start, after, ""),)
    return ()


def _end(doc: Document, path: Path) -> int:
    """Return where the value at a path ends: of a list or a map, behind its last part."""
    inside: list[Position] = [
        at
        for of in (doc.values, doc.keys)
        for one, at in of.items()
        if one[: len(path)] == path and at.span is not None
    ]
    end = max((at.whole[1] for at in inside), default=doc.keys[path].whole[1])
    value = doc.values.get(path)
    if value is not None and value.span is None:
        # The braces of a flow collection close behind its last part.
        opening = doc.source[value.whole[0] : value.whole[0] + 1]
        closing = {"{": "}", "[": "]"}.get(opening)
        if closing is not None:
            end = doc.source.find(closing, max(end, value.whole[0])) + 1
    written = doc.source[doc.keys[path].whole[0] : end]
    return doc.keys[path].whole[0] + len(written.rstrip())


def apply(source: str, findings: Iterable[Finding]) -> tuple[str, Sequence[Finding]]:
    """Carry out the fixes of these findings.

    Returns:
        The new text, and the findings whose fixes are in it. A fix that touches what another one
        has touched is left for the next time.
    """
    taken: list[Edit] = []
    done: list[Finding] = []
    for finding in findings:
        edits = finding.fix.edits if finding.fix is not None else ()
        if not edits or any(_meet(one, other) for one in edits for other in taken):
            continue
        taken += edits
        done.append(finding)
    for edit in sorted(taken, key=_start, reverse=True):
        source = source[: edit.start] + edit.text + source[edit.end :]
    return source, done


def _meet(one: Edit, other: Edit) -> bool:
    return one.start <= other.end and other.start <= one.end


def _start(edit: Edit) -> int:
    return edit.start
