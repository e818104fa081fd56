"""`remediator report`: how often each runbook ran, helped, was refused, and the time it saved."""

from collections.abc import Mapping
from typing import Any

import click

from remediator.cli import options

_FORMULA = "saved = helped runs x {by_hand} by hand - answers given x {decision}"


@click.command("report")
@click.argument("runbook", required=False)
@click.option("--since", default="30d", show_default=True, help="How far back, like 7d.")
@click.option(
    "--by-hand",
    default="20m",
    show_default=True,
    help="What such a repair takes a person, from the page to the end.",
)
@click.option(
    "--decision", default="2m", show_default=True, help="What one approval or denial takes."
)
@options.url
@options.output
def command(
    runbook: str | None, since: str, by_hand: str, decision: str, url: str, output: str
) -> None:
    """Show how runbooks did: of all, or of one.

    HELPED are runs that changed something and ended well. PERSON are those that asked or called
    somebody. The time saved is, for each runbook and never below zero: helped runs times what one
    takes by hand, less the answers that people gave times what one takes. EARNED is the mode that
    the evidence is enough for, by the policy's bars (`remediator promote`).
    """
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    by_hand_s, decision_s = _seconds("--by-hand", by_hand), _seconds("--decision", decision)
    found = api.Api(url).get("/api/v1/report", since=since, runbook=runbook)
    for one in found["items"]:
        one["saved_s"] = max(0.0, one["helped"] * by_hand_s - one["decisions"] * decision_s)
    found["saved_s"] = sum(one["saved_s"] for one in found["items"])
    found["formula"] = _FORMULA.format(by_hand=by_hand, decision=decision)
    if output == "json":
        show.as_json(found)
        return
    show.table(
        (
            *("runbook", "mode", "earned", "runs", "helped", "back", "failed", "observed"),
            *("person", "mean", "saved", "refused by"),
        ),
        (
            (
                one["runbook"],
                _mode(one),
                one["trust"]["earned"] if one["trust"] else "",
                one["runs"],
                one["helped"],
                one["rolled_back"],
                one["failed"],
                one["observed"],
                one["needed_a_person"],
                show.span(one["mean_time_s"]) if one["mean_time_s"] is not None else "",
                show.span(one["saved_s"]) if one["saved_s"] else "",
                ", ".join(f"{name} {count}" for name, count in sorted(one["refused"].items())),
            )
            for one in found["items"]
        ),
        none="no runbook is in force, and none has run",
    )
    if found["partial"]:
        click.echo("more was refused than is read at once: the newest are counted", err=True)
    since_text = show.time_of_day(found["since"])
    click.echo(f"since {since_text}: {show.span(found['saved_s'])} saved; {found['formula']}")


def _mode(one: Mapping[str, Any]) -> str:
    """Return the mode of the file; while the failure breaker is not closed, people are asked."""
    mode: str = one["mode"] or ""
    return mode if one["breaker"] in (None, "closed") else f"{mode} (breaker {one['breaker']})"


def _seconds(name: str, text: str) -> float:
    from remediator.model.quantities import parse_duration  # noqa: PLC0415 - keeps --help quick

    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from None
