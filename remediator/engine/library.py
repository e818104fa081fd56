"""The runbooks in force, and the versions that runs in flight began with."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from remediator.journal.protocol import Journal
from remediator.journal.values import RunbookRecord
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook

# Versions that runs in flight may still need; older ones are compiled again from the journal.
_VERSIONS_KEPT = 256

CompileVersion = Callable[[str, str], Runbook]
"""(source, file) → the runbook, compiled against the registry."""


class RunbookGone(Exception):
    """The version that a run began with can't be compiled any more (an action was removed)."""


class Library:
    """Holds the current set; swapped whole by a reload, never changed in place."""

    def __init__(self, journal: Journal, compile_version: CompileVersion) -> None:
        self._journal = journal
        self._compile = compile_version
        self._index = Index(())
        self._by_name: Mapping[str, Runbook] = {}
        self._versions: OrderedDict[str, Runbook] = OrderedDict()

    @property
    def index(self) -> Index:
        """The runbooks in force, by what they match."""
        return self._index

    @property
    def by_name(self) -> Mapping[str, Runbook]:
        """The runbooks in force, by name."""
        return self._by_name

    async def replace(self, runbooks: Sequence[Runbook]) -> None:
        """Put a checked set into force; it is in the journal before any run can refer to it."""
        await self._journal.register([_record(runbook) for runbook in runbooks])
        self._index = Index(tuple(runbooks))
        self._by_name = {runbook.name: runbook for runbook in runbooks}
        for runbook in runbooks:
            self._keep(runbook)

    async def version(self, version: str) -> Runbook:
        """Return a runbook as it was when a run began.

        Raises:
            RunbookGone: it is not in the journal, or no longer compiles.
        """
        if version in self._versions:
            self._versions.move_to_end(version)
            return self._versions[version]
        record = await self._journal.runbook(version)
        if record is None:
            raise RunbookGone(f"runbook version {version[:12]} is not in the journal")
        try:
            runbook = self._compile(record.source, record.file)
        except Exception as error:
            raise RunbookGone(
                f"{record.name} as it was when the run began can't be loaded any more: {error}"
            ) from error
        self._keep(runbook)
        return runbook

    def _keep(self, runbook: Runbook) -> None:
        self._versions[runbook.version] = runbook
        self._versions.move_to_end(runbook.version)
        while len(self._versions) > max(_VERSIONS_KEPT, len(self._by_name)):
            self._versions.popitem(last=False)


def _record(runbook: Runbook) -> RunbookRecord:
    return RunbookRecord(
        version=runbook.version,
        name=runbook.name,
        file=runbook.file,
        source=runbook.source,
        description=runbook.description,
        owner=runbook.owner,
        links=dict(runbook.links),
        substance=runbook.substance,
    )
