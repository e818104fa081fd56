"""The app's modals: a plan whole and by pages, why not, for how long, what to start. Pure.

Slack's limits: 100 blocks, 24 characters of title, 3000 of what we leave in it.
"""

import json
from collections.abc import Sequence
from typing import Any

from remediator.model.approvals import MAX_REASON
from remediator.model.canonical import JSONObject
from remediator.model.views import RunView
from remediator.notify.slack import buttons, plans, text
from remediator.notify.slack.buttons import open_question
from remediator.notify.slack.text import bold, code, cut, moment, section
from remediator.notify.slack.words import STATES

DENY = "remediator_deny_form"
SNOOZE = "remediator_snooze_form"
START = "remediator_start_form"
PLAN = "remediator_plan_view"
LIST = "remediator_list_view"

SPANS = ("15m", "30m", "1h", "2h", "4h", "8h")
"""For how long a question may be put off here; the desk takes eight hours at most."""

# As much as people read before they turn the page; far below what Slack takes in a view.
_MAX_PAGE = 10_000
_MAX_SECTIONS = 40
_MOST_LISTED = 20


def one_moment(title: str) -> JSONObject:
    """Return what is shown at once, until the journal has answered."""
    return _view(title, [section("One moment …")])


def said(title: str, words: str) -> JSONObject:
    """Return a modal with a sentence, which another wrote."""
    return _view(title, [section(cut(words, 2500) or "Done.")])


def plan(view: RunView, page: int = 0, *, answers: bool = True) -> JSONObject:
    """Return one page of everything that a run would change.

    Args:
        view: the run.
        page: which, from 0; one that there is not shows the last.
        answers: whether it may be approved and denied here.
    """
    pages = _pages(plans.whole(view))
    page = min(max(page, 0), len(pages) - 1)
    question = open_question(view)
    of = f" · page {page + 1} of {len(pages)}" if len(pages) > 1 else ""
    emoji, word = STATES[view.run.state]
    blocks = [section(f"{emoji} *{cut(view.run.runbook, 150)}* · {word}{of}"), *pages[page]]
    turn = []
    if page > 0:
        turn.append(buttons.button(buttons.PAGE, "← Previous", str(page - 1)))
    if page + 1 < len(pages):
        turn.append(buttons.button(buttons.PAGE, "Next →", str(page + 1)))
    if turn:
        # Slack wants the ids of a view's buttons to differ.
        turn = [{**one, "action_id": f"{buttons.PAGE}_{n}"} for n, one in enumerate(turn)]
        blocks.append(buttons.row(turn, "pages"))
    if question is not None and answers:
        asked = [buttons.approve(view, question)]
        asked.append(buttons.button(buttons.DENY, "Deny", question, style="danger"))
        blocks.append(buttons.row(asked, "approval"))
    meta = {"question": question} if question else {"run": view.run.id}
    return _view("Plan", blocks, callback_id=PLAN, meta=json.dumps(meta))


def of_meta(meta: str) -> tuple[str, str]:
    """Return the question's id and the run's that `plan` left in its modal; empty where none."""
    try:
        left: Any = json.loads(meta)
    except ValueError:
        return "", ""
    if not isinstance(left, dict):
        return "", ""
    return str(left.get("question") or ""), str(left.get("run") or "")


def deny(view: RunView, question: str) -> JSONObject:
    """Return the form that asks why not."""
    blocks = [
        section(f"*{cut(view.run.runbook, 150)}*\n{cut(plans.briefly(view), 1000)}"),
        _input("reason", "Why not?", _text(multiline=True, most=MAX_REASON)),
    ]
    return _form("Deny", "Deny", blocks, DENY, question)


def snooze(view: RunView, question: str) -> JSONObject:
    """Return the form that asks for how long."""
    options: list[JSONObject] = [{"text": text.plain(span), "value": span} for span in SPANS]
    select: JSONObject = {
        "type": "static_select",
        "action_id": "given",
        "options": options,
        "initial_option": options[2],
    }
    blocks = [
        section(
            f"*{cut(view.run.runbook, 150)}*\nThe question is withdrawn. Then the alert is looked "
            "at again, the change planned and checked anew, and asked about if it is still needed."
        ),
        _input("span", "For how long?", select),
        _input("reason", "Why?", _text(most=MAX_REASON), optional=True),
    ]
    return _form("Snooze", "Snooze", blocks, SNOOZE, question)


