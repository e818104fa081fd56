"""Which runbooks an alert starts, and what they are told of it. Pure.

Called by `intake` for each alert of a notification before the journal transaction, and by
`remediator simulate`. Runbooks that are `per: group` get one synthetic alert for the whole group.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from remediator.journal.protocol import Candidate, RunStart
from remediator.model import clock
from remediator.model.alerts import Alert, AlertStatus, Notification
from remediator.model.canonical import JSONObject
from remediator.model.runs import Trigger
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook


def candidates(
    notification: Notification, index: Index, received_at: datetime
) -> tuple[Candidate, ...]:
    """Return every alert, then every group of a `per: group` runbook, with what it would start."""
    group = _group(notification)
    found: list[Candidate] = []
    grouped: dict[str, Runbook] = {}
    for alert in notification.alerts:
        told = context(alert, group)
        firing: list[RunStart] = []
        resolved: list[RunStart] = []
        for runbook in index.candidates(alert.labels):
            if not runbook.applies(alert.labels, alert.annotations, told, received_at):
                continue
            if runbook.per == "group":
                grouped.setdefault(runbook.name, runbook)
            elif runbook.when == "firing":
                firing.append(_start(runbook, Trigger.FIRING, told, received_at))
            else:
                resolved.append(_start(runbook, Trigger.RESOLVED, told, received_at))
        found.append(Candidate(alert, tuple(firing), tuple(resolved)))
    if grouped:
        found.append(_group_candidate(notification, tuple(grouped.values()), group, received_at))
    return tuple(found)


def context(alert: Alert, group: JSONObject) -> JSONObject:
    """Return what expressions know of an alert and its group, as JSON for the journal."""
    return {
        "alert": {
            "status": alert.status.value,
            "labels": dict(alert.labels),
            "annotations": dict(alert.annotations),
            "starts_at": clock.to_text(alert.starts_at),
            "generator_url": alert.generator_url,
            "fingerprint": alert.fingerprint,
        },
        "group": group,
    }


def manual_context(
    labels: Mapping[str, str], annotations: Mapping[str, str], at: datetime
) -> JSONObject:
    """Return the context of a run that a person starts with labels of their own."""
    return context(
        Alert(AlertStatus.FIRING, labels, annotations, at, None, "", "manual"),
        {"labels": {}, "common_labels": dict(labels), "common_annotations": {}, "receiver": ""},
    )


def _start(runbook: Runbook, trigger: Trigger, told: JSONObject, at: datetime) -> RunStart:
    return RunStart(
        runbook=runbook.name,
        version=runbook.version,
        trigger=trigger,
        wake_at=at + runbook.wait_for,
        context=told,
    )


def _group(notification: Notification) -> JSONObject:
    return {
        "labels": dict(notification.group_labels),
        "common_labels": dict(notification.common_labels),
        "common_annotations": dict(notification.common_annotations),
        "receiver": notification.receiver,
    }


def _group_candidate(
    notification: Notification,
    runbooks: Sequence[Runbook],
    group: JSONObject,
    at: datetime,
) -> Candidate:
    alert = _as_alert(notification)
    told = context(alert, group)
    starts = list(_starts_for_group(runbooks, told, at))
    return Candidate(
        alert,
        tuple(s for s in starts if s.trigger is Trigger.FIRING),
        tuple(s for s in starts if s.trigger is Trigger.RESOLVED),
    )


def _starts_for_group(
    runbooks: Sequence[Runbook], told: JSONObject, at: datetime
) -> Iterator[RunStart]:
    for runbook in runbooks:
        trigger = Trigger.FIRING if runbook.when == "firing" else Trigger.RESOLVED
        yield _start(runbook, trigger, told, at)


def _as_alert(notification: Notification) -> Alert:
    """Make the alert that stands for a group: it fires as long as any of its alerts does.

    Its identity is the group's labels, not `groupKey`, which changes when routes are edited.
    """
    firing = [alert for alert in notification.alerts if alert.firing]
    ends = [alert.ends_at for alert in notification.alerts if alert.ends_at]
    names = "\0".join(f"{k}\0{v}" for k, v in sorted(notification.group_labels.items()))
    return Alert(
        status=AlertStatus.FIRING if firing else AlertStatus.RESOLVED,
        labels={**notification.group_labels, **notification.common_labels},
        annotations=notification.common_annotations,
        starts_at=min(alert.starts_at for alert in firing or notification.alerts),
        ends_at=None if firing else max(ends, default=None),
        generator_url=notification.alerts[0].generator_url,
        fingerprint="group-" + hashlib.sha256(names.encode()).hexdigest()[:16],
    )
