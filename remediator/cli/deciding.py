"""A person's answer to a run's question, for `approve` and `deny`."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from remediator.cli import api, run_page, show
from remediator.cli.failure import Failure


def decide(
    answer: str, run_id: str, *, reason: str, url: str, output: str, approval: str = "", yes: bool
) -> None:
    """Send the answer, bound to the question that was seen, and show what became of it.

    Args:
        approval: the question that was looked at elsewhere; empty for the one shown here.
        yes: do not ask once more.
    """
    daemon = api.Api(url)
    view = daemon.get(f"/api/v1/runs/{api.segment(run_id)}")
    question = view["approval"]
    if question is None:
        raise Failure(f"run {view['id']} asks nothing; it is {view['state']}: {view['message']}")
    if not approval and question["status"] == "open":
        if output != "json":
            _show(view, question)
        if not yes:
            _ask(answer, question["id"])
    told = daemon.post(
        f"/api/v1/runs/{view['id']}/{answer}",
        {"reason": reason, "approval_id": approval or question["id"]},
    )
    if output == "json":
        show.as_json(told)
        return
    click.echo(told["message"])
    click.echo(f"follow it with: remediator runs show {view['id']}")


def snooze(run_id: str, *, for_: str, reason: str, url: str, output: str) -> None:
    """Put off the question that the run asks now, and show until when."""
    daemon = api.Api(url)
    view = daemon.get(f"/api/v1/runs/{api.segment(run_id)}")
    question = view["approval"]
    if question is None:
        raise Failure(f"run {view['id']} asks nothing; it is {view['state']}: {view['message']}")
    told = daemon.post(
        f"/api/v1/runs/{view['id']}/snooze",
        {"approval_id": question["id"], "for": for_, "reason": reason},
    )
    if output == "json":
        show.as_json(told)
        return
    click.echo(told["message"])


def _show(view: Mapping[str, Any], question: Mapping[str, Any]) -> None:
    """Show exactly what is asked for, and what is different since it was asked before."""
    asked = [s for s in view["steps"] if s["plan"] is not None and s["id"] in question["digests"]]
    for part in run_page.plans_lines(asked):
        show.out(part)
    for line in run_page.differs(question):
        show.out(line)


def _ask(answer: str, approval: str) -> None:
    """Ask a person once more; a script says what it has seen."""
    if not sys.stdin.isatty():
        raise Failure(
            "there is no terminal to ask on; look at the plans with `remediator runs show`, then "
            f"repeat with --approval {approval}, or with --yes for the plans as they are now"
        )
    if not click.confirm(f"{answer.capitalize()}?", default=False):
        raise Failure("nothing was decided")
