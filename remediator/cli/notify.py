"""`remediator notify`: which notifiers are configured, and a test note through one of them.

Speaks to the notifiers' services itself, with the settings that the daemon would use; no daemon
need run, and nothing is written into a journal.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.model.canonical import JSONObject
    from remediator.model.views import Note, RunView
    from remediator.plugin.context import Context
    from remediator.plugin.notifier import Notifier
    from remediator.settings import Settings

_TEXT = "This is a test of remediator's notifications. Nothing is wrong."
_DONE = "The test is over."
_WITHIN_S = 30.0


@click.group("notify")
def command() -> None:
    """List the notifiers that are configured, or try them."""


@command.command("list")
@options.config
@options.output
def list_(config: Path | None, output: str) -> None:
    """List the notifiers that the settings configure."""
    from remediator.cli import show  # noqa: PLC0415 - keeps --help quick

    notifiers = _configured(options.read_settings(config))
    rows = [
        {
            "name": name,
            "told": "escalations" if one.escalates else "everything",
            "calls_people": one.reaches_people,
        }
        for name, one in sorted(notifiers.items())
    ]
    if output == "json":
        show.as_json({"items": rows})
        return
    show.table(
        ("name", "told", "calls people"),
        ((str(r["name"]), str(r["told"]), "yes" if r["calls_people"] else "no") for r in rows),
        none="no notifier is configured; docs/channels.md lists them",
    )


@command.command("test")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--leave-open", is_flag=True, help="Do not resolve what a pager was told to open.")
@options.config
def test(names: tuple[str, ...], leave_open: bool, config: Path | None) -> None:
    """Send a test note to NAME, or to all that are configured.

    A pager is really told to page somebody; what it opened is resolved right after, unless
    --leave-open is given. Exits with 1 if any could not be told.
    """
    settings = options.read_settings(config)
    notifiers = _configured(settings)
    for name in names:
        if name not in notifiers:
            known = ", ".join(sorted(notifiers)) or "none"
            raise Failure(f"{name} is not configured; these are: {known}")
    wanted = {name: notifiers[name] for name in names or sorted(notifiers)}
    if not wanted:
        raise Failure("no notifier is configured; docs/channels.md lists them")
    failed = asyncio.run(_tell(settings, wanted, leave_open))
    if failed:
        raise click.exceptions.Exit(1)


def _configured(settings: "Settings") -> Mapping[str, "Notifier"]:
    from remediator import app  # noqa: PLC0415 - imports everything
    from remediator.cli import runbook_files  # noqa: PLC0415
    from remediator.settings import SettingsError  # noqa: PLC0415

    try:
        return app.configured_notifiers(settings, runbook_files.registry())
    except SettingsError as error:
        raise Failure(str(error)) from None


async def _tell(
    settings: "Settings", wanted: Mapping[str, "Notifier"], leave_open: bool
) -> list[str]:
    """Tell each; returns the names of those that could not be told."""
    from remediator import app  # noqa: PLC0415 - imports everything
    from remediator.engine.clock import SystemClock  # noqa: PLC0415
    from remediator.engine.context import PluginContext  # noqa: PLC0415
    from remediator.journal.ids import Ids  # noqa: PLC0415

    clock = SystemClock()
    clients = app.make_clients(settings)
    failed = []
    try:
        for name, notifier in wanted.items():
            run_id = Ids(clock).new()
            context = PluginContext(run_id, clock, clients, None, {"notifier": name})
            why = await _deliver(notifier, run_id, context, leave_open)
            if why:
                failed.append(name)
            click.echo(f"{name}: {why or 'delivered'}", err=bool(why))
    finally:
        for client in clients.values():
            await client.close()
    return failed


async def _deliver(notifier: "Notifier", run_id: str, context: "Context", leave_open: bool) -> str:
    """Tell one notifier of a run's whole life; returns why it could not be told."""
    from remediator.model.views import NoteKind  # noqa: PLC0415 - keeps --help quick
    from remediator.plugin.notifier import Refused, Undelivered  # noqa: PLC0415

    first = NoteKind.ESCALATION if notifier.reaches_people else NoteKind.STEP
    told: list[tuple[Note, RunView]] = [_part(run_id, first, _TEXT, context, ended=False)]
    if not leave_open:
        told.append(_part(run_id, NoteKind.STATE, _DONE, context, ended=True))
    ref: JSONObject | None = None
    try:
        async with asyncio.timeout(_WITHIN_S):
            for note, view in told:
                ref = await notifier.announce(note, view, ref, context)
    except (Undelivered, Refused) as error:
        return f"not delivered: {error}"
    except TimeoutError:
        return f"not delivered: no answer within {_WITHIN_S:g}s"
    return ""


def _part(
    run_id: str, kind: Any, text: str, context: "Context", *, ended: bool
) -> "tuple[Note, RunView]":
    """Return a note of a run that changed nothing real, with the run as it is then."""
    from remediator.model.plans import Change, Impact, Plan, Target, WayBack  # noqa: PLC0415
    from remediator.model.reasons import Reason  # noqa: PLC0415
    from remediator.model.runs import Run, RunState, Step, StepState, Trigger  # noqa: PLC0415
    from remediator.model.views import Note, RunView  # noqa: PLC0415

    now = context.now()
    state, reason = (
        (RunState.SUCCEEDED, Reason.DONE) if ended else (RunState.INTERRUPTED, Reason.NEW)
    )
    run = Run(
        id=run_id,
        incident_id=None,
        runbook="notification-test",
        version="",
        trigger=Trigger.MANUAL,
        state=state,
        reason=reason,
        message=text,
        target="notification test",
        context={},
        epoch=0,
        owner=None,
        wake_at=None,
        created_at=now,
        started_at=now,
        ended_at=now if ended else None,
        started_by="remediator notify test",
    )
    plan = Plan(
        action="test",
        target=Target("test", "Test", "", "notification"),
        changes=(Change("told", before=False, after=True),),
        impact=Impact(note="nothing"),
        summary="nothing is changed",
        way_back=WayBack("nothing to take back", {}),
    )
    step = Step(
        run_id=run_id,
        sequence=0,
        attempt=1,
        step_id="test",
        action="test",
        state=StepState.DONE,
        plan=plan,
        params={},
        message="nothing was changed",
        changed=True,
        started_at=now,
        ended_at=now,
    )
    note = Note(kind, run_id, text, now, id=f"{run_id}-{2 if ended else 1}")
    view = RunView(
        run=run,
        incident=None,
        steps=(step,),
        verdicts=(),
        approval=None,
        decisions=(),
        description="Tries a notifier.",
        owner="",
        links={},
    )
    return note, view
