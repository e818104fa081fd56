"""Grafana: an annotation for each change, from when it was begun to when it had settled.

So graphs show when remediator acted. A change that was taken back gets a second annotation. Before
one is added it is looked for by its tags, so that a note that is told twice adds none twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from typing import ClassVar

from remediator.clients import errors
from remediator.clients.grafana import GrafanaClient
from remediator.model.canonical import JSON, JSONObject
from remediator.model.runs import Step, StepState
from remediator.model.views import Note, RunView
from remediator.plugin import delivering, telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier

_LONGEST_TAG = 100
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class _Mark:
    """One annotation as it should be; a late one is written only where there is none at all."""

    key: str
    tags: tuple[str, ...]
    text: str
    start: datetime
    end: datetime | None
    late: bool = False


class Grafana(Notifier):
    """Writes on Grafana's graphs."""

    name = "grafana"
    reaches_people: ClassVar[bool] = False

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Bring the run's annotations up to date.

        Raises:
            Undelivered: Grafana is down or throttles us.
            Refused: Grafana will never take it.
        """
        known: dict[str, JSON] = dict(ref) if ref is not None else {}
        client = ctx.client(GrafanaClient)
        with delivering.telling(note):
            for mark in _marks(note, view):
                shown = f"{mark.text}\n{mark.end.isoformat() if mark.end else ''}"
                before = known.get(mark.key)
                id_, last = before if isinstance(before, list) else (None, None)
                if last == shown or (mark.late and id_ is not None):
                    continue
                known[mark.key] = [await _written(client, mark, id_), shown]
        return known or ref


async def _written(client: GrafanaClient, mark: _Mark, id_: JSON) -> int:
    found = id_ if isinstance(id_, int) else await client.find(mark.tags)
    if found is not None:
        try:
            await client.amend(
                found, tags=mark.tags, text=mark.text, start=mark.start, end=mark.end
            )
        except errors.Missing:  # somebody deleted it
            found = None
    if found is None:
        found = await client.create(tags=mark.tags, text=mark.text, start=mark.start, end=mark.end)
    return found


def _marks(note: Note, view: RunView) -> Iterator[_Mark]:
    for step in view.steps:
        if step.plan is None or step.plan.empty or step.started_at is None:
            continue
        begun = step.state is StepState.STARTED
        if not begun and not telling.changed(step):
            continue
        key = f"{step.step_id}/{step.attempt}"
        here = telling.begun_here(view.run)
        if step.state not in (StepState.UNDOING, StepState.UNDONE):
            if not here:
                continue
            end = None if begun else step.ended_at
            yield _mark(view, step, key, ("change",), step.started_at, end)
            continue
        # Its own end has made room for the undo's times.
        change = _mark(view, step, key, ("change",), step.started_at, None)
        if here:
            yield replace(change, late=True)
        start = step.ended_at or note.at
        end = step.ended_at if step.state is StepState.UNDONE else None
        yield _mark(view, step, f"{key}/undo", ("undo",), start, end)


def _mark(
    view: RunView,
    step: Step,
    key: str,
    more: tuple[str, ...],
    start: datetime,
    end: datetime | None,
) -> _Mark:
    run = view.run
    tags = (
        "remediator",
        *more,
        f"runbook:{run.runbook}",
        f"target:{step.plan.target if step.plan else run.target}",
        f"run:{run.id}",
        f"step:{step.step_id}/{step.attempt}",
    )
    verb = "took back" if "undo" in more else "changed"
    lines = [f"remediator {verb}: {step.plan}", step.message, f"run {run.id}"]
    # Grafana shows the text as HTML.
    text = "<br>".join(escape(telling.cut(one, _LONGEST_TEXT)) for one in lines if one)
    return _Mark(key, tuple(telling.cut(tag, _LONGEST_TAG) for tag in tags), text, start, end)
