"""What `25%` or `3` of a count is, rounded as each controller rounds it. Pure."""

import math
from typing import Any

from remediator.clients.kubernetes.resources import Object


def part(amount: object, of: int, *, up: bool) -> int:
    """Return a number or a percentage of a count."""
    text = str(amount)
    if not text.endswith("%"):
        return int(text)
    exact = of * int(text[:-1]) / 100
    return math.ceil(exact) if up else math.floor(exact)


def _rolling(deployment: Object) -> dict[str, Any] | None:
    strategy = deployment["spec"].get("strategy") or {}
    return None if strategy.get("type") == "Recreate" else (strategy.get("rollingUpdate") or {})


def max_surge(deployment: Object) -> int:
    """Return how many pods beyond its count a Deployment's rollout may add."""
    rolling = _rolling(deployment)
    if rolling is None:
        return 0
    return part(rolling.get("maxSurge", "25%"), int(deployment["spec"].get("replicas", 1)), up=True)


def max_unavailable(deployment: Object) -> int:
    """Return how many of its pods a Deployment's rollout may take out of service."""
    rolling, wanted = _rolling(deployment), int(deployment["spec"].get("replicas", 1))
    if rolling is None or not wanted:
        return 0
    down = part(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    if not down and not max_surge(deployment):
        down = 1
    return min(down, wanted)
