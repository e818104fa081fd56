"""Where `remediator record` has its alert from: a file, a daemon, the journal, or Alertmanager."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.app.reading import Reading
    from remediator.model.alerts import Alert
    from remediator.model.incidents import Incident
    from remediator.settings import Settings

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Source:
    """An alert as the body of a webhook.

    Args:
        name: what messages call it.
        runbook: of the run that it was asked by; empty for none.
    """

    body: Mapping[str, Any]
    name: str
    sender: str = "default"
    runbook: str = ""


def of_daemon(url: str, run: str | None, incident: str | None) -> Source:
    """Ask a running daemon for the alert of a run or an incident.

    Raises:
        Failure: it does not answer, or there is no such thing.
    """
    from remediator.cli import api  # noqa: PLC0415 - keeps --help quick

    daemon = api.Api(url)
    if run is not None:
        view = daemon.get(f"/api/v1/runs/{api.segment(run)}")
        found, runbook = view["incident"], str(view["runbook"])
        if found is None:
            raise Failure(f"run {run} was started by hand: no alert is known; give a file")
        group = (view.get("context") or {}).get("group") or {}
    else:
        found, runbook, group = (
            daemon.get(f"/api/v1/incidents/{api.segment(incident or '')}"),
            "",
            {},
        )
    alert = {
        "labels": found["labels"],
        "annotations": found.get("annotations") or {},
        "startsAt": found["starts_at"],
        "generatorURL": found.get("generator_url") or "",
    }
    return Source(_body(alert, group), f"incident {found['id']}", found["sender"], runbook)


async def of_journal(settings: "Settings", run: str | None, incident: str | None) -> Source:
    """Read the alert of a run or an incident in the journal, without a daemon.

    Raises:
        Failure: the journal can't be read, or there is no such thing.
    """
    from remediator.cli import reading  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415

    try:
        journal = await reading.open_journal(settings, needed=True)
    except CannotOpen as error:
        raise Failure(str(error)) from None
    try:
        runbook = ""
        group: Mapping[str, Any] = {}
        if run is not None:
            found = await journal.run(run)
            if found is None:
                raise Failure(f"the journal has no run {run}")
            if found.incident_id is None:
                raise Failure(f"run {run} was started by hand: no alert is known; give a file")
            incident, runbook = found.incident_id, found.runbook
            group = found.context.get("group") or {}
        known = await journal.incident(incident)
        if known is None:
            raise Failure(f"the journal has no incident {incident}")
        return Source(_body(_of(known), group), f"incident {known.id}", known.sender, runbook)
    finally:
        await journal.close()


async def of_alertmanager(reading: "Reading", sender: str, labels: Mapping[str, str]) -> Source:
    """Ask a sender's Alertmanagers for the one firing alert that has these labels.

    Raises:
        Failure: none answers, or not exactly one alert has them.
    """
    from remediator.cli import show  # noqa: PLC0415
    from remediator.clients.alertmanager import Alertmanagers  # noqa: PLC0415 - keeps --help quick

    asked = reading.clients[Alertmanagers]
    assert isinstance(asked, Alertmanagers)  # noqa: S101 - made so
    if not asked.configured(sender):
        raise Failure(
            f"no Alertmanager is known: set senders.{sender}.alertmanager in the settings"
        )
    found = await asked.alerts(sender, muted=True)
    if found is None:
        raise Failure(f"no Alertmanager of sender {sender} answers, or all have only just started")
    mine = [a for a in found if all(a.labels.get(k) == v for k, v in labels.items())]
    if len(mine) != 1:
        some = "; ".join(show.clean(show.labels(a.labels)) for a in mine[:_MOST_NAMED])
        raise Failure(
            f"{len(mine)} firing alerts have these labels; one is recorded at a time"
            + (f": give more of {some}" if mine else "")
        )
    return Source(_body(_of(mine[0]), {}), "the alert in Alertmanager", sender)


def of_file(path: Path, sender: str) -> Source:
    """Read the alert in a file.

    Raises:
        Failure: it can't be read.
    """
    from remediator.cli import alert_files  # noqa: PLC0415 - keeps --help quick

    return Source(alert_files.notification_body(path), alert_files.named(path), sender)


def _of(one: "Alert | Incident") -> dict[str, Any]:
    from remediator.model.clock import to_text  # noqa: PLC0415 - keeps --help quick

    return {
        "labels": dict(one.labels),
        "annotations": dict(one.annotations),
        "startsAt": to_text(one.starts_at),
        "generatorURL": one.generator_url,
    }


def _body(alert: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": "4",
        "status": "firing",
        "receiver": group.get("receiver") or "",
        "groupKey": "",
        "groupLabels": dict(group.get("labels") or {}),
        "commonLabels": dict(group.get("common_labels") or alert["labels"]),
        "commonAnnotations": dict(group.get("common_annotations") or {}),
        "externalURL": "",
        "alerts": [{"status": "firing", "endsAt": "0001-01-01T00:00:00Z", **alert}],
    }
