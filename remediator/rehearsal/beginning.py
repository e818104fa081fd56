"""An alert → a first runbook for it, and the runbook's test. Pure.

Owns what a new runbook begins with: matchers and labels that the alert is known to carry, the
least change that could help by those labels, conservative limits; and a test that holds as it
stands. The author goes on from there. Called by `remediator new`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from remediator.model.quantities import format_duration
from remediator.rehearsal import writing
from remediator.runbook.schema import Name

_WORKLOADS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
# What stands in the test where the value is not known.
_EXAMPLES = {"namespace": "shop", "pod": "api-0", "severity": "warning"}
_POD_OF_DEPLOYMENT = re.compile(r"(.+)-[a-z0-9]{6,10}-[a-z0-9]{5}")
_LONGEST_DESCRIPTION = 300
_LONGEST_NAME = 63
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERIFY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an alert.

    Args:
        alertname: its name.
        certain: labels that it always carries, with the value where that is always the same or was
            seen; None: it varies.
        possible: labels that it may carry besides.
        annotations: without templates.
        expr: the rule's PromQL; empty where it is not known.
        origin: where this was learned, for the comment at the top.
    """

    alertname: str
    certain: Mapping[str, str | None]
    possible: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    expr: str = ""
    origin: str = ""

    @property
    def labels(self) -> frozenset[str]:
        """Labels that it carries or may carry."""
        return frozenset({*self.certain, *self.possible})

    def value(self, label: str) -> str:
        """Return a value for the test: the known one, or an example."""
        return self.certain.get(label) or _EXAMPLES.get(label, "api")


@dataclass(frozen=True, slots=True)
class _Proposal:
    """The least change that could help, and the world in which its plan can be seen."""

    needs: tuple[str, ...]
    steps: Sequence[Mapping[str, Any]]
    world: Mapping[str, Any]
    plans: Sequence[str]
    impact: bool = True


def name_of(alertname: str) -> str:
    """Return a runbook's name for an alert: `KubePodNotReady` becomes `kube-pod-not-ready`."""
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3-\2\4", alertname)
    cut = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_LONGEST_NAME].strip("-")
    return cut or "new-runbook"


def is_name(text: str) -> bool:
    """Whether a runbook may be called so."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def runbook(known: Known, name: Name, schema: str) -> str:
    """Return the runbook's text.

    Args:
        schema: where the JSON Schema of runbooks is, relative to the file; empty: not known.
    """
    proposal = _proposal(known)
    summary = known.annotations.get("summary") or known.annotations.get("description") or ""
    document: dict[str, Any] = {
        "name": name,
        "description": _sentence(summary) or f"What is done when {known.alertname} fires.",
    }
    if url := known.annotations.get("runbook_url"):
        document["links"] = {"runbook": url}
    document["match"] = [_matchers(known, proposal.needs)]
    document |= {"wait_for": "2m", "mode": "observe"}
    if proposal.impact:
        document["guardrails"] = {
            "cooldown": format_duration(timedelta(minutes=30)),
            "rate": ["2/1h"],
            "max_impact": {"pods": 10},
        }
    document["steps"] = proposal.steps
    if proposal.impact:
        document["verify"] = {"resolved_within": format_duration(_VERIFY)}
    return "\n".join([*writing.modeline(schema), *_comments(known), writing.yaml_text(document)])


def test(known: Known, name: Name, schema: str) -> str:
    """Return the test's text; it passes as it stands."""
    proposal = _proposal(known)
    labels = {"alertname": known.alertname}
    carried = [*known.certain, *sorted({*proposal.needs} - known.certain.keys())]
    labels |= {label: known.value(label) for label in carried if label != "alertname"}
    # One run of the runbook is what the whole test is about, so its plan stands first.
    run: dict[str, Any] = {"runbook": name, "state": "observed" if proposal.impact else "succeeded"}
    if proposal.plans:
        run["plans"] = list(proposal.plans)
    document = {
        "world": proposal.world,
        "tests": [
            {
                "name": f"the plan for {known.alertname} is shown",
                "timeline": [{"at": "0s", "firing": labels}],
                "expect": [{"at": "3m", "runs": [run]}],
            }
        ],
    }
    return "\n".join([*writing.modeline(schema), writing.yaml_text(document)])


