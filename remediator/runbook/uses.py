"""Documents that use each other: by name, all of them known, and none in a circle.

Called by `compile`. What a document says is not its concern; only its name and what it uses.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from remediator.runbook import faults
from remediator.runbook.document import Document, Path
from remediator.runbook.findings import Finding, RunbookErrors, did_you_mean
from remediator.runbook.schema import FragmentSpec, spec_for


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """One document that says what it should. `text` is its own part of its file."""

    doc: Document
    spec: FragmentSpec
    text: str

    @property
    def name(self) -> str:
        """The name by which others use it."""
        return self.spec.name

    def uses(self) -> Iterator[tuple[Path, str]]:
        """Yield each name that it uses, and where that is written."""
        for number, step in enumerate(self.spec.steps):
            path: Path = ("steps", number)
            if step.use is not None:
                yield (*path, "use"), step.use
            for inner, member in enumerate(step.steps or ()):
                if member.use is not None:
                    yield (*path, "steps", inner, "use"), member.use


@dataclass(frozen=True, slots=True)
class Shelf:
    """All documents of a set, by name."""

    written: Sequence[Written]
    by_name: Mapping[str, Written]
    broken: frozenset[str] = frozenset()
    """Names of documents that have faults of their own, which are told already."""
    whole: bool = True
    """Whether every file of the set could be read; else a name may stand in one that can't."""
    findings: Sequence[Finding] = field(default_factory=list)

    def used_by(self, one: Written) -> tuple[Written, ...]:
        """Return all that it uses, each once, in the order in which they come up.

        Unknown names are left out, and circles are followed once.
        """
        found: dict[str, Written] = {}

        def follow(document: Written) -> None:
            for _, name in document.uses():
                used = self.by_name.get(name)
                if used is not None and used is not one and name not in found:
                    found[name] = used
                    follow(used)

        follow(one)
        return tuple(found.values())


def shelve(documents: Iterable[Document], *, whole: bool = True) -> Shelf:
    """Put documents where they find each other.

    Args:
        whole: whether these are all there are; else an unknown name is no fault.
    """
    documents = tuple(documents)
    several = Counter(one.file for one in documents)
    findings: list[Finding] = []
    written: list[Written] = []
    by_name: dict[str, Written] = {}
    broken: set[str] = set()
    for doc in documents:
        model, what = spec_for(doc.value)
        try:
            spec = faults.validated(doc, model, what)
        except RunbookErrors as error:
            findings += error.findings
            if isinstance(doc.value, dict):
                broken.add(str(doc.value.get("name")))
            continue
        one = Written(doc, spec, _own_text(doc) if several[doc.file] > 1 else doc.source)
        written.append(one)
        other = by_name.setdefault(one.name, one)
        if other is not one:
            text = f'the name "{one.name}" is taken by {other.doc.file}:{other.doc.first_line}'
            findings.append(doc.finding((), "duplicate-name", text))
    shelf = Shelf(written, by_name, frozenset(broken), whole, findings)
    for one in written:
        findings += _unknown(one, shelf)
        findings += _circles(one, shelf)
    return shelf


def _own_text(doc: Document) -> str:
    lines = doc.source.splitlines(keepends=True)
    return "".join(lines[doc.first_line - 1 : doc.last_line])


def _unknown(one: Written, shelf: Shelf) -> Iterator[Finding]:
    for path, name in one.uses():
        if name not in shelf.by_name and name not in shelf.broken and shelf.whole:
            hint = did_you_mean(name, shelf.by_name) or "it must be in one of the loaded files"
            text = f'nothing that is loaded is called "{name}"'
            yield one.doc.finding(path, "unknown-use", text, hint)


def _circles(one: Written, shelf: Shelf) -> Iterator[Finding]:
    """Find the uses by which a document comes back to itself."""
    for path, name in one.uses():
        way = _way(name, one.name, shelf)
        if way is not None:
            text = f"it would stand in itself: {' → '.join((one.name, *way))}"
            yield one.doc.finding(path, "cyclic-use", text)


def _way(start: str, goal: str, shelf: Shelf) -> Sequence[str] | None:
    """Return the names from `start` to `goal` by which documents use each other."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == goal:
            return way
        used = shelf.by_name.get(way[-1])
        for _, name in used.uses() if used is not None else ():
            if name not in seen:
                seen.add(name)
                ways.append((*way, name))
    return None


def together(one: Written, used: Sequence[Written]) -> str:
    """Return a text that holds a document and all that it uses, and needs no other."""
    texts = [one.text if one.text.endswith("\n") else f"{one.text}\n"]
    texts += [f"{each.text.rstrip()}\n" for each in used]
    return "---\n".join(texts) if used else one.text
