"""`remediator incidents`: firing episodes, from the running daemon."""

import click

from remediator.cli import options


@click.command("incidents")
@options.url
@options.output
@options.limit
@click.option("--status", type=click.Choice(["open", "resolved"]), help="Only these.")
def command(url: str, output: str, limit: int, status: str | None) -> None:
    """List firing episodes, the newest first."""
    from remediator.cli import api, show  # noqa: PLC0415 - keeps --help quick

    found = api.Api(url).items("/api/v1/incidents", limit, status=status)
    if output == "json":
        show.as_json(found)
        return
    show.table(
        ("id", "status", "since", "lasted", "sender", "alert", "labels"),
        (
            (
                show.short_id(one["id"]),
                one["status"],
                show.time_of_day(one["starts_at"]),
                show.ago(one["starts_at"], show.when(one["ends_at"])),
                one["sender"],
                one["labels"].get("alertname"),
                show.labels(one["labels"], without=("alertname",)),
            )
            for one in found["items"]
        ),
        breaking=3,
        none="no incidents" + (f" are {status}" if status else " yet"),
    )
