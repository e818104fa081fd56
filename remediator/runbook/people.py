"""Do the people whom runbooks ask and call exist? Runbooks against the settings. Pure.

Called by `app` when runbooks are loaded, and by `remediator check` with a settings file. A question
that nobody may answer and a call that reaches nobody would show only when they are needed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from remediator.runbook.findings import Finding, Severity, did_you_mean
from remediator.runbook.runbook import Runbook

_IDENTITIES = ("slack:", "api:")


def check(
    runbooks: Sequence[Runbook],
    *,
    groups: Mapping[str, Sequence[str]],
    default_approvers: Sequence[str],
    notifiers: Collection[str],
) -> Iterator[Finding]:
    """Yield what keeps a runbook's people from being asked or called.

    Args:
        groups: approver groups of the settings, name → identities.
        default_approvers: who decides where a runbook names nobody.
        notifiers: names of those that are configured and reach people.
    """
    for runbook in runbooks:
        named = runbook.approval.approvers
        for number, name in enumerate(named):
            if (fault := unknown(name, groups)) is not None:
                yield _error(runbook, f"approval.approvers.{number}", "unknown-approver", *fault)
        asked = tuple(named) or tuple(default_approvers)
        people = {one for name in asked for one in groups.get(name, (name,))}
        if len(people) < runbook.approval.quorum:
            text = f"{runbook.approval.quorum} people must approve, and only {len(people)} may"
            yield _error(runbook, "approval.quorum", "quorum", text, "")
        for number, call in enumerate(runbook.on_failure.escalate):
            for name in call.to:
                if name not in notifiers:
                    text = f'the notifier "{name}" is not configured, so nobody would be called'
                    hint = did_you_mean(name, notifiers) or "configure it in the settings"
                    path = f"on_failure.escalate.{number}"
                    yield _error(runbook, path, "unconfigured-notifier", text, hint)


def unknown(name: str, groups: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Return what is wrong with an approver's name and what would be right, or None."""
    if name in groups or name == "local" or name.startswith(_IDENTITIES):
        return None
    text = f'"{name}" is no group of the settings, and no identity such as slack:U0123 or api:alice'
    return text, did_you_mean(name, groups)


def _error(runbook: Runbook, path: str, code: str, text: str, hint: str) -> Finding:
    parts = path.split(".")
    while parts and ".".join(parts) not in runbook.positions:
        parts.pop()
    line, column = runbook.positions.get(".".join(parts), (runbook.line, 1))
    return Finding(
        runbook.file, line, column, Severity.ERROR, code, f"{runbook.name}: {text}", hint
    )
