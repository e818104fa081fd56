"""Notifications as Alertmanager posts them, about alerts that are told apart by their `case`."""

import json
from collections.abc import Sequence
from typing import Any

from remediator.model.alerts import fingerprint

STARTS_AT = "2026-11-24T12:00:00Z"
ENDS_AT = "2026-11-24T12:30:00Z"
_NEVER = "0001-01-01T00:00:00Z"

Alert = dict[str, Any]


def alert(
    case: str,
    status: str,
    *,
    starts_at: str = STARTS_AT,
    ends_at: str = ENDS_AT,
    noise: str = "",
    **labels: str,
) -> Alert:
    """One alert `Broken`; while it fires it has no end. `noise` only takes room."""
    labels = {"alertname": "Broken", "case": case} | labels
    return {
        "status": status,
        "labels": labels,
        "annotations": {"noise": noise} if noise else {},
        "startsAt": starts_at,
        "endsAt": _NEVER if status == "firing" else ends_at,
        "generatorURL": "",
        "fingerprint": fingerprint(labels),
    }


def notification(*alerts: Alert) -> bytes:
    """The body of one POST."""
    firing = any(one["status"] == "firing" for one in alerts)
    return json.dumps(
        {
            "version": "4",
            "groupKey": "{}",
            "status": "firing" if firing else "resolved",
            "receiver": "remediator",
            "groupLabels": {},
            "commonLabels": _common(alerts),
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example",
            "truncatedAlerts": 0,
            "alerts": list(alerts),
        }
    ).encode()


def _common(alerts: Sequence[Alert]) -> dict[str, str]:
    shared = set(alerts[0]["labels"].items())
    for one in alerts[1:]:
        shared &= one["labels"].items()
    return dict(sorted(shared))
