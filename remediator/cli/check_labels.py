"""Which labels alerts carry, for `remediator check`: out of Prometheus's rule files, and out of the
incidents of a journal, which is only read."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.cli.check_settings import Looked
    from remediator.runbook.alert_rules import AlertRule
    from remediator.runbook.findings import Finding
    from remediator.settings import PostgresSettings

# The newest incidents; what alerts carried longer ago may not be what they carry now.
_MOST_INCIDENTS = 2000
_PAGE = 500


def of_rules(paths: Sequence[Path]) -> tuple[Sequence["AlertRule"], Sequence["Finding"]]:
    """Read the alerting rules of rule files and PrometheusRule manifests.

    Returns:
        The rules, and what of the files can't be read.
    """
    from remediator.runbook import alert_rules, document, store  # noqa: PLC0415 - --help quick
    from remediator.runbook.findings import Finding, RunbookErrors, Severity  # noqa: PLC0415

    rules: list[AlertRule] = []
    findings: list[Finding] = []
    for path in dict.fromkeys(file for one in paths for file in store.files([one])):
        try:
            found = alert_rules.load(path)
        except document.Unreadable as error:
            text = f"cannot be read: {error}"
            findings.append(Finding(str(path), 1, 1, Severity.ERROR, "unreadable", text))
            continue
        except RunbookErrors as error:
            findings += error.findings
            continue
        rules += found
        for rule in found:
            if rule.fault:
                place = (rule.file, rule.line, rule.column)
                text = f"the expression of {rule.name} is no PromQL: {rule.fault}"
                findings.append(Finding(*place, Severity.ERROR, "bad-rule", text))
    return rules, findings


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


async def _labels(url: str, postgres: "PostgresSettings | None") -> Sequence[Mapping[str, str]]:
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
