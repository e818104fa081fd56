"""What happens in a test's timeline: alerts, people's words, changes of the world, a crash.

Each goes the way that it goes in a daemon: notifications through the real source, people's words
through the real desk. Returns a line for the story; raises `Impossible` where it can't happen, as
when somebody answers what nobody asked. Called by `play`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from remediator.model.alerts import Alert, AlertStatus, Notification, fingerprint
from remediator.model.approvals import Answer, DecisionOutcome, SnoozeOutcome
from remediator.model.clock import from_text, to_text
from remediator.model.runs import RunState
from remediator.model.views import RunView
from remediator.plugin.notifier import NotAuthorised
from remediator.plugin.source import Rejected, Source
from remediator.rehearsal.expect import Line, Side, fits
from remediator.rehearsal.schema import Event, Lift, Resume, RunByHand, Snooze, Word
from remediator.simulated.spec import WorldChange
from remediator.simulated.world import SENDER, World
from remediator.testing.daemon import InProcessDaemon

VIA = "test"
_WELL = frozenset({DecisionOutcome.APPROVED, DecisionOutcome.DENIED, DecisionOutcome.COUNTED})


class Impossible(Exception):
    """What the timeline says can't happen now, or went otherwise; the text says why."""

    def __init__(self, message: str, lines: tuple[Line, ...] = ()) -> None:
        super().__init__(message)
        self.lines = lines


