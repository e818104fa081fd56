"""`remediator demo`: the whole story on this machine, with nothing installed.

A small real service (`demo_files/shop.py`) gets too much load; the real daemon, a child process
with its own SQLite journal, gets the alert over HTTP, plans, asks, repairs, verifies; a second
repair does not help and is taken back; the audit chain is verified. `stage` owns processes and
files, `customers` and `pager` play the outside world, `story` tells and checks.
"""

import signal
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from remediator.cli.demo.stage import Stage
    from remediator.cli.demo.teller import Teller


@click.command("demo")
@click.option("--yes", is_flag=True, help="Approve without asking.")
@click.option("--keep", is_flag=True, help="Keep the folder with journal, log and runbooks.")
@click.pass_context
def command(ctx: click.Context, yes: bool, keep: bool) -> None:
    """See the whole story on this machine: a service breaks and is repaired.

    Takes half a minute, needs no cluster and no container, and leaves nothing behind. Exit code 0
    only when everything that it tells has really happened.
    """
    from remediator.cli.demo import asking, stage, story, teller  # noqa: PLC0415 - --help quick
    from remediator.cli.demo.customers import Customers  # noqa: PLC0415
    from remediator.cli.failure import Failure  # noqa: PLC0415

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    out = teller.Teller()
    ask = asking.interactive() and not yes
    why_not = "--yes: approved" if yes else "no terminal to ask on, so the demo approves by itself"
    with stage.Stage(keep=keep) as place:
        try:
            _opening(out)
            place.start_daemon()
            with Customers(place.shop_port, story.NORMAL_PER_S) as customers:
                story.Story(place, out, customers, ask=ask, why_not=why_not).play()
        except story.Denied:
            out.say("you", "no: nothing was changed, and the checkout stays slow")
            out.plain()
            out.plain("That is a fair answer. Say yes next time to see the rest: remediator demo")
            _kept(out, place, keep)
            ctx.exit(1)
        except (stage.Broken, Failure) as error:
            log = place.log_tail()
            _kept(out, place, keep)
            raise Failure(
                f"the demo did not go as it must: {error}\n"
                + (f"the end of the daemon's log:\n{log}" if log else "the daemon logged nothing")
                + ("" if keep else "\n--keep leaves everything for a closer look")
            ) from None
        _closing(out)
        _kept(out, place, keep)


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _opening(out: "Teller") -> None:
    out.plain()
    out.plain("A small checkout runs on this machine: a queue, and 2 workers.")
    out.plain(
        "Behind it stands the real remediator daemon, with a journal and runbooks of its own."
    )
    out.plain("The demo itself plays the customers, Alertmanager and the pager.")


def _closing(out: "Teller") -> None:
    out.plain()
    out.plain(f"All of that really happened, in {out.elapsed_s:.0f} seconds.", "bold green")
    out.plain()
    out.plain("Next:")
    for what, why in (
        ("README.md", "connect your Alertmanager and Slack"),
        ("runbooks/", "runbooks for alerts that you have"),
        ("docs/tutorial.md", "write one and test it, in ten minutes"),
        ("remediator actions", "what a runbook can do"),
        ("remediator simulate ALERT.json", "what would be done about one of your alerts"),
    ):
        out.plain(f"  {what:<32}{why}")


def _kept(out: "Teller", place: "Stage", keep: bool) -> None:
    if keep:
        out.plain(f"kept: {place.folder}")
