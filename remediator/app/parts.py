"""What the settings ask for: clients, notifiers, and the people whom they know.

Called by `daemon`, and by `cli` where it needs the same without a daemon.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Protocol

from remediator.clients import apprise as apprise_client
from remediator.clients.alertmanager import Alertmanagers
from remediator.clients.apprise import AppriseClient
from remediator.clients.grafana import GrafanaClient
from remediator.clients.http import HttpClient
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.mail import MailClient
from remediator.clients.opsgenie import OpsgenieClient
from remediator.clients.pagerduty import PagerDutyClient
from remediator.clients.process import ProcessRunner
from remediator.clients.prometheus import PrometheusClient
from remediator.clients.slack.client import SlackClient
from remediator.clients.teams import TeamsClient
from remediator.clients.webhooks import WebhookClient
from remediator.engine.clock import SystemClock
from remediator.engine.people import Roster
from remediator.engine.rosters import Schedules, SlackGroups
from remediator.model import escalation
from remediator.model.clock import Clock
from remediator.model.oncall import OnCall
from remediator.plugin.notifier import Notifier
from remediator.plugin.registry import Registry
from remediator.runbook import oncall_file, people, store
from remediator.settings import Settings, SettingsError, Wanted


def make_clients(settings: Settings, clock: Clock | None = None) -> "dict[type, Closable]":
    """Make every client; each connects when it is first used."""
    ticking = clock or SystemClock()
    clients: list[Closable] = [
        Kubernetes(settings.kubernetes),
        PrometheusClient(settings.prometheus),
        Alertmanagers(settings.senders),
        HttpClient(),
        ProcessRunner(settings.exec),
        SlackClient(settings.slack, settings.groups, settings.people, monotonic=ticking.monotonic),
        PagerDutyClient(settings.pagerduty),
        OpsgenieClient(settings.opsgenie),
        TeamsClient(settings.teams),
        WebhookClient(settings.webhooks),
        MailClient(settings.email),
        GrafanaClient(settings.grafana),
        AppriseClient(settings.apprise),
    ]
    return {type(client): client for client in clients}


def names_in(settings: Settings) -> people.Names:
    """Return the names of people that the settings know.

    Raises:
        SettingsError: one of them can't be what it should be; the text has all such faults.
    """
    faults: list[str] = []
    schedules: dict[str, OnCall | None] = {}
    for name, schedule in settings.schedules.items():
        schedules[name] = None
        if schedule.file is not None:
            try:
                schedules[name] = oncall_file.load(schedule.file)
            except store.RunbookErrors as error:
                faults += [f"schedules.{name}: {one}" for one in error.findings]
        elif settings.pagerduty.api_token is None:
            faults.append(f"schedules.{name}: asks PagerDuty; set pagerduty.api_token")
    names = people.Names(
        settings.groups, settings.people, schedules, settings.slack.bot_token is not None
    )
    faults += people.faults(settings, names)
    if faults:
        raise SettingsError("\n".join(faults))
    return names


def rosters(settings: Settings, clients: Mapping[type, object]) -> Mapping[str, Roster]:
    """Return the lists of people that are kept elsewhere, by the prefix of their names."""
    slack, pagerduty = clients[SlackClient], clients[PagerDutyClient]
    assert isinstance(slack, SlackClient)  # noqa: S101 - made by `make_clients`
    assert isinstance(pagerduty, PagerDutyClient)  # noqa: S101 - likewise
    return {
        "slack-group": SlackGroups(slack),
        "schedule": Schedules(settings.schedules, pagerduty),
    }


class Closable(Protocol):
    """Anything that holds connections."""

    async def close(self) -> None:
        """Let them go. Idempotent."""


def configured_notifiers(settings: Settings, registry: Registry) -> Mapping[str, Notifier]:
    """Return the notifiers that the settings give what they need; third-party ones always."""
    configured = dict(_destinations(settings, registry))
    without = {name for name, one in registry.notifiers.items() if one.destinations}
    if settings.slack.bot_token is None or not settings.slack.channel:
        without.add("slack")
    if not (settings.pagerduty.configured and settings.pagerduty.change_events):
        without.add("pagerduty-changes")
    without |= {
        name
        for name, section in (
            ("pagerduty", settings.pagerduty),
            ("opsgenie", settings.opsgenie),
            ("teams", settings.teams),
            ("email", settings.email),
            ("grafana", settings.grafana),
        )
        if not section.configured
    }
    configured |= {name: one for name, one in registry.notifiers.items() if name not in without}
    callable_ = people_reached(configured)
    for name in escalation.names(settings.escalate_to):
        if name not in callable_:
            near = difflib.get_close_matches(name, callable_, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(
                f"escalate_to: {name!r} is not configured, or reaches nobody; these do: "
                f"{', '.join(sorted(callable_)) or 'none'}{hint}"
            )
    return configured


def people_reached(notifiers: Mapping[str, Notifier]) -> frozenset[str]:
    """Return the names of those through which a person can be called."""
    return frozenset(name for name, one in notifiers.items() if one.reaches_people)


def _destinations(settings: Settings, registry: Registry) -> Iterator[tuple[str, Notifier]]:
    webhook = registry.notifiers.get("webhook")
    for name, endpoint in settings.webhooks.items() if webhook else ():
        pager = endpoint.notes is Wanted.ESCALATIONS
        assert webhook is not None  # noqa: S101 - asked above
        yield f"webhook:{name}", webhook.at(name, escalates=pager)
    apprise = registry.notifiers.get("apprise")
    if settings.apprise and not apprise_client.installed():
        raise SettingsError(f"apprise: {apprise_client.INSTALL}")
    for name in settings.apprise if apprise else ():
        assert apprise is not None  # noqa: S101 - asked above
        yield f"apprise:{name}", apprise.at(name, escalates=False)
