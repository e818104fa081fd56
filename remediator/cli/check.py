"""`remediator check`: validate and lint runbooks and settings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options

if TYPE_CHECKING:
    from remediator.plugin.registry import Registry
    from remediator.runbook.findings import Finding
    from remediator.runbook.people import Names
    from remediator.runbook.runbook import Runbook


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was looked at, and what was found."""

    files: int
    runbooks: int
    findings: Sequence["Finding"]


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="PATH…")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="REMEDIATOR_CONFIG",
    help="A settings file to check as well.",
)
@options.output
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], config: Path | None, output: str) -> None:
    """Check runbooks, policies and settings, and lint the runbooks.

    PATH is a folder or file of runbooks, a policy, or a settings file; the policy that the settings
    name is checked with them. Exit code 0: clean, 1: findings, 2: usage.
    """
    from remediator.cli import runbook_files, show  # noqa: PLC0415 - keeps --help quick

    if not paths and config is None:
        raise click.UsageError("name what to check: remediator check runbooks/")
    configs = [*([config] if config else []), *(path for path in paths if _is_config(path))]
    checked = _check(
        [path for path in paths if path not in configs], configs, runbook_files.registry()
    )
    if output == "json":
        show.as_json(_to_json(checked))
    else:
        for finding in checked.findings:
            click.echo(show.clean(str(finding)))
        click.echo(_summary(checked))
    ctx.exit(1 if checked.findings else 0)


def _check(paths: Sequence[Path], configs: Sequence[Path], known: "Registry") -> _Checked:
    from remediator.runbook import store  # noqa: PLC0415 - imports CEL

    found = {path: list(store.files([path])) for path in paths}
    given = [file for files in found.values() for file in files]
    configs = [*configs, *(file for file in given if _is_config(file))]
    findings = [one for path in configs for one in _config_findings(path)]
    findings += [_nothing(path) for path, files in found.items() if not files]
    policies = {file for file in given if file not in configs and _is_policy(file)}
    policies |= {file for path in configs for file in _policy_of(path)}
    findings += [one for path in sorted(policies) for one in _policy_findings(path)]
    files = [file for file in given if file not in configs and file not in policies]
    loaded: Sequence[Runbook] = ()
    try:
        loaded = store.load_folder(files, known).runbooks
        findings += _lint(loaded)
        if all(one.severity.value == "warning" for one in findings):
            findings += [one for path in configs for one in _people(path, loaded, known)]
    except store.RunbookErrors as error:
        findings += error.findings
    looked_at = len(files) + len(configs) + len(policies)
    return _Checked(looked_at, len(loaded), sorted(findings))


def _people(config: Path, loaded: Sequence["Runbook"], known: "Registry") -> Iterable["Finding"]:
    """Hold the runbooks against settings that are good by themselves."""
    from remediator import app, settings  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook import people  # noqa: PLC0415
    from remediator.runbook.findings import Finding, RunbookErrors, Severity  # noqa: PLC0415

    found = settings.load(config)
    try:
        notifiers = app.people_reached(app.configured_notifiers(found, known))
        names = app.names_in(found)
        policy = app.policy_in(found)
    except RunbookErrors:
        return ()  # the policy's own faults are told where its file is checked
    except settings.SettingsError as error:
        places = [_place(f"{config}: {line}", config) for line in str(error).splitlines()]
        return [Finding(str(config), *at, Severity.ERROR, "settings", text) for at, text in places]
    return [
        *_gaps(config, names),
        *people.check(
            loaded,
            names=names,
            default_approvers=found.default_approvers,
            notifiers=notifiers,
            policy=policy.policy.approval,
        ),
        *people.of_policy(replace(policy, file=policy.file or str(config)), names),
    ]


def _gaps(config: Path, names: "Names") -> Iterable["Finding"]:
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


def _nothing(path: Path) -> "Finding":
    from remediator.runbook.findings import Finding, Severity  # noqa: PLC0415

    text = "holds no .yaml or .yml file" if path.is_dir() else "is no .yaml or .yml file"
    return Finding(str(path), 1, 1, Severity.ERROR, "nothing-to-check", text)


def _lint(loaded: Sequence["Runbook"]) -> Iterable["Finding"]:
    from remediator.runbook import lint  # noqa: PLC0415

    return lint.lint(loaded)


def _config_findings(path: Path) -> Iterable["Finding"]:
    from remediator import settings  # noqa: PLC0415 - pydantic is slow to import
    from remediator.runbook.findings import Finding, Severity  # noqa: PLC0415

    try:
        found = settings.load(path)
    except settings.SettingsError as error:
        for line in str(error).splitlines():
            at, message = _place(line, path)
            yield Finding(str(path), *at, Severity.ERROR, "settings", message)
        return
    for key, doubt in settings.doubts(found):
        at, message = _place(f"{path}: {key}: {doubt.removeprefix(f'{key}: ')}", path)
        yield Finding(str(path), *at, Severity.WARNING, "settings", message)


def _policy_of(config: Path) -> Sequence[Path]:
    """Return the policy file that good settings name."""
    from remediator import settings  # noqa: PLC0415 - pydantic is slow to import

    try:
        named = settings.load(config).policy_file
    except settings.SettingsError:
        return ()  # said already
    return (named,) if named is not None else ()


def _policy_findings(path: Path) -> Iterable["Finding"]:
    from remediator.runbook import policy_file  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import RunbookErrors  # noqa: PLC0415

    try:
        policy_file.load(path)
    except RunbookErrors as error:
        return error.findings
    return ()


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


def _is_config(path: Path) -> bool:
    """Whether a file is one of settings: its top-level keys are settings' and not runbooks'."""
    from remediator.settings import Settings  # noqa: PLC0415 - keeps --help quick

    value = _value(path)
    if not isinstance(value, dict) or "steps" in value or "match" in value:
        return False
    return bool(value.keys() & Settings.model_fields.keys())


def _is_policy(path: Path) -> bool:
    """Whether a file is a policy."""
    from remediator.runbook import policy_file  # noqa: PLC0415 - keeps --help quick

    return policy_file.is_policy(_value(path))


def _value(path: Path) -> Any:
    """Return what a YAML file holds; None where it holds none."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - keeps --help quick
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    if not path.is_file():
        return None
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError):
        return None


def _summary(checked: _Checked) -> str:
    counts = {
        severity: sum(1 for one in checked.findings if one.severity.value == severity)
        for severity in ("error", "warning")
    }
    found = ", ".join(_many(count, name) for name, count in counts.items() if count) or "clean"
    return f"{_many(checked.files, 'file')}, {_many(checked.runbooks, 'runbook')}: {found}"


def _many(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _to_json(checked: _Checked) -> dict[str, Any]:
    return {
        "files": checked.files,
        "runbooks": checked.runbooks,
        "findings": [
            {
                "file": one.file,
                "line": one.line,
                "column": one.column,
                "severity": one.severity.value,
                "code": one.code,
                "message": one.message,
                "hint": one.hint,
            }
            for one in checked.findings
        ],
    }
