"""How pods behave, as manifests say it in an annotation, and the statuses that show it. Pure.

Published in docs/simulated-kubernetes.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from remediator.clients.kubernetes.resources import Object
from remediator.model.quantities import parse_duration
from remediator.simulated.kubernetes.store import annotations_of

ANNOTATION = "remediator.dev/simulated"
"""On a pod, or in a pod template: what its pods do."""

READY_AFTER_S = 3.0
STOPS_AFTER_S = 1.0
ENDS_AFTER_S = 10.0
"""How long a Job's pod runs."""

OUTCOMES = ("ready", "never-ready", "crashes", "image-missing", "unschedulable", "fails")
"""What pods may come to, as the annotation says it."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a pod comes to, and how fast."""

    outcome: str = "ready"
    ready_after_s: float = READY_AFTER_S
    stops_after_s: float = STOPS_AFTER_S
    ends_after_s: float = ENDS_AFTER_S


def behaviour_of(pod: Object, images: Mapping[str, str]) -> Behaviour:
    """Return how a pod behaves: by its annotation, else by its images.

    Raises:
        ValueError: the annotation can't be understood.
    """
    spec = pod.get("spec") or {}
    said = annotations_of(pod).get(ANNOTATION)
    if said is None:
        known = [c.get("image") for c in spec.get("containers") or [] if c.get("image") in images]
        said = images[known[0]] if known else ""
    found = parse(str(said))
    if found.outcome == "fails" and spec.get("restartPolicy", "Always") == "Always":
        # Its kubelet would start it again and again; only what may end can fail.
        return replace(found, outcome="crashes")
    return found


def parse(text: str) -> Behaviour:
    """Read `never-ready`, or `ready-after=30s, stops-after=2s`.

    Raises:
        ValueError: it can't be understood.
    """
    found = Behaviour()
    for part in filter(None, re.split(r"[,\s]+", text.strip())):
        name, given, value = part.partition("=")
        if not given and name in OUTCOMES:
            found = replace(found, outcome=name)
        elif given and name == "ready-after":
            found = replace(found, ready_after_s=parse_duration(value).total_seconds())
        elif given and name == "stops-after":
            found = replace(found, stops_after_s=parse_duration(value).total_seconds())
        elif given and name == "ends-after":
            found = replace(found, ends_after_s=parse_duration(value).total_seconds())
        else:
            raise ValueError(
                f"{ANNOTATION}: {part!r} says nothing; write {', '.join(OUTCOMES)}, "
                "ready-after=30s, stops-after=5s or ends-after=1m"
            )
    return found


def status_of(outcome: str, pod: Object, now: str) -> Object:
    """Return the status of a scheduled pod that has come to an outcome."""
    match outcome:
        case "ready":
            return _status(pod, now, "Running", running(now), ready=True)
        case "never-ready":
            return _status(pod, now, "Running", running(now), reason="ContainersNotReady")
        case "crashes":
            waiting = {
                "reason": "CrashLoopBackOff",
                "message": "back-off 5m0s restarting failed container",
            }
            last = {
                "terminated": {
                    "exitCode": 1,
                    "reason": "Error",
                    "startedAt": now,
                    "finishedAt": now,
                }
            }
            return _status(
                pod,
                now,
                "Running",
                {"waiting": waiting},
                reason="ContainersNotReady",
                started=False,
                restarts=5,
                last=last,
            )
        case "image-missing":
            waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
            return _status(
                pod,
                now,
                "Pending",
                {"waiting": waiting},
                reason="ContainersNotReady",
                started=False,
            )
        case "succeeded":
            return _status(
                pod, now, "Succeeded", _ended(0, "Completed", now), reason="PodCompleted"
            )
        case "fails":
            return _status(pod, now, "Failed", _ended(1, "Error", now), reason="PodFailed")
    return pod.get("status") or {}


def running(now: str) -> Object:
    """Return the state of a container that runs."""
    return {"running": {"startedAt": now}}


def _ended(code: int, reason: str, now: str) -> Object:
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}}


def _status(
    pod: Object,
    now: str,
    phase: str,
    state: Object,
    *,
    ready: bool = False,
    reason: str = "",
    started: bool = True,
    restarts: int = 0,
    last: Object | None = None,
) -> Object:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    flags = {
        "Initialized": (True, ""),
        "ContainersReady": (ready, reason),
        "Ready": (ready, reason),
    }
    known = {c.get("type"): c for c in status.get("conditions") or []}
    conditions = [
        _condition(known.get(kind), kind, holds, why, now) for kind, (holds, why) in flags.items()
    ]
    conditions += [c for kind, c in known.items() if kind not in flags]
    return {
        "phase": phase,
        "conditions": conditions,
        "containerStatuses": [
            {
                "name": container.get("name", ""),
                "image": container.get("image", ""),
                "imageID": "",
                "ready": ready,
                "started": started,
                "restartCount": restarts,
                "state": state,
                "lastState": last or {},
            }
            for container in spec.get("containers") or []
        ],
        "startTime": status.get("startTime", now),
        "qosClass": status.get("qosClass", "BestEffort"),
    }


def _condition(
    before: Mapping[str, Any] | None, kind: str, holds: bool, reason: str, now: str
) -> Object:
    status = "True" if holds else "False"
    since = before["lastTransitionTime"] if before and before.get("status") == status else now
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": since or now,
        **({"reason": reason} if reason else {}),
    }
