"""`remediator approvals`: what waits for a person, for whom, and until when."""

from collections.abc import Mapping
from typing import Any

import click

from remediator.cli import options


@click.command("approvals")
@click.option("--mine", is_flag=True, help="Only those that you may answer.")
@options.url
@options.output
@options.limit
def command(mine: bool, url: str, output: str, limit: int) -> None:
    """List the open questions, the oldest first: what waits, for whom, and until when."""
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    found = api.Api(url).get(f"/api/v1/approvals?mine={int(mine)}&limit={min(limit, 500)}")
    if output == "json":
        show.as_json(found)
        return
    show.table(
        ("id", "until", "mine", "needs", "for", "runbook", "plans"),
        (
            (
                show.short_id(one["run"]["id"]),
                show.time_of_day(one["approval"]["expires_at"]),
                "yes" if one["mine"] else "no",
                _needs(one["approval"]),
                for_whom(one["approval"]),
                one["run"]["runbook"],
                "; ".join(one["plans"]),
            )
            for one in found["items"]
        ),
        breaking=3,
        none="nothing waits for you" if mine else "nothing waits for anybody",
    )


def for_whom(asked: Mapping[str, Any]) -> str:
    """Return whom a question is for, in words."""
    lists = [", ".join(names) for names in (asked["approvers"], *asked["terms"]["within"])]
    return ", if also among ".join(one for one in lists if one) or "nobody"


def _needs(asked: Mapping[str, Any]) -> str:
    yes = {one["person"] for one in asked["decisions"] if one["answer"] == "approve"}
    return f"{len(yes)} of {asked['quorum']}"