class Happenings:
    """Lets one thing after the other happen to a daemon and its world."""

    def __init__(self, daemon: InProcessDaemon, world: World, source: Source) -> None:
        self._daemon = daemon
        self._world = world
        self._source = source
        self._unheard = False
        """Whether an alert ended of which no notification told."""
        self.fired: list[Mapping[str, str]] = []
        """The labels of every alert that fired so far."""

    async def happen(
        self, event: Event, change: WorldChange | None, body: Mapping[str, Any] | None
    ) -> str:
        """Let one entry of a timeline happen, and settle. Returns a line for the story.

        Args:
            event: the entry.
            change: how the world changes, its files resolved.
            body: of a recorded notification.

        Raises:
            Impossible: it can't happen, or went otherwise than the test says.
        """
        text = await self._happen(event, change, body)
        await self._daemon.settle()
        return text

    async def _happen(
        self, event: Event, change: WorldChange | None, body: Mapping[str, Any] | None
    ) -> str:
        match event.what:
            case "firing":
                return await self._fire(event)
            case "resolved":
                return await self._resolve(event)
            case "notification":
                return await self._recorded(body or {})
            case "approve" | "deny" | "snooze":
                return await self._answer(event)
            case "cancel" | "acknowledge" | "resume":
                return await self._meddle(event)
            case "override":
                assert event.override is not None  # noqa: S101 - by `what`
                return await self._lift(event.override)
            case "run":
                assert event.run is not None  # noqa: S101 - by `what`
                return await self._by_hand(event.run)
            case "pause" | "unpause":
                return await self._pause(event)
            case "world":
                assert change is not None  # noqa: S101 - `files` resolves every change
                try:
                    self._world.change(change)
                except ValueError as error:
                    raise Impossible(str(error)) from None
                return f"the world changes: {_summary(change)}"
            case "alertmanager":
                self._world.alertmanager.reachable = event.alertmanager == "up"
                return f"Alertmanager is {event.alertmanager}"
        await self._daemon.restart()
        return "the daemon crashes, and starts again"

    async def catch_up(self) -> None:
        """Let the daemon find out what no notification told it, as it does every minute."""
        if self._unheard:
            self._unheard = False
            await self._daemon.reconciler.close_what_ended()
            await self._daemon.settle()

    # --- alerts ---------------------------------------------------------------------------

    async def _fire(self, event: Event) -> str:
        self.fired += event.firing or ()
        now = self._daemon.clock.now()
        alerts = [
            self._world.alertmanager.fire(
                Alert(
                    AlertStatus.FIRING,
                    dict(labels),
                    dict(event.annotations),
                    now,
                    None,
                    "http://prometheus.test/graph",
                    fingerprint(labels),
                )
            )
            for labels in event.firing or ()
        ]
        if event.told:
            await self._notify(alerts, event.group)
        untold = "" if event.told else " (its notification is lost)"
        return f"fires: {'; '.join(_labels(one.labels) for one in alerts)}{untold}"

    async def _resolve(self, event: Event) -> str:
        now = self._daemon.clock.now()
        stopped: list[Alert] = []
        for labels in event.resolved or ():
            found = self._world.alertmanager.clear(labels)
            if not found:
                raise Impossible(f"no alert fires with the labels {_labels(labels)}")
            stopped += (replace(one, status=AlertStatus.RESOLVED, ends_at=now) for one in found)
        if event.told:
            await self._notify(stopped, event.group)
        else:
            self._unheard = True
        untold = "" if event.told else " (its notification is lost)"
        return f"stops: {'; '.join(_labels(one.labels) for one in stopped)}{untold}"

    async def _notify(self, alerts: Sequence[Alert], group: Mapping[str, str]) -> None:
        await self._post(notification_body(alerts, group))

    async def _recorded(self, body: Mapping[str, Any]) -> str:
        moved = shifted(body, self._daemon.clock.now())
        notification = self._source.parse(json.dumps(moved).encode())
        for alert in notification.alerts:
            if alert.firing:
                self._world.alertmanager.fire(alert)
            else:
                self._world.alertmanager.clear(alert.labels)
        await self._post(moved)
        return f"a recorded notification arrives: {_alerts(notification)}"

    async def _post(self, body: Mapping[str, Any]) -> None:
        await self._daemon.intake.receive(
            SENDER, self._source.name, json.dumps(body).encode(), self._daemon.clock.now()
        )

    # --- people ---------------------------------------------------------------------------

    async def _answer(self, event: Event) -> str:
        word: Word = getattr(event, event.what)
        view = await self._meant(word, lambda one: one.approval is not None and _asks(one), "asks")
        question = view.approval
        assert question is not None  # noqa: S101 - as was asked for
        try:
            if isinstance(word, Snooze):
                put_off = await self._daemon.desk.put_off(
                    question.id, actor=word.by, for_=word.for_, reason=word.reason, via=VIA
                )
                message, well = put_off.message, put_off.outcome is SnoozeOutcome.SNOOZED
            else:
                answer = Answer.APPROVE if event.what == "approve" else Answer.DENY
                answered = await self._daemon.desk.decide(
                    question.id, actor=word.by, answer=answer, reason=word.reason, via=VIA
                )
                message, well = answered.message, answered.outcome in _WELL
        except NotAuthorised as error:
            message, well = str(error), False
        self._check(word, message, well)
        return f"{word.by} says {event.what} to {view.run.runbook}: {message}"

    async def _meddle(self, event: Event) -> str:
        word: Word = getattr(event, event.what)
        who = {
            "cancel": (lambda one: not one.run.state.ended, "is under way"),
            "acknowledge": (lambda one: one.calls, "calls for a person"),
            "resume": (lambda one: one.run.state is RunState.INTERRUPTED, "is interrupted"),
        }
        view = await self._meant(word, *who[event.what])
        run_id = view.run.id
        try:
            if isinstance(word, Resume):
                well = await self._daemon.control.resume(run_id, by=word.by, how=word.how)
                message = f"goes on: {word.how.value}" if well else "The run is not interrupted."
            else:
                do = getattr(self._daemon.desk, event.what)
                message = await do(run_id, actor=word.by, reason=word.reason, via=VIA)
                well = True
        except NotAuthorised as error:
            message, well = str(error), False
        self._check(word, message, well)
        return f"{word.by} says {event.what} to {view.run.runbook}: {message}"

    async def _lift(self, word: Lift) -> str:
        def stopped(view: RunView) -> bool:
            return any(one.rule == word.guardrail for one in view.verdicts)

        view = await self._meant(word, stopped, f"is stopped by {word.guardrail}")
        try:
            lifted = await self._daemon.overrides.grant(
                view.run.id, word.guardrail, actor=word.by, reason=word.reason, via=VIA
            )
            message, well = lifted.message, lifted.override is not None
        except (NotAuthorised, Rejected) as error:
            message, well = str(error), False
        self._check(word, message, well)
        return f"{word.by} lifts {word.guardrail} for {view.run.runbook}: {message}"

    async def _by_hand(self, word: RunByHand) -> str:
        try:
            run_id, message = await self._daemon.desk.start(
                word.runbook, word.labels, actor=word.by, via=VIA, parameters=word.params
            )
            well = bool(run_id)
        except NotAuthorised as error:
            message, well = str(error), False
        self._check(word, message, well)
        return f"{word.by} starts {word.runbook} by hand"

    async def _pause(self, event: Event) -> str:
        word = event.pause or event.unpause
        assert word is not None  # noqa: S101 - by `what`
        desk = self._daemon.desk
        try:
            if event.pause is not None:
                text = await desk.pause(
                    word.scope, actor=word.by, reason=word.reason, for_=word.for_, via=VIA
                )
            else:
                text = await desk.unpause(word.scope, actor=word.by, via=VIA)
        except NotAuthorised as error:
            raise Impossible(str(error)) from None
        return text

    async def _meant(self, word: Word, may: Callable[[RunView], bool], does: str) -> RunView:
        """Return the one run that a person's word is about."""
        runs = await self._daemon.runs()
        views = [await self._daemon.view(run.id) for run in runs]
        named = [
            view
            for view in views
            if (word.run is None or view.run.runbook == word.run)
            and all(view.labels.get(name, "") == value for name, value in word.labels.items())
        ]
        found = [view for view in named if may(view)]
        if len(found) == 1:
            return found[0]
        if found:
            text = f"more than one run {does}; say which with run: or labels:"
            raise Impossible(text, tuple(_shown(view) for view in found))
        which = f" of {word.run}" if word.run else ""
        text = f"no run{which} {does} at this time"
        raise Impossible(text, tuple(_shown(view) for view in views))

    def _check(self, word: Word | RunByHand, message: str, well: bool) -> None:
        if word.refused is None and not well:
            raise Impossible(f"{word.by} was turned away: {message}")
        if word.refused is not None and well:
            raise Impossible(f"{word.by} was to be turned away, and was not: {message}")
        if word.refused is not None and not fits(word.refused, message):
            lines = (Line(Side.EXPECTED, word.refused), Line(Side.FOUND, message))
            raise Impossible(f"{word.by} was turned away in other words", lines)


