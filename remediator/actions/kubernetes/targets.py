"""Objects as targets of plans, and what the operator wrote on them for the guardrails. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from remediator.clients.kubernetes.resources import Object
from remediator.model.plans import Target
from remediator.model.quantities import Money

COST = "remediator.dev/cost-per-replica-hour"
"""On a workload: what one more replica costs by the hour, in the operator's currency, like 0.12."""

LONGEST = 253
"""Annotations with a longer value are left out of plans, as long as a name may be in Kubernetes.
What is longer is a document that a tool keeps there; kubectl keeps the whole manifest, with the
values of its environment."""


def target_of(kind: str, raw: Object) -> Target:
    """Return an object as the target of a plan."""
    metadata = raw["metadata"]
    annotations: Mapping[str, object] = metadata.get("annotations") or {}
    return Target(
        system="kubernetes",
        kind=kind,
        scope=str(metadata["namespace"]),
        name=str(metadata["name"]),
        uid=str(metadata["uid"]),
        labels=dict(metadata.get("labels") or {}),
        annotations={
            name: str(value) for name, value in annotations.items() if not _document(str(value))
        },
    )


def _document(value: str) -> bool:
    """Whether an annotation's value is a document that a tool keeps there, and may hold secrets."""
    return len(value) > LONGEST or value.lstrip().startswith(("{", "["))


def added_cost(raw: Object, replicas: int) -> Decimal | None:
    """Return what so many more replicas (or fewer, below zero) add by the hour.

    None where the workload does not say what one costs, or not so that it can be read.
    """
    given = (raw["metadata"].get("annotations") or {}).get(COST)
    try:
        return None if given is None else Money.parse(given).amount * replicas
    except ValueError:
        return None


def cost_note(raw: Object) -> str:
    """Return a sentence where the cost that stands there can't be read, else nothing."""
    given = (raw["metadata"].get("annotations") or {}).get(COST)
    try:
        if given is not None:
            Money.parse(given)
    except ValueError as error:
        return f"the annotation {COST} can't be read: {error}"
    return ""
