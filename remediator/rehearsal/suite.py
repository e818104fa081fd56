"""Run the tests of many files, and put together what came of them.

Owns the order, the choice by name, and the sum. Says what happened through a callback as it
happens; `report` and `junit` show the rest. Called by `remediator test` and by our own suite.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from remediator.plugin.registry import Registry
from remediator.rehearsal import coverage, files
from remediator.rehearsal.coverage import Coverage
from remediator.rehearsal.files import Case, Rehearsal
from remediator.rehearsal.play import Played, play
from remediator.rehearsal.watching import Marks
from remediator.runbook import manifests, store, uses
from remediator.runbook.compile import compile_each
from remediator.runbook.document import Document
from remediator.runbook.findings import Finding, RunbookErrors
from remediator.runbook.runbook import Runbook


@dataclass(slots=True)
class FileResult:
    """What came of one test file: its faults, or what came of its tests."""

    path: Path
    findings: Sequence[Finding] = ()
    played: list[Played] = field(default_factory=list)
    left_out: int = 0
    """Tests that the choice by name left out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of everything.

    Args:
        untested: files of runbooks that no test is about.
        findings: faults of runbooks that no test has loaded.
    """

    files: tuple[FileResult, ...]
    untested: tuple[Path, ...]
    coverage: tuple[Coverage, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def played(self) -> Iterator[Played]:
        """Every test that was played, in order."""
        return (one for file in self.files for one in file.played)

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(one.passed for one in self.played)

    @property
    def failed(self) -> int:
        """How many did not."""
        return sum(not one.passed for one in self.played)

    @property
    def broken(self) -> int:
        """How many files could not be read."""
        return sum(bool(one.findings) for one in self.files)

    @property
    def well(self) -> bool:
        """Whether nothing went wrong, and something was played."""
        return not self.failed and not self.broken and not self.findings and self.passed > 0


Said = Callable[[FileResult, Played | None], None]
"""Called with each test that was played, and with None when its file is done."""


def run(
    paths: Sequence[Path],
    registry: Registry,
    *,
    chosen: Sequence[str] = (),
    say: Said = lambda file, played: None,
) -> Outcome:
    """Play the tests that are meant by these paths.

    Args:
        paths: folders, runbooks and test files.
        registry: the actions that runbooks may use.
        chosen: only tests whose file or name contains one of these; empty: all.
        say: told of each as it is done.
    """
    tests, runbook_files = files.find(paths)
    nearby = files.Nearby(paths)
    results: list[FileResult] = []
    marks: dict[str, Marks] = {}
    counts: dict[str, int] = {}
    known: dict[str, Runbook] = {}
    about: set[Path] = set()
    for path in tests:
        result = FileResult(path)
        results.append(result)
        try:
            rehearsal = files.load(path, registry, nearby)
        except RunbookErrors as error:
            result.findings = error.findings
            about.update(_about(path))
            say(result, None)
            continue
        about.update(Path(one.file).resolve() for one in rehearsal.runbooks)
        known.update((one.name, one) for one in rehearsal.runbooks)
        for case in rehearsal.cases:
            if not _chosen(rehearsal, case, chosen):
                result.left_out += 1
                continue
            played = play(rehearsal, case, registry)
            result.played.append(played)
            for name, seen in played.watched.marks.items():
                marks.setdefault(name, Marks()).add(seen)
                counts[name] = counts.get(name, 0) + 1
            say(result, played)
        say(result, None)
    untested = [path for path in runbook_files if path.resolve() not in about]
    others, findings = _load(untested, registry, nearby, paths)
    known.update((one.name, one) for one in others)
    untested = [path for path in untested if any(Path(o.file) == path for o in others)]
    asked = {path.resolve() for path in runbook_files}
    meant = [one for one in known.values() if not asked or Path(one.file).resolve() in asked]
    return Outcome(
        tuple(results),
        tuple(untested),
        coverage.covered(meant, marks, counts),
        tuple(findings),
    )


def _about(path: Path) -> Iterator[Path]:
    """Return the runbooks that a test file with faults is about, as far as it can be told."""
    stem = next(path.name.removesuffix(end) for end in files.ENDINGS if path.name.endswith(end))
    return (path.with_name(f"{stem}{ending}").resolve() for ending in (".yaml", ".yml"))


def _load(
    paths: Sequence[Path], registry: Registry, nearby: files.Nearby, given: Sequence[Path]
) -> tuple[Sequence[Runbook], Sequence[Finding]]:
    """Return the runbooks of files that no test is about, for their coverage.

    A folder may hold anything beside runbooks: what does not look like one is passed over, unless
    it was given by its name.
    """
    documents: list[Document] = []
    findings: list[Finding] = []
    for path in paths:
        read, unread = store.read_folder([path])
        if path in given or any(_looks_like_one(one) for one in read):
            documents += read
            findings += unread
    if not documents:
        return (), findings
    known = {one.file for one in documents}
    near = (one for path in paths for one in nearby.documents(path.parent))
    others = uses.wanted(documents, (one for one in near if one.file not in known))
    found, faults = compile_each([*documents, *others], registry, whole=not findings)
    return [one for one in found.runbooks if one.file in known], [*findings, *faults]


def _looks_like_one(doc: Document) -> bool:
    value = doc.value
    if manifests.is_manifest(value):
        return bool(value.get("kind") == "Runbook")
    return isinstance(value, dict) and "steps" in value


def _chosen(rehearsal: Rehearsal, case: Case, words: Sequence[str]) -> bool:
    name = f"{rehearsal.path}::{case.spec.name}".lower()
    return not words or any(word.lower() in name for word in words)