def start() -> JSONObject:
    """Return the form that starts a runbook."""
    shown = text.plain("namespace=shop\ndeployment=api")
    labels: JSONObject = {**_text(multiline=True, most=2000), "placeholder": shown}
    value = text.plain("max=20")
    parameters: JSONObject = {**_text(multiline=True, most=2000), "placeholder": value}
    blocks = [
        _input("runbook", "Runbook", _text(most=200)),
        _input("labels", "Labels, one a line", labels, optional=True),
        _input("parameters", "Parameters, one a line", parameters, optional=True),
    ]
    return _form("Start a runbook", "Start", blocks, START, "")


def waiting(views: Sequence[RunView], words: str = "") -> JSONObject:
    """Return the list of what waits for whoever opened it.

    Args:
        views: runs whose open question this person may answer.
        words: what became of the last answer; another wrote it.
    """
    blocks = [section(cut(words, 1000))] if words else []
    blocks += listed(views)
    if not views:
        blocks.append(section("Nothing waits for you."))
    blocks.append(buttons.row([buttons.button(buttons.REFRESH, "Look again", "list")], "again"))
    return _view("What waits for you", blocks, callback_id=LIST)


def listed(views: Sequence[RunView]) -> list[JSONObject]:
    """Return the runs that wait for somebody, each with its buttons."""
    blocks: list[JSONObject] = []
    for view in views[:_MOST_LISTED]:
        question, asked = open_question(view), view.approval
        if question is None or asked is None:
            continue
        target = f"{bold(view.run.target, 150)} · " if view.run.target else ""
        lines = [
            f"✋ {target}{cut(view.run.runbook, 100)}",
            cut(plans.briefly(view), 400),
            f"run {code(view.run.id, 60)} · until {moment(asked.expires_at)}",
        ]
        blocks.append(section("\n".join(line for line in lines if line)))
        row = [
            buttons.approve(view, question),
            buttons.button(buttons.DENY, "Deny", question, style="danger"),
            buttons.button(buttons.PLAN, "Show plan", question),
        ]
        blocks.append(buttons.row(row, f"run-{view.run.id}"[:255]))
    left = len(views) - _MOST_LISTED
    if left > 0:
        blocks.append(section(f"… and {left} more"))
    return blocks


def _pages(sections: Sequence[JSONObject]) -> list[list[JSONObject]]:
    pages: list[list[JSONObject]] = [[]]
    room = _MAX_PAGE
    for one in sections:
        needs = text.in_blocks([one])
        if pages[-1] and (needs > room or len(pages[-1]) >= _MAX_SECTIONS):
            pages.append([])
            room = _MAX_PAGE
        pages[-1].append(one)
        room -= needs
    return pages if pages[0] else [[section("It has no step.")]]


def _view(
    title: str, blocks: Sequence[JSONObject], *, callback_id: str = "", meta: str = ""
) -> JSONObject:
    made: JSONObject = {
        "type": "modal",
        "title": text.plain(title),
        "close": text.plain("Close"),
        "blocks": list(blocks),
        "private_metadata": meta,
    }
    return {**made, "callback_id": callback_id} if callback_id else made


def _form(
    title: str, submit: str, blocks: Sequence[JSONObject], callback_id: str, meta: str
) -> JSONObject:
    made = _view(title, blocks, callback_id=callback_id, meta=meta)
    return {**made, "submit": text.plain(submit), "close": text.plain("Go back")}


def _input(block_id: str, label: str, element: JSONObject, *, optional: bool = False) -> JSONObject:
    return {
        "type": "input",
        "block_id": block_id,
        "label": text.plain(label),
        "element": element,
        "optional": optional,
    }


def _text(*, most: int, multiline: bool = False) -> JSONObject:
    return {
        "type": "plain_text_input",
        "action_id": "given",
        "multiline": multiline,
        "max_length": most,
    }
