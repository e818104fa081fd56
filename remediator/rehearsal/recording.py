"""What a plan found in the real world → a runbook's test that finds the same. Pure.

Owns what of a recording is kept and how it is masked, and the file's text. `clients.recording` saw
it; `remediator record` brings both together. What is written here, `files` reads.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import yarl

from remediator.clients.http import addressed
from remediator.clients.readonly import ASSUMED_EXIT
from remediator.clients.recording import Exchange, Tape
from remediator.model.alerts import Alert, Notification
from remediator.model.clock import to_minute
from remediator.observe import masking
from remediator.rehearsal import trimming, writing
from remediator.simulated.answers import ANY_ARGUMENTS

SETTLE = timedelta(seconds=10)
"""How long after a run may begin its plan is looked at."""
_KEPT_HEADERS = frozenset({"content-type", "location", "retry-after"})


@dataclass(frozen=True, slots=True)
class Series:
    """What Prometheus held: samples on a grid that ends at the recording.

    Args:
        lead: how long before the recording they begin.
        items: series and values in promtool's notation.
        doubts: queries whose series could not be had, and why.
    """

    lead: timedelta = timedelta()
    interval: timedelta = timedelta(minutes=1)
    items: tuple[tuple[str, str], ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """How the run stood when it was recorded."""

    runbook: str
    state: str
    reason: str
    plans: tuple[str, ...]
    verdicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that a test is written from.

    Args:
        at: when it was recorded.
        runbooks: files of runbooks, relative to the test's; empty for the one beside it.
        body: the webhook body; used as it is where it is more than one plain alert.
        raw: the file that holds the body, relative to the test's; empty for none.
        held: the runbook would act by itself; the test's policy asks first, so that the plan is
            seen as it was.
        wait_for: how long the runbook waits.
        schema: where the test's JSON Schema is, relative to it; empty where it is not known.
        servers: addresses whose requests are no part of the world (Alertmanager, Prometheus).
    """

    at: datetime
    runbooks: tuple[str, ...]
    notification: Notification
    body: Mapping[str, Any]
    raw: str
    tape: Tape
    series: Series
    expected: Expected
    held: bool
    wait_for: timedelta
    schema: str = ""
    servers: tuple[str, ...] = ()
    doubts: list[str] = field(default_factory=list)


def text(recording: Recording) -> str:
    """Return the test file's text; what a reader must know is added to `doubts`."""
    # The run begins when its wait is over, which is when it was recorded.
    lead = max(recording.series.lead, recording.wait_for)
    start = (recording.at - lead).replace(microsecond=0)
    look = lead + SETTLE
    name = recording.notification.alerts[0].labels.get("alertname", "an alert")
    document: dict[str, Any] = {}
    if recording.runbooks:
        document["runbooks"] = list(recording.runbooks)
    if recording.held:
        document["policy"] = {"mode": "approve"}
    document |= {
        "start": start,
        "world": world(recording),
        "tests": [
            {
                "name": f"{name}, as recorded",
                "timeline": [{"at": _s(lead - recording.wait_for), **_event(recording)}],
                "expect": [{"at": _s(look), "runs": [_run(recording.expected)]}],
            }
        ],
    }
    head = [f"# Recorded by `remediator record` on {to_minute(recording.at)}; secrets are masked."]
    head = writing.modeline(recording.schema) + head
    if recording.held:
        head += [
            "# By itself the runbook would act. Here its plan is held for a person, to be seen as",
            "# it was; approve it in the timeline, or take `policy` away, to go on.",
        ]
    # What servers said may hold line ends, which would end the comment.
    head += [f"# {' '.join(doubt.split())}" for doubt in recording.doubts]
    return "\n".join(head) + "\n" + writing.yaml_text(document)


