"""How a Deployment's new count is spread over its ReplicaSets, in or out of a rollout. Pure.

As `scale` of pkg/controller/deployment/sync.go does it.
"""

import math

from remediator.clients.kubernetes.resources import Object
from remediator.simulated.kubernetes.amounts import max_surge

_DESIRED = "deployment.kubernetes.io/desired-replicas"
_MAXIMUM = "deployment.kubernetes.io/max-replicas"


def sizes(
    deployment: Object, new: Object | None, old: list[Object]
) -> list[tuple[Object, int, bool]]:
    """Return which ReplicaSets go to which count; and whether their notes are written anyway."""
    wanted = int(deployment["spec"].get("replicas", 1))
    every = [*old, *([new] if new else [])]
    running = [rs for rs in every if _size(rs)]
    if not every:
        return []
    if len(running) <= 1:
        newest = new or max(old, key=lambda rs: str(rs["metadata"]["creationTimestamp"]))
        only = running[0] if running else newest
        return [] if _size(only) == wanted else [(only, wanted, False)]
    if new is not None and _saturated(deployment, new):
        return [(rs, 0, False) for rs in old if _size(rs)]
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return []
    return _spread(deployment, running, wanted)


def _spread(
    deployment: Object, running: list[Object], wanted: int
) -> list[tuple[Object, int, bool]]:
    allowed = wanted + max_surge(deployment) if wanted else 0
    to_add = allowed - sum(map(_size, running))
    if to_add > 0:  # of equals the newer first
        running = sorted(running, key=_made, reverse=True)
    elif to_add < 0:
        running = sorted(running, key=_made)
    if to_add:
        running = sorted(running, key=_size, reverse=True)
    added = 0
    found: list[tuple[Object, int, bool]] = []
    for rs in running:
        share = _share(deployment, rs, wanted, to_add, added)
        added += share
        found.append((rs, _size(rs) + share, True))
    if to_add:
        first, size, _ = found[0]
        found[0] = (first, max(0, size + to_add - added), True)
    return found


def _share(deployment: Object, rs: Object, wanted: int, to_add: int, added: int) -> int:
    if not to_add or to_add == added:
        return 0
    fraction = _fraction(deployment, rs, wanted)
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(deployment: Object, rs: Object, wanted: int) -> int:
    size = _size(rs)
    if not wanted:
        return -size
    text = (rs["metadata"].get("annotations") or {}).get(_MAXIMUM, "")
    before = int(text) if text.isdigit() else 0
    before = before or int((deployment.get("status") or {}).get("replicas") or 0)
    if not before:
        return 0
    exact = size * (wanted + max_surge(deployment)) / before
    return math.floor(exact + 0.5) - size


def _saturated(deployment: Object, rs: Object) -> bool:
    wanted = int(deployment["spec"].get("replicas", 1))
    text = (rs["metadata"].get("annotations") or {}).get(_DESIRED, "")
    available = int((rs.get("status") or {}).get("availableReplicas") or 0)
    return _size(rs) == wanted == available and text == str(wanted)


def _size(rs: Object) -> int:
    return int(rs["spec"].get("replicas", 1))


def _made(rs: Object) -> tuple[str, str]:
    return (str(rs["metadata"]["creationTimestamp"]), str(rs["metadata"]["name"]))
