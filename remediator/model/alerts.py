"""What a sender tells us: a notification and its alerts, whatever the dialect it came in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlertStatus(StrEnum):
    """An alert's own status; the group's status says nothing about a single alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification.

    `fingerprint` is the sender's hash of the labels. `ends_at` is None while it fires, and when
    nobody knows when it ended.
    """

    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    generator_url: str
    fingerprint: str

    @property
    def firing(self) -> bool:
        """Whether this alert says that it fires."""
        return self.status is AlertStatus.FIRING


@dataclass(frozen=True, slots=True)
class Notification:
    """One webhook POST: a group with its alerts, parsed.

    `truncated` counts the alerts that the sender dropped from the tail (`truncatedAlerts`).
    """

    receiver: str
    status: AlertStatus
    group_key: str
    group_labels: Mapping[str, str]
    common_labels: Mapping[str, str]
    common_annotations: Mapping[str, str]
    external_url: str
    alerts: tuple[Alert, ...]
    truncated: int = 0


GROUP = "group/"
"""How the fingerprint begins that stands for a whole group; sources accept no such one."""


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return Alertmanager's fingerprint of a label set: 64-bit FNV-1a over the sorted pairs.

    Source: prometheus/common `model/fnv.go` and `LabelSet.Fingerprint`; names and values are
    each followed by the byte 0xff.
    """
    value = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
