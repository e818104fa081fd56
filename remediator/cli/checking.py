"""The work of `remediator check`: read the files, sort them by what they are, gather the findings.

`check` reads the arguments and shows what was found. Each file is read and parsed once; what can't
be used keeps nothing else from being looked at.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remediator.plugin.registry import Registry
    from remediator.runbook.document import Document
    from remediator.runbook.findings import Finding
    from remediator.runbook.lint import Part, Subject
    from remediator.runbook.lint.ignores import Silenced
    from remediator.runbook.policy_file import PolicySource


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be looked at.

    Args:
        paths: files and folders.
        configs: files that are settings, whatever they look like.
        rules: rule files of Prometheus.
        journal: a journal's URL; empty: the one of the settings, where it is a file that is there.
    """

    paths: Sequence[Path] = ()
    configs: Sequence[Path] = ()
    rules: Sequence[Path] = ()
    journal: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and what was found.

    Args:
        files: how many.
        runbooks: how many of those that load.
        silenced: findings that a comment in the file silences.
    """

    files: int
    runbooks: int
    findings: Sequence["Finding"]
    silenced: Sequence["Silenced"] = ()


@dataclass
class _Files:
    """The files by what they are."""

    runbooks: list["_File"] = field(default_factory=list)
    configs: list["_File"] = field(default_factory=list)
    policies: list["_File"] = field(default_factory=list)
    rules: list["_File"] = field(default_factory=list)
    count: int = 0
    whole: bool = True
    """Whether all could be read; else what one uses may stand in one that can't."""
    tests: list[Path] = field(default_factory=list)
    named: list[Path] = field(default_factory=list)
    """Files that were named one by one."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    source: str
    documents: Sequence["Document"]

    @property
    def first(self) -> Any:
        """The first document's value."""
        return self.documents[0].value if self.documents else None


def check(wanted: Wanted, registry: "Registry") -> Checked:
    """Look at everything; returns what was found, in the order of files and lines."""
    from remediator.cli import check_labels, check_settings  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook import lint  # noqa: PLC0415 - imports CEL
    from remediator.runbook.lint import catalogue, ignores  # noqa: PLC0415

    findings: list[Finding] = []
    files = _sorted(wanted, findings)
    settings = [check_settings.Looked.at(one.path, registry) for one in files.configs]
    for looked in settings:
        findings += looked.findings
    policies = _policies(files, settings, findings)
    known = [looked.settings for looked in settings if looked.settings is not None]
    unconfined = {name for one in known for name in one.resources.unconfined}
    loaded = _compiled(files, registry, findings, unconfined)
    subjects = loaded.subjects
    runbooks = [subject.runbook for subject in subjects]
    for looked in settings:
        findings += looked.people(runbooks)
    rules, faults = check_labels.of_rules([*wanted.rules, *(one.path for one in files.rules)])
    findings += faults
    carried = lint.Carried(check_labels.of_incidents(wanted.journal, settings), rules)
    # Of several nobody can say which will hold.
    policy = policies[0] if len(policies) == 1 else None
    findings += lint.lint(subjects, lint.Surroundings(policy, carried), loaded.fragments)
    findings += _modelines([*subjects, *loaded.fragments])
    findings += _tests(files, registry)
    said: list[ignores.Ignore] = []
    for one in (*files.runbooks, *files.configs, *files.policies):
        comments, wrong = ignores.read(one.documents, catalogue.codes())
        said += comments
        findings += wrong
    beside: list[ignores.Ignore] = []
    for one in loaded.beside:
        beside += ignores.read(one.documents, catalogue.codes())[0]
    left, silenced = ignores.apply(list(dict.fromkeys(findings)), said, beside)
    return Checked(files.count, len(runbooks), left, silenced)


# ------------------------------------------------------------------------------------ files


def _sorted(wanted: Wanted, findings: list["Finding"]) -> _Files:
    """Read every file, and tell what is what; what can't be read is a finding."""
    from remediator.rehearsal import files as rehearsed  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook import store  # noqa: PLC0415

    found = _Files()
    configs = {path.resolve() for path in wanted.configs}
    seen: set[Path] = set()
    for path in wanted.configs:
        found.count += 1
        one = _read(path, [])  # the settings' own reader says what is wrong
        found.configs.append(one or _File(path, "", ()))
    for path in wanted.paths:
        if path.resolve() in configs:
            continue
        given = list(store.files([path]))
        if path.is_file():
            found.named.append(path)
        tests, _ = rehearsed.find([path])
        new = [test for test in tests if _place(test) not in seen]
        seen.update(_place(test) for test in new)
        found.tests += new
        found.count += len(new)
        if not given and not tests:
            findings.append(_nothing(path))
        for file in given:
            if file.resolve() in configs or (where := _place(file)) in seen:
                continue
            seen.add(where)
            one = _read(file, findings)
            if one is None:
                found.count += 1
                found.whole = False
                continue
            kind = _kind(one, found)
            if kind is not None:
                kind.append(one)
                found.count += 1
    return found


def _place(file: Path) -> Path:
    """Return what is the same for each way to write one file; a link is a file of its own."""
    return file.parent.resolve() / file.name


def _read(path: Path, findings: list["Finding"]) -> _File | None:
    from remediator.runbook import document  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import Finding, RunbookErrors, Severity  # noqa: PLC0415

    try:
        source = document.text_of(path)
        return _File(path, source, document.parse(source, str(path)))
    except document.Unreadable as error:
        text = f"cannot be read: {error}"
        findings.append(Finding(str(path), 1, 1, Severity.ERROR, "unreadable", text))
    except RunbookErrors as error:
        findings += error.findings
    return None


