"""An on-call file: YAML → `OnCall`, every fault with file, line and column.

Read at start and by `remediator check`, and again whenever somebody's word hangs on it
(`engine.rosters`): a file that was edited counts at once, and one that can't be read lets nobody
in.
"""

from pathlib import Path

from remediator.model.oncall import OnCall
from remediator.runbook import document, faults
from remediator.runbook.findings import Finding, RunbookErrors, Severity


def load(path: Path) -> OnCall:
    """Read an on-call file.

    Raises:
        RunbookErrors: with every fault.
    """
    try:
        source = document.text_of(path)
    except document.Unreadable as error:
        raise RunbookErrors([_fault(path, f"cannot be read: {error}")]) from None
    documents = document.parse(source, str(path))
    if len(documents) != 1:
        text = f"{len(documents)} documents where one schedule is expected"
        raise RunbookErrors([_fault(path, text)])
    return faults.validated(documents[0], OnCall, "a schedule")


def _fault(path: Path, message: str) -> Finding:
    return Finding(str(path), 1, 1, Severity.ERROR, "schedule", message)
