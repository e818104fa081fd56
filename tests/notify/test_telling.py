"""Proves what is told of a run in plain words: one line each, cut with a count, without secrets,
the same for every channel."""

import json
import time

import pytest

from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.plugin import telling
from tests.notify import views
from tests.notify.views import note, plan, step

SECRET = "ghp_0123456789abcdefghijklmnop"


def test_no_secret_is_told_whichever_way_it_came() -> None:
    view = views.view(
        RunState.FAILED,
        labels={"alertname": "X", "api_token": "hunter2hunter2", "note": f"with {SECRET}"},
        run={"message": f"failed with password={SECRET}", "target": SECRET},
        steps=(step(plan=plan(summary=SECRET, no_way_back=SECRET, way_back=None)),),
        links={"x": f"https://u:{SECRET}@x.example/", "y": f"https://y.example/{SECRET}"},
        description=SECRET,
        owner=SECRET,
    )
    given = note(NoteKind.ESCALATION, f"failed: Bearer {SECRET}")
    told = repr(telling.told(given, view)) + json.dumps(telling.as_json(given, view))
    assert SECRET not in told
    assert "hunter2" not in told
    assert "***" in told


def test_foreign_text_is_one_line_that_reads_forwards() -> None:
    assert telling.line("a\r\nb\u202ec\x00\td ") == "a⏎bc d"
    assert telling.cut("x" * 100, 50) == "x" * 31 + "… (+69 characters)"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://",
        "https://u:p@x.example/",
        "https://x.example/a b",
        "x" * 3000,
    ],
)
def test_what_is_no_link_for_people(url: str) -> None:
    assert not telling.is_web_url(url)


@pytest.mark.parametrize(
    ("kind", "state", "reason", "worth", "closes"),
    [
        (NoteKind.STEP, RunState.APPLYING, Reason.DONE, False, False),
        (NoteKind.STATE, RunState.VERIFYING, Reason.WATCHING, False, False),
        (NoteKind.APPROVAL, RunState.AWAITING_APPROVAL, Reason.MODE_APPROVE, True, False),
        (NoteKind.ESCALATION, RunState.FAILED, Reason.UNDO_FAILED, True, False),
        (NoteKind.STATE, RunState.INTERRUPTED, Reason.RUNBOOK_GONE, True, False),
        (NoteKind.STATE, RunState.SUCCEEDED, Reason.VERIFIED, True, True),
        (NoteKind.STATE, RunState.CANCELLED, Reason.CANCELLED_BY_PERSON, True, False),
        (NoteKind.CLEARED, RunState.FAILED, Reason.UNDO_FAILED, True, True),
    ],
)
def test_what_is_worth_a_message_and_what_closes(
    kind: NoteKind, state: RunState, reason: Reason, worth: bool, closes: bool
) -> None:
    view = views.view(state, run={"reason": reason})
    assert telling.worth_a_message(note(kind), view) is worth
    assert telling.closes(note(kind), view) is closes


def test_a_note_of_what_came_before_the_end_is_not_told_as_the_end() -> None:
    view = views.view(RunState.FAILED, run={"message": "it did not help; nothing was taken back"})
    before, end = note(text="it did not help"), note(text=view.run.message)
    assert not telling.worth_a_message(before, view), "the run was undoing when it was written"
    assert telling.worth_a_message(end, view)


def test_a_long_word_takes_no_long_time() -> None:
    began = time.process_time()
    assert telling.cut("v" * 200_000, 50).startswith("vvv")
    assert time.process_time() - began < 5, "read once, not from each of its letters"
