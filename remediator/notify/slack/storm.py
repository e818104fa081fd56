"""A storm as one message: how many runs, of which runbooks, in which states. Pure."""

from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState
from remediator.model.storms import Storm
from remediator.notify.slack import buttons, text
from remediator.notify.slack.blocks import Message
from remediator.notify.slack.text import code, cut, moment, section
from remediator.notify.slack.words import STATES

_MOST_RUNBOOKS = 8
_FIRST = (RunState.INTERRUPTED, RunState.AWAITING_APPROVAL, RunState.FAILED)


def message(storm: Storm, *, buttons_work: bool = True, ring: str = "") -> Message:
    """Render a storm.

    Args:
        storm: as it stands.
        buttons_work: whether a press of one could reach us.
        ring: mentions of whom this posting calls; only where a person is needed.
    """
    over = storm.closed_at is not None
    title = f"{'🌤️ The storm is over' if over else '⛈️ Storm'}: {_many(storm.runs, 'run')}"
    blocks: list[JSONObject] = [{"type": "header", "text": text.plain(title)}]
    if ring:
        blocks.append(section(f"🔔 {ring}"))
    blocks += [section(_states(storm)), section(_runbooks(storm)), section(_named(storm))]
    if storm.needed and buttons_work:
        show = buttons.button(buttons.WAITING, "Show what waits", storm.id, style="primary")
        blocks.append(buttons.row([show], "storm"))
    since = f"since {moment(storm.began_at)}"
    until = f", over {moment(storm.closed_at)}" if storm.closed_at is not None else ""
    told = (
        "what needs a person has its own message now"
        if over
        else "many runs share this message; what still needs a person gets its own when it is over"
    )
    blocks.append({"type": "context", "elements": [text.mrkdwn(f"{since}{until} · {told}")]})
    wait = f", {storm.needed} wait for a person" if storm.needed else ""
    return Message(f"{title}{wait} {ring}".strip(), tuple(blocks))


def called(storm: Storm, ring: str) -> Message:
    """Render the line that rings because people are needed."""
    verb = "waits" if storm.needed == 1 else "wait"
    words = f"✋ {_many(storm.needed, 'run')} {verb} for a person {ring}".strip()
    return Message(words, (section(words),))


def _states(storm: Storm) -> str:
    shown = [
        f"{STATES[state][0]} *{count}* {STATES[state][1].lower()}"
        for state, count in sorted(storm.by_state.items(), key=_weight)
        if count
    ]
    if storm.escalated:
        shown.insert(0, f"🚨 *{storm.escalated}* called a person")
    return " · ".join(shown) or "no run yet"


def _weight(counted: tuple[RunState, int]) -> tuple[int, int]:
    """What needs a person first, then the most."""
    state, count = counted
    return _FIRST.index(state) if state in _FIRST else len(_FIRST), -count


def _runbooks(storm: Storm) -> str:
    names = list(storm.by_runbook.items())
    shown = [f"*{count}* {cut(name, 80)}" for name, count in names[:_MOST_RUNBOOKS]]
    if len(names) > _MOST_RUNBOOKS:
        shown.append(f"{len(names) - _MOST_RUNBOOKS} more runbooks")
    return "*Runbooks:* " + (", ".join(shown) or "none")


def _named(storm: Storm) -> str:
    lines = [
        f"{STATES[run.state][0]} {cut(run.target or run.runbook, 120)} · {code(run.id, 60)}"
        for run in storm.first
    ]
    left = storm.runs - len(lines)
    if left > 0:
        lines.append(f"… and {left} more")
    return "\n".join(lines) or "—"


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
