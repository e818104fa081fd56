"""Which labels alerts carry, for `remediator check`: out of Prometheus's rule files, and out of the
incidents of a journal, which is only read."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.check_settings import Looked
    from remediator.runbook.document import Document
    from remediator.runbook.findings import Finding
    from remediator.runbook.lint.labels import AlertRule
    from remediator.settings import PostgresSettings

# The newest incidents; what alerts carried longer ago may not be what they carry now.
_MOST_INCIDENTS = 2000
_PAGE = 500
_CODE = "rule-file"


def of_rules(paths: Sequence[Path]) -> tuple[Sequence["AlertRule"], Sequence["Finding"]]:
    """Read the alerting rules of rule files and PrometheusRule manifests.

    Returns:
        The rules, and what of the files can't be read.
    """
    from remediator.runbook import document, store  # noqa: PLC0415 - keeps --help quick
    from remediator.runbook.findings import Finding, RunbookErrors, Severity  # noqa: PLC0415

    rules: list[AlertRule] = []
    findings: list[Finding] = []
    for path in dict.fromkeys(file for one in paths for file in store.files([one])):
        try:
            documents = document.parse(document.text_of(path), str(path))
        except document.Unreadable as error:
            text = f"cannot be read: {error}"
            findings.append(Finding(str(path), 1, 1, Severity.ERROR, "unreadable", text))
            continue
        except RunbookErrors as error:
            findings += error.findings
            continue
        for doc in documents:
            rules += _rules(doc, findings)
    return rules, findings


def _rules(doc: "Document", findings: list["Finding"]) -> Iterator["AlertRule"]:
    from remediator.runbook.lint.labels import AlertRule  # noqa: PLC0415 - keeps --help quick
    from remediator.simulated import rule_labels  # noqa: PLC0415

    groups, at = _groups(doc)
    if groups is None:
        text = "no rule file: it has no list of groups, and is no PrometheusRule"
        findings.append(doc.finding((), _CODE, text))
        return
    for number, group in enumerate(groups):
        given = group.get("rules") if isinstance(group, dict) else None
        for index, rule in enumerate(given if isinstance(given, list) else ()):
            path = (*at, number, "rules", index)
            if not isinstance(rule, dict) or "alert" not in rule:
                continue
            where = doc.at(path)
            static = rule.get("labels")
            try:
                dynamic = rule_labels.left_by(str(rule.get("expr", "")))
            except rule_labels.NoExpression as error:
                findings.append(doc.finding((*path, "expr"), _CODE, f"no PromQL: {error}"))
                continue
            yield AlertRule(
                alert=str(rule["alert"]),
                static={
                    str(name): "" if "{{" in str(value) else str(value)
                    for name, value in (static if isinstance(static, dict) else {}).items()
                },
                dynamic=dynamic,
                where=f"{doc.file}:{where.line}",
            )


def _groups(doc: "Document") -> tuple[list[Any] | None, tuple[str, ...]]:
    value: Any = doc.value
    at: tuple[str, ...] = ("groups",)
    if isinstance(value, dict) and value.get("kind") == "PrometheusRule":
        value, at = value.get("spec"), ("spec", "groups")
    groups = value.get("groups") if isinstance(value, dict) else None
    return (groups if isinstance(groups, list) else None), at


def of_incidents(url: str, settings: Sequence["Looked"]) -> Sequence[Mapping[str, str]]:
    """Return the labels of the last incidents, the newest first.

    Args:
        url: a journal that was named; empty: the first of the settings that is a file and there.

    Raises:
        Failure: the journal that was named can't be read.
    """
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.urls import is_postgres, sqlite_path  # noqa: PLC0415

    known = [one.settings for one in settings if one.settings is not None]
    if url:
        postgres = next((one.postgres for one in known), None)
        try:
            return asyncio.run(_labels(url, postgres))
        except CannotOpen as error:
            raise Failure(str(error)) from None
    for one in known:
        try:
            # A database elsewhere is asked only where it is named: a check needs no network.
            if not is_postgres(one.journal) and sqlite_path(one.journal).exists():
                return asyncio.run(_labels(one.journal, one.postgres))
        except CannotOpen:
            continue  # said with the settings, or no journal that this version can read
    return ()


async def _labels(
    url: str, postgres: "PostgresSettings | None"
) -> Sequence[Mapping[str, str]]:
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.opening import open_journal  # noqa: PLC0415
    from remediator.journal.values import Opening  # noqa: PLC0415

    journal = await open_journal(
        url, SystemClock(), Opening(node="check"), postgres=postgres, read_only=True
    )
    try:
        found: list[Mapping[str, str]] = []
        cursor: str | None = None
        while len(found) < _MOST_INCIDENTS:
            page = await journal.incidents(cursor=cursor, limit=_PAGE)
            found += [incident.labels for incident in page.items]
            cursor = page.next
            if cursor is None:
                break
        return found
    finally:
        await journal.close()
