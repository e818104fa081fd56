"""Alerting rules, read from Prometheus rule files and PrometheusRule manifests, with positions.

Owns what a rule says: name, expression, how long it must hold, labels and annotations; and which
labels its alerts are known to carry. Evaluates nothing. Used by `remediator new` (matchers and
labels out of a rule) and `remediator check --rules` (a runbook that reads a label which the rule
does not give).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Any

from remediator.model import quantities
from remediator.runbook import alert_labels, document, promql
from remediator.runbook.alert_labels import Carried
from remediator.runbook.document import Document, Path
from remediator.runbook.findings import RunbookErrors

_MANIFESTS = frozenset({"PrometheusRule", "VMRule"})
_TEMPLATE = "{{"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alerting rule.

    Args:
        name: the alert's name.
        expr: PromQL.
        hold: how long the expression must be true before the alert fires (`for`).
        labels: what the rule adds; values may be templates.
        annotations: likewise.
        group: the name of its group.
        file: where it stands.
        line: from 1; of its name.
        column: from 1; of its name.
        carries: the labels that its alerts carry, alertname and the rule's own among them.
        fault: why the expression can't be read; nothing is known of its labels then.
    """

    name: str
    expr: str
    hold: timedelta
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    group: str
    file: str
    line: int
    column: int
    carries: Carried
    fault: str = ""


def load(path: FilePath) -> list[AlertRule]:
    """Read the alerting rules of a file.

    Raises:
        document.Unreadable: the file can't be read.
        RunbookErrors: it is no YAML, or holds no rules.
    """
    return read(document.text_of(path), str(path))


def read(source: str, file: str) -> list[AlertRule]:
    """Read the alerting rules of a rule file or of manifests; recording rules are passed over.

    Raises:
        RunbookErrors: it is no YAML, or holds nothing that could be rules.
    """
    documents = document.parse(source, file)
    found = [one for doc in documents for one in _homes(doc)]
    if not found:
        raise RunbookErrors(
            [
                doc.finding(
                    (), "no-rules", "no alerting rules here",
                    "give a Prometheus rule file (groups: …) or a PrometheusRule manifest",
                )
                for doc in documents[:1] or [Document(file, None, {}, {}, 1, 1)]
            ]
        )  # fmt: skip
    return [rule for doc, path in found for rule in _rules(doc, path)]


def labels_of(expr: str, labels: Mapping[str, str], name: str) -> tuple[Carried, str]:
    """Return which labels the alerts of a rule carry, and why its expression can't be read.

    Args:
        expr: the rule's PromQL.
        labels: the rule's labels.
        name: the alert's name.
    """
    try:
        found, fault = alert_labels.carried(promql.parse(expr)), ""
    except promql.NotPromQL as error:
        found, fault = alert_labels.ANYTHING, str(error)
    found = found.without([promql.NAME])
    for label, value in labels.items():
        # A template may come out empty, which takes the label away.
        found = found.perhaps(label) if _TEMPLATE in value else found.having(label, value)
    return found.having("alertname", name), fault


def _homes(doc: Document) -> Iterator[tuple[Document, Path]]:
    """Yield where groups of rules stand."""
    for path in _values(doc.value, ()):
        value = _at(doc.value, path)
        if not isinstance(value, Mapping):
            continue
        if value.get("kind") in _MANIFESTS:
            yield doc, (*path, "spec", "groups")
        elif not path and "kind" not in value and isinstance(value.get("groups"), list):
            yield doc, ("groups",)


def _values(value: Any, path: Path) -> Iterator[Path]:
    """Yield the paths of a document's objects: itself, or the items of a List."""
    yield path
    if isinstance(value, Mapping) and value.get("kind") == "List":
        yield from (("items", number) for number in range(len(_list(value.get("items")))))


def _rules(doc: Document, path: Path) -> Iterator[AlertRule]:
    for i, group in enumerate(_list(_at(doc.value, path))):
        if not isinstance(group, Mapping):
            continue
        for j, rule in enumerate(_list(group.get("rules"))):
            if isinstance(rule, Mapping) and rule.get("alert"):
                yield _rule(doc, (*path, i, "rules", j), group, rule)


def _rule(
    doc: Document, path: Path, group: Mapping[str, Any], rule: Mapping[str, Any]
) -> AlertRule:
    where = doc.at((*path, "alert"))
    name, expr = str(rule["alert"]), str(rule.get("expr", ""))
    labels = {**_texts(group.get("labels")), **_texts(rule.get("labels"))}
    carries, fault = labels_of(expr, labels, name)
    return AlertRule(
        name=name,
        expr=expr,
        hold=_span(rule.get("for")),
        labels=labels,
        annotations=_texts(rule.get("annotations")),
        group=str(group.get("name", "")),
        file=doc.file,
        line=where.line,
        column=where.column,
        carries=carries,
        fault=fault,
    )


def _span(value: Any) -> timedelta:
    """Read a duration of Prometheus, which knows years; nothing where it is none."""
    try:
        return quantities.parse_duration(value)
    except ValueError:
        return timedelta()


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(name): _text(one) for name, one in value.items()}


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _at(value: Any, path: Path) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
