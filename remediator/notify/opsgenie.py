"""Opsgenie: an escalation opens an alert; it is acknowledged, noted on and closed with the run.

One alert for each run, found by its alias. When it is acknowledged and closed is as for PagerDuty;
a further escalation of the same run is a note on the open alert.
"""

from remediator.clients import errors, opsgenie
from remediator.clients.opsgenie import OpsgenieClient
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, NoteKind, RunView
from remediator.plugin import delivering, telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier


class Opsgenie(Notifier):
    """Pages through one Opsgenie integration."""

    name = "opsgenie"
    escalates = True

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Open an alert for an escalation; acknowledge and close what was opened.

        Raises:
            Undelivered: Opsgenie is down or throttles us.
            Refused: Opsgenie will never take it.
        """
        alias = f"remediator-{view.run.id}"
        opened = ref is not None and ref.get("open") is True
        client = ctx.client(OpsgenieClient)
        with delivering.telling(note):
            if note.kind is NoteKind.ESCALATION:
                await _create(client, alias, note, view)
                if opened:
                    await client.note(alias, telling.cut(note.text, opsgenie.MAX_NOTE))
                return {"alias": alias, "open": True}
            if not opened:
                return ref
            text = telling.cut(note.text, opsgenie.MAX_NOTE)
            try:
                if note.kind is NoteKind.ACKNOWLEDGED:
                    await client.acknowledge(alias, user=_user(view), note=text)
                elif telling.closes(note, view):
                    await client.close_alert(alias, note=text)
                    return {"alias": alias, "open": False}
            except errors.Missing:
                ctx.log.warning("the run's alert is gone from Opsgenie; nothing to close")
                return {"alias": alias, "open": False}
        return ref


async def _create(client: OpsgenieClient, alias: str, note: Note, view: RunView) -> None:
    told = telling.told(note, view)
    lines = [
        told.text,
        *(f"{name}: {value}" for name, value in told.facts),
        *(f"plan: {change}" for change in told.changes),
        *(f"way back: {one}" for one in told.way_back),
        *(f"{text}: {url}" for text, url in told.links),
        f"look: {told.look}",
        f"acknowledge: remediator runs ack {view.run.id}",
    ]
    await client.create(
        alias,
        message=telling.cut(note.text, opsgenie.MAX_MESSAGE),
        description=_fitting(lines, opsgenie.MAX_DESCRIPTION),
        entity=telling.cut(view.run.target or view.run.runbook, opsgenie.MAX_ENTITY),
        details=_details(told, view),
        tags=["remediator", telling.cut(view.run.runbook, opsgenie.MAX_TAG)],
    )


def _details(told: telling.Told, view: RunView) -> dict[str, str]:
    """Return as many labels as fit: all details together have a limit."""
    details = {"run": view.run.id, "runbook": view.run.runbook}
    left = opsgenie.MAX_DETAILS - sum(len(k) + len(v) for k, v in details.items())
    for name, value in told.labels:
        key = f"label_{name}"
        left -= len(key) + len(value)
        if left < 0:
            break
        details[key] = value
    return details


def _fitting(lines: list[str], limit: int) -> str:
    shown: list[str] = []
    left = limit
    for one in lines:
        left -= len(one) + 1
        if left < 0:
            break
        shown.append(one)
    return "\n".join(shown)


def _user(view: RunView) -> str:
    seen = view.acknowledged
    return telling.cut(seen.by if seen else "remediator", opsgenie.MAX_USER)