def _proposal(known: Known) -> _Proposal:
    for label, kind in _WORKLOADS.items():
        if {"namespace", label} <= known.labels:
            return _restart(known, label, kind)
    if {"namespace", "pod"} <= known.labels:
        return _replace_pod(known)
    query = f'ALERTS{{alertname={_quoted(known.alertname)},alertstate="firing"}}'
    look = {"id": "firing", "action": "prometheus.query", "with": {"query": f"count({query})"}}
    series = {"series": query, "values": "1x10"}
    world = {"prometheus": {"interval": "1m", "series": [series]}}
    return _Proposal((), [look], world, (), impact=False)


def _restart(known: Known, label: str, kind: str) -> _Proposal:
    namespace, name = known.value("namespace"), known.value(label)
    parameters = {"namespace": "${{ labels.namespace }}", label: f"${{{{ labels.{label} }}}}"}
    step = {"id": "restart", "action": "kubernetes.rollout_restart", "with": parameters}
    return _Proposal(
        ("namespace", label),
        [step],
        {"kubernetes": [_object("apps/v1", kind, namespace, name, spec=_replicas(label, 2))]},
        [f"{label} {namespace}/{name}: restart"],
    )


def _replace_pod(known: Known) -> _Proposal:
    namespace, pod = known.value("namespace"), known.value("pod")
    found = _POD_OF_DEPLOYMENT.fullmatch(pod)
    kind, owner = ("Deployment", found[1]) if found else ("StatefulSet", pod.rpartition("-")[0])
    parameters = {"namespace": "${{ labels.namespace }}", "pod": "${{ labels.pod }}"}
    labels = {"app": owner or pod}
    workload = _object(
        "apps/v1",
        kind,
        namespace,
        owner or pod,
        spec={"replicas": 1, "selector": {"matchLabels": labels}}
        | {"template": {"metadata": {"labels": labels}}},
    )
    ill = _object("v1", "Pod", namespace, pod, labels=labels)
    ill["status"] = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
    }
    return _Proposal(
        ("namespace", "pod"),
        [
            {
                "id": "not-ready",
                "action": "kubernetes.condition",
                "with": {**parameters, "ready": False},
            },
            {"id": "replace", "action": "kubernetes.delete_pod", "with": parameters},
        ],
        {"kubernetes": [workload, ill]},
        [f"pod {namespace}/{pod}"],
    )


def _replicas(label: str, count: int) -> dict[str, Any]:
    return {} if label == "daemonset" else {"replicas": count}


def _object(
    version: str,
    kind: str,
    namespace: str,
    name: str,
    *,
    spec: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = dict(labels)
    found: dict[str, Any] = {"apiVersion": version, "kind": kind, "metadata": metadata}
    return found | ({"spec": dict(spec)} if spec else {})


def _matchers(known: Known, needs: Sequence[str]) -> str:
    lines = [f"alertname={_quoted(known.alertname)}"]
    lines += ['namespace!~"kube-.*"'] if "namespace" in known.labels else []
    lines += [f'{label}!=""' for label in needs]
    return ", ".join(lines)


def _quoted(text: str) -> str:
    """Return a text in quotes, as matchers and PromQL write it alike."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _comments(known: Known) -> list[str]:
    said = [f"Written by `remediator new`{f' from {known.origin}' if known.origin else ''}."]
    certain = [
        f'{label}="{value}"' if value is not None else label
        for label, value in sorted(known.certain.items())
        if label != "alertname"
    ]
    if certain:
        said.append(f"The alert carries {', '.join(certain)}.")
    if known.possible:
        said.append(f"It may carry {', '.join(sorted(known.possible))}.")
    if known.expr:
        said.append(f"It fires on: {' '.join(known.expr.split())}")
    said.append("It only observes: raise the mode to approve when its plans are what you want.")
    return [f"# {_printable(one)}" for one in said]


def _sentence(text: str) -> str:
    return " ".join(_printable(text).split())[:_LONGEST_DESCRIPTION]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
