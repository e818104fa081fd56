"""Settings as `remediator check` sees them: everything for which `serve` would refuse to start, and
what is allowed and hardly meant."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remediator.plugin.registry import Registry
    from remediator.runbook.findings import Finding, Severity
    from remediator.runbook.people import Names
    from remediator.runbook.policy_file import PolicySource
    from remediator.runbook.runbook import Runbook
    from remediator.settings import Settings

_CODE = "settings"


@dataclass(frozen=True)
class Looked:
    """A settings file that was looked at.

    Args:
        settings: None where they can't be used.
        policy: what they hold or name; None where it has faults.
        names: of people; None where they have faults.
    """

    path: Path
    registry: "Registry"
    findings: Sequence["Finding"]
    settings: "Settings | None" = None
    policy: "PolicySource | None" = None
    names: "Names | None" = None
    notifiers: frozenset[str] = frozenset()

    @classmethod
    def at(cls, path: Path, registry: "Registry") -> "Looked":
        """Look at a file."""
        from remediator import app, settings  # noqa: PLC0415 - pydantic is slow to import
        from remediator.runbook.findings import RunbookErrors, Severity  # noqa: PLC0415

        try:
            found = settings.load(path)
        except settings.SettingsError as error:
            return cls(path, registry, list(_lines(path, str(error))))
        findings = list(_refused(path, found))
        for key, doubt in settings.doubts(found):
            text = f"{key}: {doubt.removeprefix(f'{key}: ')}"
            findings.append(_finding(path, text, Severity.WARNING))
        policy = names = None
        notifiers: frozenset[str] = frozenset()
        try:
            policy = app.policy_in(found)
        except RunbookErrors as error:
            findings += error.findings
        of_schedules = list(_schedules(found))
        findings += of_schedules
        try:
            names = app.names_in(found)
            findings += _gaps(path, names)
        except settings.SettingsError as error:
            if not of_schedules:
                findings += _lines(path, str(error))
        try:
            notifiers = app.people_reached(app.configured_notifiers(found, registry))
        except settings.SettingsError as error:
            findings += _lines(path, str(error))
            names = None  # nobody can say whom a runbook would reach
        return cls(path, registry, findings, found, policy, names, notifiers)

    @property
    def policy_file(self) -> Path | None:
        """The policy file that they name."""
        return self.settings.policy_file if self.settings is not None else None

    def people(self, runbooks: Sequence["Runbook"]) -> Iterable["Finding"]:
        """Hold runbooks against the people and notifiers of these settings, where those are good.

        The policy's own names are looked at here as well.
        """
        from remediator.runbook import people  # noqa: PLC0415 - keeps --help quick

        if self.settings is None or self.policy is None or self.names is None:
            return
        yield from people.check(
            runbooks,
            names=self.names,
            default_approvers=self.settings.default_approvers,
            notifiers=self.notifiers,
            policy=self.policy.policy.approval,
        )
        source = replace(self.policy, file=self.policy.file or str(self.path))
        yield from people.of_policy(source, self.names)


def _refused(path: Path, found: "Settings") -> Iterator["Finding"]:
    """Yield for what else `serve` would not start, as far as it shows without starting."""
    from remediator.journal import urls  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415
    from remediator.runbook.findings import Severity  # noqa: PLC0415
    from remediator.web import server, tls  # noqa: PLC0415

    try:
        address = server.parse_listen(found.listen)
        server.refuse_open(address, found)
    except server.ListenError as error:
        open_to_all = "is open to other machines" in str(error)
        # A token may come from the environment of the machine that it is meant for.
        severity = Severity.WARNING if open_to_all else Severity.ERROR
        yield _finding(path, str(error), severity)
    try:
        urls.kept_beside(found.journal)
    except CannotOpen as error:
        yield _finding(path, f"journal: {error}")
    if found.tls is not None:
        try:
            tls.server_context(found.tls)
        except tls.TlsError as error:
            # The files may be there only where the daemon runs.
            yield _finding(path, str(error), Severity.WARNING)
    for number, program in enumerate(found.exec.allow):
        if not program.startswith("/"):
            text = f"exec.allow.{number}: {program!r} is no absolute path, so it allows nothing"
            yield _finding(path, text)


def _schedules(found: "Settings") -> Iterator["Finding"]:
    """Yield what is wrong in the files of schedules, where it stands."""
    from remediator.runbook import oncall_file  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415

    for schedule in found.schedules.values():
        try:
            if schedule.file is not None:
                oncall_file.load(schedule.file)
        except RunbookErrors as error:
            yield from error.findings


def _gaps(config: Path, names: "Names") -> Iterator["Finding"]:
    """Say when nobody is on call, as far as the files tell: the next gap of each."""
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import Finding, Severity  # noqa: PLC0415

    now = SystemClock().now()
    for name, schedule in names.schedules.items():
        gap = next(schedule.gaps(after=now), None) if schedule else None
        if gap is not None:
            at, text = _place(f"{config}: schedules.{name}: {gap}", config)
            hint = "add who is, or expect that questions wait"
            yield Finding(str(config), *at, Severity.WARNING, "schedule-gap", text, hint)


def _lines(path: Path, told: str) -> Iterator["Finding"]:
    return (_finding(path, line.removeprefix(f"{path}: ")) for line in told.splitlines())


def _finding(path: Path, line: str, severity: "Severity | None" = None) -> "Finding":
    from remediator.runbook.findings import Finding, Severity  # noqa: PLC0415 - --help quick

    at, message = _place(line if line.startswith(str(path)) else f"{path}: {line}", path)
    return Finding(str(path), *at, severity or Severity.ERROR, _CODE, message)


def _place(line: str, path: Path) -> tuple[tuple[int, int], str]:
    """Find where a settings error points: `file:line:column: …`, or `file: key: …`."""
    from remediator.runbook import document  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415

    rest = line.removeprefix(str(path))
    parts = rest.split(":", 3)
    if len(parts) == 4 and not parts[0] and parts[1].isdigit() and parts[2].isdigit():
        return (int(parts[1]), int(parts[2])), parts[3].strip()
    message = rest.removeprefix(":").strip()
    key = tuple(int(p) if p.isdigit() else p for p in message.partition(":")[0].split("."))
    try:
        documents = document.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError, RunbookErrors):
        return (1, 1), message
    if not documents:
        return (1, 1), message
    where = documents[0].key(key)
    return (where.line, where.column), message
