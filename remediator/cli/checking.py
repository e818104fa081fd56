"""The work of `remediator check`: read the files, sort them by what they are, gather the findings.

`check` reads the arguments and shows what was found. Each file is read and parsed once; what can't
be used keeps nothing else from being looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remediator.plugin.registry import Registry
    from remediator.runbook.document import Document
    from remediator.runbook.findings import Finding
    from remediator.runbook.lint import Subject
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
    subjects = _compiled(files.runbooks, registry, findings)
    runbooks = [subject.runbook for subject in subjects]
    for looked in settings:
        findings += looked.people(runbooks)
    rules, faults = check_labels.of_rules([*wanted.rules, *(one.path for one in files.rules)])
    findings += faults
    carried = lint.Carried(check_labels.of_incidents(wanted.journal, settings), rules)
    # Of several nobody can say which will hold.
    policy = policies[0] if len(policies) == 1 else None
    findings += lint.lint(subjects, lint.Surroundings(policy, carried))
    findings += _modelines(subjects)
    said: list[ignores.Ignore] = []
    for one in (*files.runbooks, *files.configs, *files.policies):
        comments, wrong = ignores.read(one.documents, catalogue.codes())
        said += comments
        findings += wrong
    left, silenced = ignores.apply(list(dict.fromkeys(findings)), said)
    return Checked(files.count, len(runbooks), left, silenced)


# ------------------------------------------------------------------------------------ files


def _sorted(wanted: Wanted, findings: list["Finding"]) -> _Files:
    """Read every file, and tell what is what; what can't be read is a finding."""
    from remediator.runbook import store  # noqa: PLC0415 - imports CEL

    found = _Files()
    configs = {path.resolve() for path in wanted.configs}
    for path in wanted.configs:
        found.count += 1
        one = _read(path, [])  # the settings' own reader says what is wrong
        found.configs.append(one or _File(path, "", ()))
    for path in wanted.paths:
        if path.resolve() in configs:
            continue
        given = list(store.files([path]))
        if not given:
            findings.append(_nothing(path))
        for file in given:
            if file.resolve() in configs:
                continue
            one = _read(file, findings)
            if one is None:
                found.count += 1
                continue
            where = _kind(one, found)
            if where is not None:
                where.append(one)
                found.count += 1
    return found


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


def _compiled(
    files: Sequence[_File], registry: "Registry", findings: list["Finding"]
) -> list["Subject"]:
    """Compile every runbook; returns those that load, each with its document."""
    from remediator.runbook import compile as compiler  # noqa: PLC0415 - imports CEL
    from remediator.runbook import confinement, manifests, policy_resource  # noqa: PLC0415
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415
    from remediator.runbook.lint import Subject  # noqa: PLC0415

    found: list[Subject] = []
    runbooks = []
    for doc in (doc for one in files for doc in one.documents):
        if not (manifests.is_manifest(doc.value) and doc.value.get("kind") == manifests.POLICY):
            runbooks.append(doc)
            continue
        try:
            policy_resource.rules_in(doc)
        except RunbookErrors as error:
            findings += error.findings
    compiled, faults = compiler.compile_each(runbooks, registry)
    findings += faults
    at = {(doc.file, doc.first_line): doc for doc in runbooks}
    for runbook in compiled.runbooks:
        doc = at[runbook.file, runbook.line]
        if manifests.is_manifest(doc.value):
            doc = manifests.spec_of(doc)[0]
        try:
            found.append(Subject(confinement.kept_home(runbook), doc))
        except RunbookErrors as error:
            findings += error.findings
    return found


def _modelines(subjects: Sequence["Subject"]) -> Iterator["Finding"]:
    from remediator.runbook.lint import spelling  # noqa: PLC0415 - keeps --help quick

    docs = {subject.doc.file: subject.doc for subject in reversed(subjects)}
    for file, doc in docs.items():
        yield from spelling.no_modeline(doc, spelling.schema_for(Path(file)))