def world(recording: Recording) -> dict[str, Any]:
    """Return the world that was seen, masked."""
    tape, series = recording.tape, recording.series
    found: dict[str, Any] = {}
    if tape.objects:
        found["kubernetes"] = [
            trimming.trimmed(one) for _, one in sorted(tape.objects.items(), key=lambda kv: kv[0])
        ]
    if series.items:
        found["prometheus"] = {
            "interval": _s(series.interval),
            "series": [{"series": name, "values": values} for name, values in series.items],
        }
    answers = list(_answers(recording))
    if answers:
        found["http"] = answers
    asked = {command[0] for command in tape.commands}
    # What a plan would start must be in the world as well, else it can't be planned there.
    to_start = [program for program in tape.programs if program not in asked]
    if tape.commands or to_start:
        found["exec"] = [
            {"command": trimming.words(command), "exit": ASSUMED_EXIT, "stdout": ""}
            for command in tape.commands
        ] + [{"command": [program, ANY_ARGUMENTS], "exit": 0} for program in to_start]
    if tape.commands:
        recording.doubts.append(
            f"No command was started: each is taken to end with {ASSUMED_EXIT}; write what it says."
        )
        if any(list(c) != trimming.words(c) for c in tape.commands):
            recording.doubts.append("A command's words are masked: put `*` in their place.")
    recording.doubts.extend(series.doubts)
    return found


def _answers(recording: Recording) -> Iterable[dict[str, Any]]:
    seen: dict[str, dict[str, Any]] = {}
    for one in recording.tape.exchanges:
        if any(one.url.startswith(server) for server in recording.servers if server):
            continue
        url = str(_plain(one))
        shown = masking.text(url)
        if shown != url:
            recording.doubts.append(f"The URL {shown} is masked, so that its request is not found.")
        entry: dict[str, Any] = {"request": f"{one.method} {shown}"}
        seen.setdefault(entry["request"], {**entry, **_answer(one)})
    return seen.values()


def _plain(one: Exchange) -> yarl.URL:
    return addressed(one.url, one.query).with_user(None)


def _answer(one: Exchange) -> dict[str, Any]:
    if one.answer is None:
        return {"fails": "no connection"}
    found: dict[str, Any] = {"status": one.answer.status}
    headers = {
        name: masking.value(name, value)
        for name, value in one.answer.headers.items()
        if name in _KEPT_HEADERS
    }
    if headers:
        found["headers"] = headers
    body = one.answer.text
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if isinstance(value, dict | list):
        clean = masking.document(value)
        return {**found, **({"body": body} if clean == value else {"json": clean})}
    return {**found, **({"body": masking.text(body)} if body else {})}


# ------------------------------------------------------------------------------------ the test


def masked_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a webhook body without anything secret."""
    clean = masking.document(dict(body))
    assert isinstance(clean, dict)  # noqa: S101 - a mapping went in
    return clean


def _event(recording: Recording) -> dict[str, Any]:
    notification = recording.notification
    if recording.raw:
        return {"notification": recording.raw}
    alerts = notification.alerts
    if len(alerts) != 1 or not alerts[0].firing or notification.truncated:
        return {"notification": masked_body(recording.body)}
    event: dict[str, Any] = {"firing": _masked(alerts[0], "labels")}
    if alerts[0].annotations:
        event["annotations"] = _masked(alerts[0], "annotations")
    if notification.group_labels:
        event["group"] = {k: masking.value(k, v) for k, v in notification.group_labels.items()}
    return event


def _masked(alert: Alert, what: str) -> dict[str, str]:
    given: Mapping[str, str] = getattr(alert, what)
    return {name: masking.value(name, value) for name, value in given.items()}


def _run(expected: Expected) -> dict[str, Any]:
    found: dict[str, Any] = {"runbook": expected.runbook, "state": expected.state}
    if expected.reason:
        found["reason"] = expected.reason
    if expected.plans:
        found["plans"] = [masking.text(plan) for plan in expected.plans]
    if expected.verdicts:
        found["verdicts"] = list(expected.verdicts)
    return found


def _s(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"
