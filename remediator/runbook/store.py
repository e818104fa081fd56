"""Runbooks on disk: load a folder whole or not at all, and notice when it changes."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from remediator.plugin.registry import Registry
from remediator.runbook import compile as compiler
from remediator.runbook import confinement, document, manifests, policy_resource
from remediator.runbook.document import Document
from remediator.runbook.findings import Finding, RunbookErrors, Severity
from remediator.runbook.runbook import RunbookSet

__all__ = ["Finding", "RunbookErrors", "RunbookSet", "Watcher", "load_folder", "read_folder"]

# Far beyond any team's; a folder that holds more is the wrong folder.
_MOST_FILES = 20_000
_ENDINGS = (".yaml", ".yml")


def load_folder(
    paths: Sequence[Path], registry: Registry, *, keep: bool = False, policies_too: bool = False
) -> RunbookSet:
    """Load every document of these folders and files; they may use each other across files.

    Args:
        keep: keep the documents, for others that want to use them; they are larger than what is
            made of them.
        policies_too: whether manifests of policies may stand there. They are checked, and hold
            nothing: for commands that look at what the cluster is to be given.

    Raises:
        RunbookErrors: with every fault of every file.
    """
    read, findings = read_folder(paths)
    documents = [one for one in read if not manifests.is_manifest(one.value, manifests.POLICY)]
    for one in read:
        if manifests.is_manifest(one.value, manifests.POLICY):
            findings += _of_policy(one, allowed=policies_too)
    try:
        found = compiler.compile_documents(documents, registry, whole=not findings)
    except RunbookErrors as error:
        findings += error.findings
    if findings:
        raise RunbookErrors(findings)
    return replace(
        found,
        runbooks=tuple(map(confinement.kept_home, found.runbooks)),
        documents=tuple(documents) if keep else (),
    )


def _of_policy(doc: Document, *, allowed: bool) -> Sequence[Finding]:
    if not allowed:
        text = f"a {manifests.POLICY} holds in the cluster only"
        hint = "kubectl apply it; the policy of the files is policy_file in the settings"
        return [doc.finding(("kind",), "structure", text, hint)]
    try:
        policy_resource.rules_in(doc)
    except RunbookErrors as error:
        return error.findings
    return []


def read_folder(paths: Sequence[Path]) -> tuple[list[Document], list[Finding]]:
    """Read every document of these folders and files, and what can't be read as YAML.

    What is plainly no runbook (`manifests.is_foreign`) is passed over.
    """
    findings: list[Finding] = [
        _fault(path, "missing", "there is no such file or folder")
        for path in paths
        if not path.exists()
    ]
    found: list[Document] = []
    for file in files(paths):
        try:
            read = document.parse(document.text_of(file), str(file))
            found += [one for one in read if not manifests.is_foreign(one.value)]
        except document.Unreadable as error:
            findings.append(_fault(file, "unreadable", f"cannot be read: {error}"))
        except RunbookErrors as error:
            findings += error.findings
    return found, findings


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the runbook files below these paths, in a stable order.

    Passes over tests beside them, hidden files, and the copies that a mounted ConfigMap keeps in
    folders that begin with two dots.
    """
    count = 0
    for path in paths:
        inside = sorted(_inside(path)) if path.is_dir() else [path]
        for file in inside:
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if hidden or not file.name.endswith(_ENDINGS) or not file.is_file():
                continue
            if file.name.endswith((".test.yaml", ".test.yml")):
                continue
            count += 1
            if count > _MOST_FILES:
                raise RunbookErrors([_fault(path, "too-many", f"more than {_MOST_FILES} files")])
            yield file


def _inside(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; links to folders are followed, as ConfigMaps make them."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()  # a link that leads back
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names)


class Watcher:
    """Says whether the files changed since it was last asked, by looking at them.

    Looking works everywhere (a mounted ConfigMap swaps a link, network file systems send no
    events) and costs one `stat` a file.
    """

    def __init__(
        self, paths: Sequence[Path], *, also: Callable[[], Sequence[Path]] = lambda: ()
    ) -> None:
        """Look at folders and files of runbooks, and at those that `also` names each time."""
        self._paths = tuple(paths)
        self._also = also
        self._seen = self._look()

    def changed(self) -> bool:
        """Return whether anything changed since the last call (or the beginning)."""
        now = self._look()
        changed, self._seen = now != self._seen, now
        return changed

    def _look(self) -> dict[str, tuple[int, int, int]]:
        seen: dict[str, tuple[int, int, int]] = {}
        try:
            found = list(files(path for path in self._paths if path.exists()))
        except RunbookErrors as error:
            return {str(error): (0, 0, 0)}  # loading will say the same, where it is reported
        for file in (*found, *self._also()):
            try:
                stat = file.stat()
            except OSError:
                continue  # gone between two looks: the next one sees it
            # Not the time of the last write: a file that may be read again was not written.
            seen[str(file)] = (stat.st_ino, stat.st_size, stat.st_ctime_ns)
        return seen


def _fault(path: Path, code: str, message: str) -> Finding:
    return Finding(str(path), 1, 1, Severity.ERROR, code, message)
