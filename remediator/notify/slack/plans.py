"""Plans as people read them: short in a message, whole in a modal. Pure."""

import itertools
from collections import Counter
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
from remediator.plugin import lanes
from remediator.plugin.lanes import Lanes

# Of Slack's 50 blocks; the other parts of a message need fourteen at most.
_MAX_STEPS = 30
_MAX_STEP = 2400
# The fixed parts of a step need up to 900; with less room than this its plan says nothing.
_MIN_STEP = 1300
# Of a group of lanes: what is the same for all is said once, what differs is in the changes.
_MAX_BELOW = 4
_LEAST_CODE = 300
# Of a block of code, what is none of its lines: fences, and how many lines are left out.
_FENCES = 60
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
    shown = lanes.grouped(view.steps, id_of=lambda step: step.step_id, apart=_stands_out)
    for number, part in enumerate(shown):
        if isinstance(part, Lanes):
            texts, complete = _lanes(part, room)
        else:
            full, complete = _step(part, min(_MAX_STEP, max(room, _MIN_STEP)))
            texts = [full]
        taken = sum(map(size, texts))
        if len(blocks) + len(texts) > _MAX_STEPS or taken > room:
            left = [step for one in shown[number:] for step in _steps(one)]
            blocks.append(section(f"… and {len(left)} more step{'s' if len(left) > 1 else ''}"))
            return blocks, whole and all(one.plan is None or one.plan.empty for one in left)
        blocks += map(section, texts)
        room -= taken
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


def _stands_out(step: Step) -> bool:
    """Whether a lane is shown by itself: people look for what went wrong."""
    return step.state is StepState.FAILED


def _steps(part: Step | Lanes[Step]) -> tuple[Step, ...]:
    return part.members if isinstance(part, Lanes) else (part,)


def _lanes(part: Lanes[Step], room: int) -> tuple[list[str], bool]:
    """Return many lanes of one step as one: the changes of each, and once what holds for each."""
    counts = Counter(step.state for step in part.members)
    states = " ".join(f"{STEPS[state]} {count}" for state, count in counts.items())
    actions = ", ".join(dict.fromkeys(step.action for step in part.members))
    title = f"{states} *{cut(part.name, 80)}* · {cut(actions, 80)} · {len(part.members)} lanes"
    planned = [step.plan for step in part.members if step.plan is not None and not step.plan.empty]
    if not planned:
        return [title], True
    counted = Counter(line for plan in planned for line in _below(plan))
    below = [f"{line} _(each of {n})_" if n > 1 else line for line, n in counted.items()]
    left = len(below) - _MAX_BELOW
    if left > 0:
        below[_MAX_BELOW:] = [f"… and {left} more lines about impact and ways back"]
    head = "\n".join([title, *below])
    lines = [f"{plan.target}: {change}" for plan in planned for change in plan.changes]
    sections, complete = [head], left <= 0
    room -= size(head)
    while lines:
        count = _fitting(lines) if room >= _MAX_STEP else len(lines)
        limit = max(min(room, _MAX_STEP), _LEAST_CODE)
        code, all_of_it = text.code_lines(lines[:count], limit, more="more changes")
        sections.append(code)
        complete = complete and all_of_it
        room -= size(code)
        lines = lines[count:]
    return sections, complete


def _fitting(lines: list[str]) -> int:
    """Return how many lines one section holds; at least one."""
    taken = _FENCES
    for count, line in enumerate(lines):
        taken += size(line) + 1
        if taken > _MAX_STEP and count:
            return count
    return len(lines)


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
