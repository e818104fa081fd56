"""Bodies as Alertmanager sends them."""

import json
from typing import Any


def notification(alerts: int = 1, text: str = "slow") -> bytes:
    """Return a body with this many firing alerts."""
    return json.dumps(
        {
            "version": "4",
            "groupKey": "{}:{}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "remediator",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager:9093",
            "alerts": [_alert(number, text) for number in range(alerts)],
        }
    ).encode()


def _alert(number: int, text: str) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "HighLatency", "pod": f"api-{number}"},
        "annotations": {"summary": text},
        "startsAt": "2026-11-24T02:17:38.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": f"{number:016x}",
    }
