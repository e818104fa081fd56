"""Plans as people read them: short in a message, whole in a modal. Pure."""

import itertools
from collections.abc import Iterator

from remediator.model import canonical
from remediator.model.canonical import JSON, JSONObject
from remediator.model.plans import Change, Plan
from remediator.model.runs import Step, StepState
from remediator.model.views import RunView
from remediator.notify.slack import text
from remediator.notify.slack.text import cut, section, size
from remediator.notify.slack.words import STEPS
from remediator.observe import masking

# Of Slack's 50 blocks; the other parts of a message need fourteen at most.
_MAX_STEPS = 30
_MAX_STEP = 2400
# The fixed parts of a step need up to 900; with less room than this its plan says nothing.
_MIN_STEP = 1300
# Of one section in a modal; Slack's limit is 3000, and a fence and entities need room.
_MAX_SECTION = 2800
# Thirty pages of a modal.
_MOST_SECTIONS = 120
# A value of one change; a config map of megabytes is for `remediator runs show`.
_LONGEST_VALUE = 20_000
_MOST_LINES = 2000


def briefly(view: RunView) -> str:
    """Return what would be changed, in a line."""
    return "; ".join(str(s.plan) for s in view.steps if s.plan is not None and not s.plan.empty)


def in_message(view: RunView, room: int) -> tuple[list[JSONObject], bool]:
    """Return a section for each step, and whether every plan is shown whole.

    Args:
        view: the run.
        room: how much text they may hold together.
    """
    blocks: list[JSONObject] = []
    whole = True
    for number, step in enumerate(view.steps):
        full, complete = _step(step, min(_MAX_STEP, max(room, _MIN_STEP)))
        if number >= _MAX_STEPS or size(full) > room:
            left = view.steps[number:]
            blocks.append(section(f"… and {len(left)} more step{'s' if len(left) > 1 else ''}"))
            return blocks, whole and all(one.plan is None or one.plan.empty for one in left)
        blocks.append(section(full))
        room -= size(full)
        whole = whole and complete
    return blocks, whole


def whole(view: RunView) -> list[JSONObject]:
    """Return every step with its plan, every change as a diff, in as many sections as it takes;
    of a plan that nobody reads to its end, the beginning and where the rest is."""
    sections = (block for step in view.steps for block in _whole_step(step))
    shown = list(itertools.islice(sections, _MOST_SECTIONS + 1))
    if len(shown) <= _MOST_SECTIONS:
        return shown
    rest = text.code(f"remediator runs show {view.run.id}", 120)
    return [*shown[:_MOST_SECTIONS], section(f"⚠️ *This is not all of it.* The rest: {rest}")]


def _step(step: Step, limit: int) -> tuple[str, bool]:
    said = f"_{StepState(step.state).value}:_ {cut(step.message, 200)}" if step.message else ""
    plan = step.plan
    title = _title(step)
    if plan is None:
        return "\n".join(part for part in (title, said) if part), True
    if plan.empty:
        return "\n".join(part for part in (title, "Nothing to change.", said) if part), True
    below = [*_below(plan), *([said] if said else [])]
    fixed = sum(size(part) + 1 for part in (title, *below))
    changes, complete = text.code_lines(
        [f"{plan.target}: {change}" for change in plan.changes], limit - fixed, more="more changes"
    )
    return "\n".join([title, changes, *below]), complete


def _title(step: Step) -> str:
    attempt = f" (attempt {step.attempt})" if step.attempt > 1 else ""
    return f"{STEPS[step.state]} *{cut(step.step_id, 80)}* · {cut(step.action, 80)}{attempt}"


def _below(plan: Plan) -> list[str]:
    lines = [f"*Impact:* {cut(str(plan.impact), 200)}"]
    if plan.way_back is not None:
        lines.append(f"*Way back:* {cut(plan.way_back.summary, 200)}")
    else:
        lines.append(f"*No way back:* {cut(plan.no_way_back or 'none is known', 200)}")
    if plan.lasts is not None:
        lines.append(f"*Taken back by itself* after {text.span(plan.lasts)}")
    return lines


def _whole_step(step: Step) -> Iterator[JSONObject]:
    said = f"\n_{StepState(step.state).value}:_ {cut(step.message, 500)}" if step.message else ""
    plan = step.plan
    if plan is None or plan.empty:
        nothing = "" if plan is None else "\nNothing to change."
        yield section(f"{_title(step)}{nothing}{said}")
        return
    yield section(f"{_title(step)}\n{text.code(str(plan.target), 300)}{said}")
    for part in text.code_blocks(_diff(plan), _MAX_SECTION):
        yield section(part)
    yield section("\n".join(_below(plan)))


def _diff(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        yield from _lines(change)


def _lines(change: Change) -> Iterator[str]:
    for sign, value in (("-", change.before), ("+", change.after)):
        if value is None:
            continue  # not there: the other line says all
        first, *more = _written(change.path, value)
        yield f"{sign} {first}"
        yield from (f"{sign}   {one}" for one in more)


def _written(path: str, value: JSON) -> list[str]:
    shown = value if isinstance(value, str) else canonical.dumps(value)
    left = len(shown) - _LONGEST_VALUE
    # Before it falls into lines: a private key is a secret over several.
    lines = masking.text(f"{path}: {shown[:_LONGEST_VALUE]}").splitlines()
    more = [f"… {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
    if left > 0:
        more.append(f"… {left} more characters")
    return [*lines[:_MOST_LINES], *more]
