"""Resources for tests, and what the cluster says of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.servers.kubernetes import ControlPlane

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "deploy" / "crds"
API_VERSION = "remediator.dev/v1alpha1"

SPEC: Mapping[str, Any] = {
    "description": "Restart the pods.",
    "match": ['alertname="Stuck"'],
    "mode": "auto",
    "steps": [
        {
            "id": "restart",
            "action": "kubernetes.rollout_restart",
            "with": {"namespace": "${{ labels.namespace }}", "deployment": "api"},
        }
    ],
    "verify": {"resolved_within": "1m"},
}


def runbook(name: str, namespace: str, spec: Mapping[str, Any] = SPEC, /, **more: Any) -> Any:
    """A `Runbook`; a key of `more` that is None takes it out."""
    return _resource("Runbook", name, namespace, {**spec, **more})


def policy(name: str, namespace: str, /, **spec: Any) -> Any:
    """A `RemediationPolicy`."""
    return _resource("RemediationPolicy", name, namespace, spec)


def _resource(kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> Any:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def yaml_of(path: Path) -> list[Any]:
    """Every document of a file."""
    return [one for one in YAML(typ="safe", pure=True).load_all(path.read_text()) if one]


def shipped() -> Iterator[tuple[str, Any]]:
    """The runbooks that we ship, with their names."""
    for file in sorted((ROOT / "runbooks").rglob("*.yaml")):
        if not file.name.endswith(".test.yaml"):
            for number, one in enumerate(yaml_of(file)):
                yield f"{file.stem}-{number}", one


def accepted(cluster: ControlPlane, namespace: str, name: str, kind: str = "runbook") -> Any:
    """The condition Accepted of a resource.

    Raises:
        LookupError: it has none yet, or only of an older spec.
    """
    found = cluster.get(kind, name, namespace)
    status = found.get("status", {})
    (condition,) = [one for one in status.get("conditions", ()) if one["type"] == "Accepted"] or [
        {}
    ]
    if condition.get("observedGeneration") != found["metadata"]["generation"]:
        raise LookupError(f"{name} has no answer yet: {status}")
    return condition