def _asks(view: RunView) -> bool:
    return view.run.state is RunState.AWAITING_APPROVAL


def _shown(view: RunView) -> Line:
    labels = f" {_labels(view.labels)}" if view.labels else ""
    run = view.run
    return Line(Side.FOUND, f"{run.runbook}{labels}: {run.state} ({run.reason}): {run.message}")


# ------------------------------------------------------------------------- notifications


def notification_body(alerts: Sequence[Alert], group: Mapping[str, str]) -> dict[str, Any]:
    """Return the webhook body that Alertmanager sends about these alerts."""
    firing = any(alert.firing for alert in alerts)
    shared: dict[str, str] = dict(alerts[0].labels) if alerts else {}
    notes: dict[str, str] = dict(alerts[0].annotations) if alerts else {}
    for alert in alerts[1:]:
        shared = {k: v for k, v in shared.items() if alert.labels.get(k) == v}
        notes = {k: v for k, v in notes.items() if alert.annotations.get(k) == v}
    spelt = ", ".join(f'{name}="{value}"' for name, value in sorted(group.items()))
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{spelt}}}",
        "truncatedAlerts": 0,
        "status": "firing" if firing else "resolved",
        "receiver": "remediator",
        "groupLabels": dict(group),
        "commonLabels": shared,
        "commonAnnotations": notes,
        "externalURL": "http://alertmanager.test",
        "alerts": [
            {
                "status": alert.status.value,
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": to_text(alert.starts_at),
                "endsAt": to_text(alert.ends_at) if alert.ends_at else "0001-01-01T00:00:00Z",
                "generatorURL": alert.generator_url,
                "fingerprint": alert.fingerprint,
            }
            for alert in alerts
        ],
    }


def shifted(body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a recorded body with its times moved, so that the latest of them is now."""
    alerts = [dict(alert) for alert in body.get("alerts", ())]
    times = [
        moment
        for alert in alerts
        for key in ("startsAt", "endsAt")
        if (moment := _moment(alert.get(key))) is not None
    ]
    by = now - max(times) if times else timedelta()
    for alert in alerts:
        for key in ("startsAt", "endsAt"):
            moment = _moment(alert.get(key))
            if moment is not None:
                alert[key] = to_text(moment + by)
    return {**body, "alerts": alerts}


def _moment(value: object) -> datetime | None:
    """Return a time of a body; None for what stands for «not yet»."""
    if not isinstance(value, str) or value.startswith("0001-"):
        return None
    return from_text(value)


# ------------------------------------------------------------------------- words


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in labels.items()) or "no labels"


def _alerts(notification: Notification) -> str:
    return "; ".join(f"{one.status} {_labels(one.labels)}" for one in notification.alerts[:10])


def _summary(change: WorldChange) -> str:
    parts = [
        *(f"{one['kind']} {one['metadata']['name']}" for one in change.kubernetes),
        *(f"{name} is gone" for name in change.delete),
        *(f"{one.request}" for one in change.http),
        *(" ".join(one.command) for one in change.exec),
        *(one.series for one in (change.prometheus.series if change.prometheus else ())),
    ]
    return ", ".join(parts) or "nothing"
