"""PagerDuty: an escalation opens an alert; a run that then ends well resolves it.

One alert for each run: the key is the run's id, so a note that is delivered twice, or a second
escalation of the same run, pages nobody again.
"""

from remediator.clients import errors
from remediator.clients.pagerduty import MAX_SUMMARY, PagerDutyClient
from remediator.model.canonical import JSONObject
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState
from remediator.model.views import Note, NoteKind, RunView
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier, Refused, Undelivered

# 512 KiB is PagerDuty's limit for the whole event; these keep far below it, and readable.
_MAX_TEXT = 1000
_MAX_PLANS = 20
_MAX_LABELS = 40
_MAX_LINKS = 10


class PagerDuty(Notifier):
    """Pages the on-call engineer of one PagerDuty service."""

    name = "pagerduty"
    escalates = True

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Open an alert for an escalation; resolve it when the run ended well after all.

        Raises:
            Undelivered: PagerDuty is down or throttles us.
            Refused: PagerDuty will never take it.
        """
        key = f"remediator-{view.run.id}"
        open_one = ref is not None and ref.get("open") is True
        client = ctx.client(PagerDutyClient)
        try:
            if note.kind is NoteKind.ESCALATION:
                await client.trigger(
                    key,
                    summary=_cut(note.text, MAX_SUMMARY),
                    source=_cut(view.run.target or view.run.runbook, _MAX_TEXT),
                    severity="critical",
                    at=note.at,
                    details=_details(note, view),
                    links=_links(view),
                )
                return {"dedup_key": key, "open": True}
            if note.kind is NoteKind.STATE and open_one and ended_well(view.run):
                await client.resolve(key)
                return {"dedup_key": key, "open": False}
        except errors.Unavailable as error:
            raise Undelivered(str(error), error.after) from None
        except errors.ClientError as error:
            raise Refused(str(error)) from None
        return ref


def ended_well(run: Run) -> bool:
    """Whether nothing is left to do for the person who was paged.

    A run that was rolled back has not helped, and one that a person cancelled says nothing about
    the alert; these stay open until the person closes them.
    """
    cleared = run.state is RunState.CANCELLED and run.reason is Reason.RESOLVED_BY_ITSELF
    return run.state is RunState.SUCCEEDED or cleared


def _details(note: Note, view: RunView) -> JSONObject:
    plans = [step.plan for step in view.steps if step.plan is not None and not step.plan.empty]
    details: dict[str, JSONObject | str | list[str]] = {
        "run": view.run.id,
        "runbook": view.run.runbook,
        "state": view.run.state.value,
        "reason": view.run.reason.value,
        "message": _cut(view.run.message or note.text, _MAX_TEXT),
        "plan": [
            _cut(f"{plan.target}: {change}", _MAX_TEXT) for plan in plans for change in plan.changes
        ][:_MAX_PLANS],
        "way_back": [
            _cut(plan.way_back.summary if plan.way_back else f"none: {plan.no_way_back}", _MAX_TEXT)
            for plan in plans
        ][:_MAX_PLANS],
        "look": f"remediator runs show {view.run.id}",
    }
    if view.owner:
        details["owner"] = _cut(view.owner, _MAX_TEXT)
    if view.incident is not None:
        details["labels"] = {
            _cut(name, 100): _cut(value, _MAX_TEXT)
            for name, value in sorted(view.incident.labels.items())[:_MAX_LABELS]
        }
    return details


def _links(view: RunView) -> list[tuple[str, str]]:
    links = [(_cut(text, 100), url) for text, url in view.links.items()]
    if view.incident is not None:
        links.insert(0, ("alert", view.incident.generator_url))
    return [
        (text, url)
        for text, url in links
        if url.startswith(("http://", "https://")) and len(url) <= _MAX_TEXT
    ][:_MAX_LINKS]


def _cut(text: str, limit: int) -> str:
    """Return text in at most `limit` characters; what is left out is counted."""
    if len(text) <= limit:
        return text
    kept = limit - len(f"… (+{len(text)} characters)")
    return f"{text[:kept]}… (+{len(text) - kept} characters)"
