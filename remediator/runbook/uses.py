"""Documents that use each other: by name, all of them known, and none in a circle.

Called by `compile`. What a document says is not its concern; only its name and what it uses.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remediator.runbook import faults, manifests
from remediator.runbook.document import Document, Path
from remediator.runbook.findings import Finding, RunbookErrors, did_you_mean
from remediator.runbook.manifests import Home
from remediator.runbook.schema import FragmentSpec, spec_for


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """One document that says what it should.

    `text` is what it says: its own part of its file, or the whole file when nothing else is in it.
    `home` is where a resource of the cluster lives.
    """

    doc: Document
    spec: FragmentSpec
    text: str
    home: Home | None = None

    @property
    def name(self) -> str:
        """Its name, which no other has: of a resource with the namespace."""
        return str(self.home or self.spec.name)

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

    def find(self, name: str, user: Written) -> Written | None:
        """Return what a document means by a name: of its own namespace, else of the files."""
        if user.home is not None:
            own = self.by_name.get(str(Home(user.home.namespace, name)))
            if own is not None:
                return own
        return self.by_name.get(name)

    def specs_for(self, user: Written) -> dict[str, FragmentSpec]:
        """Return what a document uses, by the names that it has for them."""
        found = {name: self.find(name, user) for _, name in user.uses()}
        return {name: one.spec for name, one in found.items() if one is not None}

    def used_by(self, one: Written) -> tuple[Written, ...]:
        """Return all that it uses, each once, in the order in which they come up.

        Unknown names are left out, and circles are followed once.
        """
        found: dict[Written, None] = {}

        def follow(document: Written) -> None:
            for _, name in document.uses():
                used = self.find(name, document)
                if used is not None and used is not one and used not in found:
                    found[used] = None
                    follow(used)

        follow(one)
        return tuple(found)


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
        try:
            one = _read(doc, _own_text(doc) if several[doc.file] > 1 else doc.source)
        except RunbookErrors as error:
            findings += error.findings
            broken.add(name_of(doc))
            continue
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


def _read(doc: Document, text: str) -> Written:
    home = None
    if manifests.is_manifest(doc.value):
        doc, home = manifests.spec_of(doc)
    model, what = spec_for(doc.value)
    return Written(doc, faults.validated(doc, model, what), text, home)


def name_of(doc: Document) -> str:
    """Return what a document is called, as far as it says so: of a resource without namespace."""
    if not isinstance(doc.value, dict):
        return ""
    inner = doc.value.get("metadata") if manifests.is_manifest(doc.value) else doc.value
    return str(inner.get("name", "")) if isinstance(inner, dict) else ""


def wanted(first: Sequence[Document], others: Iterable[Document]) -> list[Document]:
    """Return those of the others that these may use, directly or not, by their names alone."""
    there: dict[str, list[Document]] = {}
    for one in others:
        there.setdefault(name_of(one), []).append(one)
    found: list[Document] = []
    left = [one.value for one in first]
    while left:
        for name in _names_used(left.pop()):
            for one in there.pop(name, ()):
                found.append(one)
                left.append(one.value)
    return found


def _names_used(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("use"), str):
            yield value["use"]
        for inner in value.values():
            yield from _names_used(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names_used(inner)


def _own_text(doc: Document) -> str:
    lines = doc.source.splitlines(keepends=True)
    return "".join(lines[doc.first_line - 1 : doc.last_line])


def _unknown(one: Written, shelf: Shelf) -> Iterator[Finding]:
    for path, name in one.uses():
        if shelf.find(name, one) is None and name not in shelf.broken and shelf.whole:
            hint = did_you_mean(name, shelf.by_name) or "it must be in one of the loaded files"
            text = f'nothing that is loaded is called "{name}"'
            yield one.doc.finding(path, "unknown-use", text, hint)


def _circles(one: Written, shelf: Shelf) -> Iterator[Finding]:
    """Find the uses by which a document comes back to itself."""
    for path, name in one.uses():
        way = _way(shelf.find(name, one), one, shelf)
        if way is not None:
            text = f"it would stand in itself: {' → '.join(each.name for each in (one, *way))}"
            yield one.doc.finding(path, "cyclic-use", text)


def _way(start: Written | None, goal: Written, shelf: Shelf) -> Sequence[Written] | None:
    """Return the documents from `start` to `goal` by which they use each other."""
    ways: list[tuple[Written, ...]] = [(start,)] if start is not None else []
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] is goal:
            return way
        for _, name in way[-1].uses():
            used = shelf.find(name, way[-1])
            if used is not None and used not in seen:
                seen.add(used)
                ways.append((*way, used))
    return None


def together(one: Written, used: Sequence[Written]) -> str:
    """Return a text that holds a document and all that it uses, and needs no other."""
    texts = [one.text if one.text.endswith("\n") else f"{one.text}\n"]
    texts += [f"{_own_text(each.doc).rstrip()}\n" for each in used]
    return "---\n".join(texts) if used else one.text
