"""Runbooks of another Git revision, read without touching the work tree.

Plumbing only (`rev-parse`, `ls-tree`, `cat-file`): no checkout, no filters, no hooks. What is
read goes into a temporary folder that is gone afterwards.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.runbook_files import Files
    from remediator.plugin.registry import Registry
    from remediator.settings import Settings

_TIMEOUT_S = 60
# A repository's runbooks are some thousand small files; what is larger is no runbook.
_MOST_FILES = 20_000
_LARGEST_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    kind: str
    id: str
    path: str


class Revision:
    """One revision of the repository that a path is in.

    Raises:
        Failure: there is no repository, no Git, or no such revision.
    """

    def __init__(self, name: str, near: Path) -> None:
        self.name = name
        folder = near if near.is_dir() else near.parent
        while not folder.is_dir():
            folder = folder.parent
        self._folder = folder.resolve()
        try:
            top = self._git("rev-parse", "--show-toplevel").decode().strip()
        except _GitFailed as error:
            raise Failure(
                f"--against {name}: {self._folder} is in no Git work tree: {error}"
            ) from None
        self.top = Path(top)
        try:
            wanted = f"{name}^{{commit}}"
            found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
        except _GitFailed:
            raise Failure(
                f"--against {name}: the repository {top} has no such revision; "
                "`git log --oneline --all` lists some, and `git fetch` brings others"
            ) from None
        self.commit = found.decode().split()[-1]

    def extract(self, paths: Sequence[Path], into: Path) -> Sequence[Path]:
        """Write files and folders as they were; returns where they are now, in the same order.

        Raises:
            Failure: one of them is outside of the repository, or was not there.
        """
        return [self._extract(path, into) for path in paths]

    def has(self, path: Path) -> bool:
        """Whether a path is in the repository, and was there in this revision."""
        try:
            return bool(self._listed(self._inside(path)))
        except Failure:
            return False

    def _extract(self, path: Path, into: Path) -> Path:
        inside = self._inside(path)
        entries = self._listed(inside)
        if not entries:
            raise Failure(
                f"--against {self.name}: there was no {inside} in {self.commit[:12]}; "
                "name with --runbooks what was there then"
            )
        files = [one for one in entries if one.kind == "blob" and one.mode != "120000"]
        if len(files) > _MOST_FILES:
            raise Failure(f"--against {self.name}: more than {_MOST_FILES} files in {inside}")
        for entry, content in zip(files, self._contents(files), strict=True):
            target = into / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        self._link(entries, into)
        whole = into / inside
        if not whole.exists():
            whole.mkdir(parents=True)
        return whole

    def _link(self, entries: Sequence[_Entry], into: Path) -> None:
        """Make the links that stay inside of what was read; others lead nowhere then."""
        links = [one for one in entries if one.mode == "120000"]
        for entry, content in zip(links, self._contents(links), strict=True):
            target = into / entry.path
            leads = (target.parent / content.decode(errors="replace")).resolve()
            if leads.is_relative_to(into.resolve()) and leads.exists() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(leads)

    def _inside(self, path: Path) -> str:
        whole = path.resolve()
        if not whole.is_relative_to(self.top.resolve()):
            raise Failure(f"--against {self.name}: {path} is outside of the repository {self.top}")
        return str(PurePosixPath(whole.relative_to(self.top.resolve())))

    def _listed(self, inside: str) -> list[_Entry]:
        where = [] if inside == "." else ["--", inside]
        out = self._told("ls-tree", "-r", "-z", "--full-tree", self.commit, *where)
        found = []
        for line in out.decode(errors="surrogateescape").split("\0"):
            if line:
                head, _, path = line.partition("\t")
                mode, kind, id_ = head.split()
                found.append(_Entry(mode, kind, id_, path))
        return found

    def _contents(self, entries: Sequence[_Entry]) -> Iterator[bytes]:
        if not entries:
            return
        asked = "".join(f"{one.id}\n" for one in entries).encode()
        out = self._told("cat-file", "--batch", input=asked)
        position = 0
        for entry in entries:
            end = out.index(b"\n", position)
            size = int(out[position:end].split()[-1])
            if size > _LARGEST_BYTES:
                raise Failure(
                    f"--against {self.name}: {entry.path} is larger than "
                    f"{_LARGEST_BYTES // 2**20} MiB"
                )
            yield out[end + 1 : end + 1 + size]
            position = end + 1 + size + 1

    def _told(self, *arguments: str, input: bytes = b"") -> bytes:  # noqa: A002 - subprocess's word
        try:
            return self._git(*arguments, input=input)
        except _GitFailed as error:
            raise Failure(f"--against {self.name}: git {arguments[0]}: {error}") from None

    def _git(self, *arguments: str, input: bytes = b"") -> bytes:  # noqa: A002 - subprocess's word
        try:
            done = subprocess.run(  # noqa: S603 - our own arguments; the revision is one of them
                ["git", "-C", str(self._folder), "--literal-pathspecs", *arguments],  # noqa: S607 - from PATH, as people use it
                input=input,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            raise Failure(f"--against {self.name}: git is not installed") from None
        except subprocess.TimeoutExpired:
            raise Failure(
                f"--against {self.name}: git did not answer within {_TIMEOUT_S}s"
            ) from None
        if done.returncode:
            raise _GitFailed(done.stderr.decode(errors="replace").strip() or "it failed")
        return done.stdout


class _GitFailed(Exception):
    """Git ended with an error; what it said."""


@contextmanager
def files(name: str, settings: "Settings", registry: "Registry") -> Iterator["Files"]:
    """Give the runbooks of a revision, and its policy file where it was there then.

    Runbooks are where the settings have them now. A policy that is in the settings themselves, or
    whose file is not in the repository, is today's.

    Raises:
        Failure: the revision can't be read, or its runbooks or policy have faults.
    """
    from remediator.cli import runbook_files  # noqa: PLC0415 - keeps --help quick

    paths = [path.resolve() for path in settings.runbooks]
    revision = Revision(name, paths[0] if paths else Path())
    policy = settings.policy_file
    with tempfile.TemporaryDirectory(prefix="remediator-") as made:
        folder = Path(made)
        extracted = revision.extract(paths, folder)
        changed: dict[str, object] = {"runbooks": tuple(extracted)}
        if policy is not None and revision.has(policy):
            changed["policy_file"] = revision.extract([policy], folder)[0]
        try:
            loaded = runbook_files.files(settings.model_copy(update=changed), registry)
        except Failure as error:
            told = str(error).replace(f"{folder}/", f"{name}:")
            raise Failure(f"--against {name}: {told}") from None
        yield loaded
