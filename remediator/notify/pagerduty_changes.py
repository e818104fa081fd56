"""PagerDuty's recent changes: each change that was applied or taken back, beside the incidents.

Calls nobody: a responder sees in the incident that remediator changed something shortly before.
"""

from collections.abc import Iterator
from typing import ClassVar

from remediator.clients.pagerduty import MAX_SUMMARY, PagerDutyClient
from remediator.model.canonical import JSON, JSONObject
from remediator.model.runs import Step, StepState
from remediator.model.views import Note, RunView
from remediator.plugin import delivering, telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier


class PagerDutyChanges(Notifier):
    """Tells one PagerDuty service of changes."""

    name = "pagerduty-changes"
    reaches_people: ClassVar[bool] = False

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Tell of each change that was not told of yet.

        Raises:
            Undelivered: PagerDuty is down or throttles us.
            Refused: PagerDuty will never take it.
        """
        before = ref.get("told") if ref is not None else None
        told: list[JSON] = list(before) if isinstance(before, list) else []
        client = ctx.client(PagerDutyClient)
        with delivering.telling(note):
            for key, step, verb in _news(view):
                if key in told:
                    continue
                await client.change(
                    summary=telling.cut(f"remediator {verb}: {step.plan}", MAX_SUMMARY),
                    source="remediator",
                    at=step.ended_at or note.at,
                    details={
                        "run": view.run.id,
                        "runbook": view.run.runbook,
                        "message": telling.cut(step.message, telling.MAX_TEXT),
                    },
                    links=telling.links(view),
                )
                told.append(key)
        return {"told": told} if told else ref


def _news(view: RunView) -> Iterator[tuple[str, Step, str]]:
    for step in view.steps:
        if not telling.changed(step):
            continue
        if telling.begun_here(view.run):
            yield f"{step.step_id}/{step.attempt}", step, "changed"
        if step.state is StepState.UNDONE:
            yield f"{step.step_id}/{step.attempt}/undone", step, "took back"
