"""Which runbooks an alert starts, and what they are told of it. Pure.

Called by `intake` for each alert of a notification before the journal transaction, and by
`simulate`. Runbooks that are `per: group` get one synthetic alert for the whole group.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from remediator.journal.values import Candidate, RunStart
from remediator.model import clock
from remediator.model.alerts import GROUP, Alert, AlertStatus, Notification
from remediator.model.canonical import JSONObject
from remediator.model.incidents import Incident
from remediator.model.runs import Trigger
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook


def candidates(
    notification: Notification, index: Index, received_at: datetime
) -> tuple[Candidate, ...]:
    """Return every alert, then every group of a `per: group` runbook, with what it would start."""
    group = _group(notification)
    found: list[Candidate] = []
    grouped: dict[str, tuple[Runbook, list[Alert]]] = {}
    for alert in notification.alerts:
        runbooks = index.candidates(alert.labels)
        if not runbooks:
            found.append(Candidate(alert, (), ()))
            continue
        told = context(alert, group)
        firing: list[RunStart] = []
        resolved: list[RunStart] = []
        failed: list[str] = []
        for runbook in runbooks:
            try:
                if not runbook.applies(alert.labels, alert.annotations, told, received_at):
                    continue
            except ExpressionFailed as error:
                failed.append(f"{runbook.name}: {error}")
                continue
            if runbook.per == "group":
                grouped.setdefault(runbook.name, (runbook, []))[1].append(alert)
            elif runbook.when == "firing":
                firing.append(_start(runbook, Trigger.FIRING, told, received_at))
            else:
                resolved.append(_start(runbook, Trigger.RESOLVED, told, received_at))
        found.append(Candidate(alert, tuple(firing), tuple(resolved), tuple(failed)))
    if grouped:
        found.append(_group_candidate(notification, grouped.values(), group, received_at))
    return tuple(found)


def closing(incident: Incident, index: Index, at: datetime) -> Candidate:
    """Return what it means that an incident is over, though no *resolved* of it came.

    When it ended is not known, so the alert carries no end.
    """
    whole_group = incident.fingerprint.startswith(GROUP)
    alert = Alert(
        AlertStatus.RESOLVED,
        incident.labels,
        incident.annotations,
        incident.starts_at,
        None,
        incident.generator_url,
        incident.fingerprint,
    )
    group: JSONObject = {
        "labels": dict(incident.labels) if whole_group else {},
        "common_labels": dict(incident.labels),
        "common_annotations": dict(incident.annotations),
        "receiver": "",
    }
    told = context(alert, group)
    starts = tuple(
        _start(runbook, Trigger.RESOLVED, told, at)
        for runbook in index.candidates(incident.labels)
        if runbook.when == "resolved"
        and (runbook.per == "group") is whole_group
        and _applies(runbook, incident, told, at)
    )
    return Candidate(alert, (), starts)


def _applies(runbook: Runbook, incident: Incident, told: JSONObject, at: datetime) -> bool:
    try:
        return runbook.applies(incident.labels, incident.annotations, told, at)
    except ExpressionFailed:
        return False  # said when the alert came


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
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    at: datetime,
    parameters: JSONObject | None = None,
) -> JSONObject:
    """Return the context of a run that a person starts with labels of their own.

    Args:
        parameters: what the person gave for the runbook's, checked; the others have defaults.
    """
    told = context(
        Alert(AlertStatus.FIRING, labels, annotations, at, None, "", "manual"),
        {"labels": {}, "common_labels": dict(labels), "common_annotations": {}, "receiver": ""},
    )
    return {**told, "parameters": dict(parameters)} if parameters else told


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
    grouped: Iterable[tuple[Runbook, Sequence[Alert]]],
    group: JSONObject,
    at: datetime,
) -> Candidate:
    """Return the group as one alert, with the runs that its members call for.

    A runbook is about those members that it matches; the others are none of its business.
    """
    firing: list[RunStart] = []
    resolved: list[RunStart] = []
    for runbook, members in grouped:
        burning = [alert for alert in members if alert.firing]
        told = context(_standing_for(notification, burning or members), group)
        if runbook.when == "resolved":
            resolved.append(_start(runbook, Trigger.RESOLVED, told, at))
        elif burning:
            firing.append(_start(runbook, Trigger.FIRING, told, at))
    return Candidate(_as_alert(notification), tuple(firing), tuple(resolved))


def _standing_for(notification: Notification, members: Sequence[Alert]) -> Alert:
    """Make the alert that a group's run is told of: what its members have in common."""
    whole = _as_alert(notification)
    return replace(
        whole,
        status=members[0].status,
        labels={**notification.group_labels, **_common([alert.labels for alert in members])},
        annotations=_common([alert.annotations for alert in members]),
        starts_at=min(alert.starts_at for alert in members),
        generator_url=members[0].generator_url,
    )


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = maps
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def _as_alert(notification: Notification) -> Alert:
    """Make the alert that stands for a group: it fires as long as any of its alerts does.

    Its identity is the receiver and the group's labels, not `groupKey`, which changes when routes
    are edited and differs where `continue: true` sends the same alerts twice. Its labels are the
    group's alone: what its members have in common today they need not have tomorrow.
    """
    firing = [alert for alert in notification.alerts if alert.firing]
    # What was dropped from the tail may fire; then only the group's own status tells.
    burns = bool(firing) or (
        notification.truncated > 0 and notification.status is AlertStatus.FIRING
    )
    ends = [alert.ends_at for alert in notification.alerts if alert.ends_at]
    parts = [notification.receiver]
    parts += [part for pair in sorted(notification.group_labels.items()) for part in pair]
    return Alert(
        status=AlertStatus.FIRING if burns else AlertStatus.RESOLVED,
        labels=notification.group_labels,
        annotations=notification.common_annotations,
        starts_at=min(alert.starts_at for alert in firing or notification.alerts),
        ends_at=None if burns else max(ends, default=None),
        generator_url=notification.alerts[0].generator_url,
        fingerprint=GROUP + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16],
    )