def _kind(one: _File, files: _Files) -> list[_File] | None:
    """Return among which files one belongs; None for what is not ours, as a folder may hold."""
    from remediator.runbook import policy_file  # noqa: PLC0415 - keeps --help quick
    from remediator.settings import Settings  # noqa: PLC0415

    value = one.first
    if not isinstance(value, dict) or "steps" in value or "match" in value:
        return files.runbooks
    if "apiVersion" in value and "kind" in value:
        ours = str(value["apiVersion"]).startswith("remediator.")
        if value["kind"] == "PrometheusRule":
            return files.rules
        return files.runbooks if ours else None
    if isinstance(value.get("groups"), list):
        return files.rules
    if value.keys() & Settings.model_fields.keys():
        return files.configs
    return files.policies if policy_file.is_policy(value) else files.runbooks


def _nothing(path: Path) -> "Finding":
    from remediator.runbook.findings import Finding, Severity  # noqa: PLC0415

    text = "holds no .yaml or .yml file" if path.is_dir() else "is no .yaml or .yml file"
    return Finding(str(path), 1, 1, Severity.ERROR, "nothing-to-check", text)


# ---------------------------------------------------------------------------------- contents


def _policies(
    files: _Files, settings: Sequence[Any], findings: list["Finding"]
) -> list["PolicySource"]:
    """Check every policy; returns the good ones, the one of the settings first."""
    from remediator.runbook import policy_file  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415

    good: list[PolicySource] = []
    seen: set[Path] = set()
    for looked in settings:
        if looked.policy is not None:
            good.append(looked.policy)
        if looked.policy_file is not None:
            seen.add(looked.policy_file.resolve())
    for one in files.policies:
        if one.path.resolve() in seen:
            continue
        try:
            good.append(policy_file.load(one.path))
        except RunbookErrors as error:
            findings += error.findings
    return good


@dataclass
class _Loaded:
    """What loads of the runbooks' files, each with its document."""

    subjects: list["Subject"] = field(default_factory=list)
    fragments: list["Part"] = field(default_factory=list)
    beside: list[_File] = field(default_factory=list)
    """Files that nobody named, of which something is used."""


def _compiled(
    files: _Files,
    registry: "Registry",
    findings: list["Finding"],
    unconfined: Collection[str],
) -> _Loaded:
    """Compile every document; what has a fault is left out, and the fault told.

    Args:
        unconfined: namespaces whose runbooks may act elsewhere.
    """
    from remediator.runbook import (  # noqa: PLC0415 - imports CEL
        compile as compiler,
    )
    from remediator.runbook import (  # noqa: PLC0415 - likewise
        confinement,
        manifests,
        policy_resource,
    )
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415
    from remediator.runbook.lint import Part, Subject  # noqa: PLC0415

    documents: list[Document] = []
    for doc in (doc for one in files.runbooks for doc in one.documents):
        if not (manifests.is_manifest(doc.value) and doc.value.get("kind") == manifests.POLICY):
            documents.append(doc)
            continue
        try:
            policy_resource.rules_in(doc)
        except RunbookErrors as error:
            findings += error.findings
    beside, used = _used_elsewhere(files, documents)
    documents += used
    made, faults = compiler.compile_each(documents, registry, whole=files.whole)
    findings += faults
    at = {(doc.file, doc.first_line): doc for doc in documents}
    found = _Loaded(beside=beside)
    for runbook in made.runbooks:
        doc = at[(runbook.file, runbook.line)]
        if not runbook.namespace:
            found.subjects.append(Subject(runbook, doc))
            continue
        try:
            kept = runbook
            if runbook.namespace not in unconfined:
                kept = confinement.kept_home(runbook)
            found.subjects.append(Subject(kept, manifests.spec_of(doc)[0]))
        except RunbookErrors as error:
            findings += error.findings
    for fragment in made.fragments:
        doc = at[(fragment.file, fragment.line)]
        if manifests.is_manifest(doc.value):
            doc, _ = manifests.spec_of(doc)
        found.fragments.append(Part(fragment, doc))
    return found


def _used_elsewhere(
    files: _Files, documents: Sequence["Document"]
) -> tuple[list[_File], Sequence["Document"]]:
    """Return what runbooks that were named one by one use of the files beside them: the files, and
    the documents."""
    from remediator.runbook import store, uses  # noqa: PLC0415 - keeps --help quick

    given = {one.path.resolve() for one in files.runbooks}
    folders = {path.parent for path in files.named if any("use:" in d.source for d in documents)}
    beside: dict[Path, _File] = {}
    for file in (file for folder in sorted(folders) for file in store.files([folder])):
        if (where := file.resolve()) not in given and where not in beside:
            one = _read(file, [])
            if one is not None:
                beside[where] = one
    used = uses.wanted(documents, [doc for one in beside.values() for doc in one.documents])
    names = {doc.file for doc in used}
    return [one for one in beside.values() if str(one.path) in names], used


def _tests(files: _Files, registry: "Registry") -> Iterator["Finding"]:
    """Read the tests with all that they name; they are not run."""
    from remediator.rehearsal import files as rehearsed  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415

    nearby = rehearsed.Nearby(dict.fromkeys(path.parent for path in files.tests))
    for path in dict.fromkeys(files.tests):
        try:
            rehearsed.load(path, registry, nearby)
        except RunbookErrors as error:
            yield from error.findings


def _modelines(subjects: Sequence["Part"]) -> Iterator["Finding"]:
    from remediator.runbook.lint import spelling  # noqa: PLC0415 - keeps --help quick

    # A manifest has the schema of its custom resource; only those have a namespace in the name.
    docs = {one.doc.file: one.doc for one in reversed(subjects) if "/" not in one.name}
    for file, doc in docs.items():
        yield from spelling.no_modeline(doc, spelling.schema_for(Path(file)))
