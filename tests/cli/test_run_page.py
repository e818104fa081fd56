"""What the page of a run says of its question: whom it is for, on what terms, what has changed."""

from io import StringIO
from typing import Any

from rich.console import Console

from remediator.cli import approvals, run_page

ASKED: dict[str, Any] = {
    "id": "ask-1",
    "status": "open",
    "digests": {"scale": "d" * 64},
    "approvers": ["sre-oncall", "slack:U1"],
    "quorum": 2,
    "asked_because": "scale: what would change is not what was approved",
    "terms": {
        "within": [["leads"]],
        "four_eyes": True,
        "on_expiry": "approve",
        "remind": ["10m"],
        "deny_reason": True,
        "policy": ["policy rule prod"],
    },
    "differs": ["  scale: deployment shop/api", "- replicas: 4 → 6", "+ replicas: 5 → 8"],
    "closed_why": "",
    "created_at": "2026-11-24T12:00:00Z",
    "expires_at": "2026-11-24T12:30:00Z",
    "decisions": [
        {
            "actor": "slack:U1",
            "person": "ann",
            "answer": "approve",
            "reason": "",
            "via": "slack",
            "at": "2026-11-24T12:01:00Z",
        }
    ],
}


def shown(**changes: Any) -> str:
    console = Console(file=StringIO(), width=100, color_system=None)
    view = {"id": "run-1", "state": "awaiting_approval", "approval": {**ASKED, **changes}}
    for part in run_page._approval(view):
        console.print(part)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_an_open_question_says_all_that_decides() -> None:
    page = shown()
    for line in (
        "sre-oncall, slack:U1, if also among leads",
        "2 of them",
        "who started the run may not say yes to it",
        "must say why",
        "policy rule prod",
        "it counts as yes, if the policy still allows that",
        "what has changed since the question before",
        "- replicas: 4 → 6",
        "+ replicas: 5 → 8",
    ):
        assert line in page, page


def test_a_closed_one_says_why_and_no_more_until_when() -> None:
    page = shown(status="void", closed_why="Snoozed by slack:U1", differs=[])
    assert "Snoozed by slack:U1" in page
    assert "until" not in page
    assert "what has changed" not in page


def test_what_stands_in_a_list() -> None:
    assert approvals.for_whom(ASKED) == "sre-oncall, slack:U1, if also among leads"
    assert approvals.for_whom({**ASKED, "approvers": [], "terms": {"within": []}}) == "nobody"
    assert approvals._needs(ASKED) == "1 of 2"
