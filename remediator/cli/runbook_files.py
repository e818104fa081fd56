"""Loading runbooks and actions for the offline commands: `check`, `simulate`, `rbac`, `actions`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.model.policy import Policy
    from remediator.plugin.registry import Registry
    from remediator.runbook.runbook import Runbook
    from remediator.settings import Settings


def registry() -> "Registry":
    """Load every plugin.

    Raises:
        Failure: two plugins claim one name, or one can't be imported.
    """
    from remediator.plugin import registry as plugins  # noqa: PLC0415 - imports every action

    try:
        return plugins.load()
    except plugins.DuplicatePlugin as error:
        raise Failure(str(error)) from None
    except ImportError as error:
        raise Failure(f"a plugin can't be loaded: {error}") from None


def load(paths: Sequence[Path], known: "Registry") -> Sequence["Runbook"]:
    """Load the runbooks of these folders and files.

    Raises:
        Failure: with every finding, one a line.
    """
    from remediator.runbook import store  # noqa: PLC0415 - imports CEL

    try:
        return store.load_folder(paths, known, policies_too=True).runbooks
    except store.RunbookErrors as error:
        findings = "\n".join(str(finding) for finding in error.findings)
        raise Failure(f"the runbooks can't be used:\n{findings}") from None


def policy(settings: "Settings") -> "Policy":
    """Return the policy that the settings hold or name.

    Raises:
        Failure: with every finding, one a line.
    """
    from remediator import app  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415

    try:
        return app.policy_in(settings).policy
    except RunbookErrors as error:
        findings = "\n".join(str(finding) for finding in error.findings)
        raise Failure(f"the policy can't be used:\n{findings}") from None


@dataclass(frozen=True, slots=True)
class Files:
    """Runbooks and the policy that binds them, from wherever they were read."""

    runbooks: Sequence["Runbook"]
    policy: "Policy"


def files(settings: "Settings", known: "Registry") -> Files:
    """Load the runbooks and the policy of the settings.

    Raises:
        Failure: with every finding, one a line.
    """
    return Files(load(settings.runbooks, known), policy(settings))
