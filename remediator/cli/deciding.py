"""A person's answer to a run's question, for `approve` and `deny`."""

import click

from remediator.cli import api, show
from remediator.cli.failure import Failure


def decide(answer: str, run_id: str, *, reason: str, url: str, output: str) -> None:
    """Send the answer, bound to the question that is open now, and show what became of it."""
    daemon = api.Api(url)
    view = daemon.get(f"/api/v1/runs/{api.segment(run_id)}")
    question = view["approval"]
    if question is None:
        raise Failure(f"run {view['id']} asks nothing; it is {view['state']}: {view['message']}")
    told = daemon.post(
        f"/api/v1/runs/{view['id']}/{answer}",
        {"reason": reason, "approval_id": question["id"]},
    )
    if output == "json":
        show.as_json(told)
        return
    for step in view["steps"]:
        if step["plan"] is not None and step["id"] in question["digests"]:
            click.echo(show.clean(f"{step['id']}: {step['target']}: {step['plan']['summary']}"))
    click.echo(told["message"])
    click.echo(f"follow it with: remediator runs show {view['id']}")
