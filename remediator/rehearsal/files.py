"""Test files on disk: find those for a set of paths, and read one with all that it names.

Every fault has file, line and column, and the nearest right name. Runs nothing. Called by
`suite`, and by whoever checks test files without running them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediator.model.policy import Policy
from remediator.plugin.registry import Registry
from remediator.plugin.source import Rejected
from remediator.rehearsal.schema import Event, Expectation, TestCase, TestFile
from remediator.runbook import document, faults, policy_file, store, uses
from remediator.runbook.compile import compile_documents
from remediator.runbook.document import Document
from remediator.runbook.findings import Finding, RunbookErrors, Severity, did_you_mean
from remediator.runbook.runbook import Runbook
from remediator.simulated import files as world_files
from remediator.simulated.spec import WorldChange, WorldSpec

ENDINGS = (".test.yaml", ".test.yml")
# A storm of 20,000 alerts is 20 MiB; a recorded notification is some kilobytes.
_LARGEST_NOTIFICATION = 20 * 2**20


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One test file with all that it names, ready to be played."""

    path: Path
    doc: Document
    spec: TestFile
    runbooks: tuple[Runbook, ...]
    policy: Policy
    cases: tuple["Case", ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One test with its world whole, and the bodies of recorded notifications by entry."""

    number: int
    spec: TestCase
    world: WorldSpec
    policy: Policy
    changes: Mapping[int, WorldChange]
    bodies: Mapping[int, Mapping[str, Any]]


def is_test(path: Path) -> bool:
    """Whether a file is called as tests are: NAME.test.yaml."""
    return path.name.endswith(ENDINGS)


def tested_by(runbook: Path) -> Path | None:
    """Return the test file beside a runbook's file, if there is one."""
    stem = runbook.name.removesuffix(".yaml").removesuffix(".yml")
    beside = (runbook.with_name(f"{stem}{ending}") for ending in ENDINGS)
    return next((path for path in beside if path.is_file()), None)


def find(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the test files and the runbook files that are meant by these paths, in a stable order.

    A folder stands for all in it, a test file for itself, a runbook's file for itself and its test.
    """
    tests: dict[Path, None] = {}
    runbooks: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for ending in ENDINGS for p in path.rglob(f"*{ending}"))
            found = [p for p in inside if not _hidden(p.relative_to(path))]
            tests.update(dict.fromkeys(found))
            runbooks.update(dict.fromkeys(store.files([path])))
        elif is_test(path):
            tests[path] = None
        else:
            runbooks[path] = None
            beside = tested_by(path)
            if beside is not None:
                tests[beside] = None
    return list(tests), list(runbooks)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


class Nearby:
    """The documents that runbooks under test may use, read once for many tests.

    Args:
        folders: where they are looked for, beside a test's own folder.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = tuple(folder for folder in folders if folder.is_dir())
        self._read: dict[Path, Sequence[Document]] = {}

    def documents(self, beside: Path) -> Iterator[Document]:
        """Yield every document that can be read in these folders and the one of a test."""
        for folder in dict.fromkeys((beside, *self._folders)):
            if folder not in self._read:
                self._read[folder], _ = store.read_folder([folder])
            yield from self._read[folder]


def load(path: Path, registry: Registry, nearby: Nearby | None = None) -> Rehearsal:
    """Read a test file, its runbooks, its policy, its worlds and its notifications.

    Args:
        nearby: where the fragments and runbooks are that its runbooks use; None: in the test's
            folder alone.

    Raises:
        RunbookErrors: with every fault that was found.
    """
    doc, spec = _read(path)
    runbooks = _runbooks(path, doc, spec, registry, nearby or Nearby())
    policy = _policy(path, doc, spec)
    gathered = _Faults(doc)
    gathered += _people(doc, spec, runbooks)
    with gathered:
        base = _world(path, doc, spec.world, ("world",))
    cases = []
    for number, test in enumerate(spec.tests):
        where: document.Path = ("tests", number)
        changes: dict[int, WorldChange] = {}
        bodies: dict[int, Mapping[str, Any]] = {}
        world = WorldSpec()
        with gathered:
            world = _world(path, doc, test.world, (*where, "world"))
        for entry, event in enumerate(test.timeline):
            at = (*where, "timeline", entry)
            with gathered:
                if event.world is not None:
                    changes[entry] = _world(path, doc, event.world, (*at, "world"))
                if event.notification is not None:
                    bodies[entry] = _body(path, doc, event, (*at, "notification"), registry)
            gathered += _names(doc, event, at, runbooks)
        for entry, expected in enumerate(test.expect):
            gathered += _expected(doc, expected, (*where, "expect", entry), runbooks)
        if not gathered.found:
            cases.append(
                Case(number, test, world.over(base), test.policy or policy, changes, bodies)
            )
    if gathered.found:
        raise RunbookErrors(gathered.found)
    return Rehearsal(path, doc, spec, runbooks, policy, tuple(cases))


class _Faults:
    """Gathers the faults of several parts, so that all are told at once."""

    def __init__(self, doc: Document) -> None:
        self.found: list[Finding] = []

    def __iadd__(self, more: Iterable[Finding]) -> "_Faults":
        self.found += more
        return self

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if not isinstance(error, RunbookErrors):
            return False
        self.found += error.findings
        return True


def _read(path: Path) -> tuple[Document, TestFile]:
    file = str(path)
    try:
        source = document.text_of(path)
    except document.Unreadable as error:
        text = f"the test cannot be read: {error}"
        raise RunbookErrors([_fault(file, "unreadable", text)]) from None
    documents = document.parse(source, file)
    if len(documents) != 1:
        text = f"{len(documents)} documents where one runbook test is expected"
        raise RunbookErrors([_fault(file, "count", text)])
    spec = faults.validated(documents[0], TestFile, "a runbook test", folder=path.parent)
    return documents[0], spec


def runbook_files(path: Path, spec: TestFile) -> list[Path]:
    """Return the files of the runbooks that a test file is about."""
    if spec.runbooks is not None:
        return [path.parent / name for name in spec.runbooks]
    stem = next(path.name.removesuffix(end) for end in ENDINGS if path.name.endswith(end))
    beside = [path.with_name(f"{stem}{ending}") for ending in (".yaml", ".yml")]
    return [next((one for one in beside if one.is_file()), beside[0])]


def _runbooks(
    path: Path, doc: Document, spec: TestFile, registry: Registry, nearby: Nearby
) -> tuple[Runbook, ...]:
    found: list[Finding] = []
    named = runbook_files(path, spec)
    for number, file in enumerate(named):
        if not file.is_file():
            text = f"there is no runbook file {file.name} beside this test"
            near = did_you_mean(file.name, (one.name for one in store.files([path.parent])))
            hint = near or "name the runbooks' files: runbooks: [NAME.yaml]"
            found.append(doc.finding(("runbooks", number), "missing", text, hint))
    if found:
        raise RunbookErrors(found)
    documents, found = store.read_folder(named)
    if found:
        raise RunbookErrors(found)
    others: list[Document] = []
    if any("use" in one.source for one in documents):
        known = {one.file for one in documents}
        beside = (one for one in nearby.documents(path.parent) if one.file not in known)
        others = uses.wanted(documents, beside)
    compiled = compile_documents([*documents, *others], registry).runbooks
    own = {one.file for one in documents}
    return tuple(one for one in compiled if one.file in own)  # the used ones are not in force


def _policy(path: Path, doc: Document, spec: TestFile) -> Policy:
    if spec.policy_file is None:
        return spec.policy or Policy.model_validate({"mode": "auto"})
    file = path.parent / spec.policy_file
    if not file.is_file():
        text = f"there is no policy file {spec.policy_file} in {path.parent}"
        raise RunbookErrors([doc.finding(("policy_file",), "missing", text)])
    return policy_file.load(file).policy


def _world(path: Path, doc: Document, spec: Any, where: document.Path) -> Any:
    place = doc.finding((*where, "files"), "missing", "")
    return world_files.resolved(spec, path.parent, place)


def _body(
    path: Path, doc: Document, event: Event, where: document.Path, registry: Registry
) -> Mapping[str, Any]:
    """Return the body of a recorded notification, once it is known to be one."""
    body: Any = event.notification
    name = "the notification"
    if isinstance(body, str):
        name, file = body, path.parent / body
        try:
            raw = file.read_bytes()[: _LARGEST_NOTIFICATION + 1]
            if len(raw) > _LARGEST_NOTIFICATION:
                raise ValueError("larger than 20 MiB")
            body = json.loads(raw)
        except OSError as error:
            text = f"{name} cannot be read: {error.strerror}"
            raise RunbookErrors([doc.finding(where, "missing", text)]) from None
        except (ValueError, RecursionError) as error:
            text = f"{name} is no JSON document: {error}"
            raise RunbookErrors([doc.finding(where, "notification", text)]) from None
    try:
        registry.sources["alertmanager"].parse(json.dumps(body).encode())
    except (Rejected, TypeError, ValueError) as error:
        text = f"{name} is no notification: {error}"
        raise RunbookErrors([doc.finding(where, "notification", text)]) from None
    return dict(body)


# ------------------------------------------------------------------------- names that must exist


def _names(
    doc: Document, event: Event, at: document.Path, runbooks: Sequence[Runbook]
) -> Iterator[Finding]:
    names = [one.name for one in runbooks]
    word = getattr(event, event.what)
    named = getattr(word, "runbook", None) or getattr(word, "run", None)
    key = "runbook" if hasattr(word, "runbook") else "run"
    if isinstance(named, str) and named not in names:
        yield _unknown(doc, (*at, event.what, key), "runbook", named, names)


def _expected(
    doc: Document, expected: Expectation, at: document.Path, runbooks: Sequence[Runbook]
) -> Iterator[Finding]:
    by_name = {one.name: one for one in runbooks}
    for number, run in enumerate(expected.runs or ()):
        where = (*at, "runs", number)
        if run.runbook is not None and run.runbook not in by_name:
            yield _unknown(doc, (*where, "runbook"), "runbook", run.runbook, by_name)
            continue
        among = [by_name[run.runbook]] if run.runbook else list(runbooks)
        steps = [step.id for one in among for step in one.steps]
        for step in run.steps or ():
            if step not in steps:
                yield _unknown(doc, (*where, "steps", step), "step", step, steps, key=True)


def _unknown(
    doc: Document,
    where: document.Path,
    what: str,
    name: str,
    known: Iterable[str],
    *,
    key: bool = False,
) -> Finding:
    known = list(known)
    hint = did_you_mean(name, known) or f"there are {', '.join(known[:10]) or 'none'}"
    return doc.finding(where, f"unknown-{what}", f'there is no {what} "{name}"', hint, key=key)


def _people(doc: Document, spec: TestFile, runbooks: Sequence[Runbook]) -> Iterator[Finding]:
    """Yield the approvers that a runbook names and the test's groups do not know."""
    if spec.groups is None:
        return
    known = {*spec.groups, *(name for members in spec.groups.values() for name in members)}
    for runbook in runbooks:
        for name in runbook.approval.approvers:
            if name not in known and ":" not in name:
                text = f'{runbook.name} asks "{name}", whom groups do not know'
                yield doc.finding(
                    ("groups",), "unknown-approver", text, did_you_mean(name, known), key=True
                )


def _fault(file: str, code: str, text: str) -> Finding:
    return Finding(file, 1, 1, Severity.ERROR, code, text)
