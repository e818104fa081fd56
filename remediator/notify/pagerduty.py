"""PagerDuty: an escalation opens an alert; it is acknowledged and resolved as the run goes on.

One alert for each run: the key is the run's id, so a note that is delivered twice, or a second
escalation of the same run, opens no second one. It is acknowledged when a person acts on the run
here (answers the escalation or the question, cancels, resumes), never because remediator works on
it: an escalation says that it can't help itself. It is resolved when the run ends well after all,
or when the alert clears after the run had ended.
"""

from remediator.clients.pagerduty import MAX_SUMMARY, PagerDutyClient
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, NoteKind, RunView
from remediator.plugin import delivering, telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier


class PagerDuty(Notifier):
    """Pages the on-call engineer of one PagerDuty service."""

    name = "pagerduty"
    escalates = True

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Open an alert for an escalation; acknowledge and resolve what was opened.

        Raises:
            Undelivered: PagerDuty is down or throttles us.
            Refused: PagerDuty will never take it.
        """
        key = f"remediator-{view.run.id}"
        opened = ref is not None and ref.get("open") is True
        client = ctx.client(PagerDutyClient)
        with delivering.telling(note):
            if note.kind is NoteKind.ESCALATION:
                told = telling.told(note, view)
                await client.trigger(
                    key,
                    summary=telling.cut(note.text, MAX_SUMMARY),
                    source=telling.cut(view.run.target or view.run.runbook, telling.MAX_TEXT),
                    severity="critical",
                    at=note.at,
                    details=_details(told, view),
                    links=told.links,
                )
                return {"dedup_key": key, "open": True}
            if opened and note.kind is NoteKind.ACKNOWLEDGED:
                await client.acknowledge(key)
            elif opened and telling.closes(note, view):
                await client.resolve(key)
                return {"dedup_key": key, "open": False}
        return ref


def _details(told: telling.Told, view: RunView) -> JSONObject:
    details: dict[str, JSONObject | str | list[str]] = {
        "run": view.run.id,
        "runbook": view.run.runbook,
        "state": view.run.state.value,
        "reason": view.run.reason.value,
        "message": telling.cut(view.run.message or told.text, telling.MAX_TEXT),
        "plan": list(told.changes),
        "way_back": list(told.way_back),
        "look": told.look,
        "acknowledge": f"remediator runs ack {view.run.id}",
    }
    if view.owner:
        details["owner"] = telling.cut(view.owner, telling.MAX_TEXT)
    if told.labels:
        details["labels"] = dict(told.labels)
    return details
