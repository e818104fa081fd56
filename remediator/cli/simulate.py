"""`remediator simulate`: what would be done about an alert, and why not. Changes nothing."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.engine.simulate import Answer
    from remediator.model.alerts import Notification
    from remediator.model.policy import Policy
    from remediator.plugin.registry import Registry
    from remediator.settings import Settings

# Intake takes no more in one body.
_LARGEST_BYTES = 64 * 2**20


@click.command("simulate")
@click.argument("alert", type=click.Path(path_type=Path, exists=True, allow_dash=True))
@click.option(
    "--runbooks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A folder or file of runbooks, in place of the settings'; repeatable.",
)
@options.config
@options.output
def command(alert: Path, runbooks: tuple[Path, ...], config: Path | None, output: str) -> None:
    """Show which runbooks an alert would start, each step's plan, and every guardrail's verdict.

    ALERT is a file (- for standard input) with the body of Alertmanager's webhook, one alert, or a
    list of alerts as `amtool alert -o json` prints it. Targets are only read. The history of the
    journal in the settings counts, if there is one.
    """
    from remediator.cli import runbook_files, show, simulate_page  # noqa: PLC0415 - --help quick

    settings = options.read_settings(config, **({"runbooks": runbooks} if runbooks else {}))
    body = notification_body(alert)
    answers, with_history = simulated(body, alert, settings, runbook_files.registry())
    if output == "json":
        show.as_json(simulate_page.to_json(answers))
        return
    show.out(simulate_page.page(answers, with_history))


def simulated(
    body: Mapping[str, Any], path: Path, settings: "Settings", registry: "Registry"
) -> tuple[Sequence["Answer"], bool]:
    """Simulate with the files here; returns the answers, and whether history counted.

    Args:
        body: of a webhook, as `notification_body` makes it.
        path: where it comes from, for errors.

    Raises:
        Failure: it is no notification, or runbooks or policy have faults.
    """
    from remediator.cli import runbook_files  # noqa: PLC0415 - keeps --help quick
    from remediator.plugin.source import Rejected  # noqa: PLC0415

    try:
        notification = registry.sources["alertmanager"].parse(json.dumps(body).encode())
    except Rejected as error:
        raise Failure(f"{_named(path)}: {error}") from None
    loaded = runbook_files.load(settings.runbooks, registry)
    policy = runbook_files.policy(settings)
    return asyncio.run(_simulate(notification, loaded, settings, policy))


def _named(path: Path) -> str:
    return "standard input" if str(path) == "-" else str(path)


def notification_body(path: Path) -> Mapping[str, Any]:
    """Read a file with alerts, and return it as the body of a webhook.

    Raises:
        Failure: it can't be read, or is no JSON.
    """
    name = _named(path)
    try:
        with click.open_file(str(path), "rb") as file:
            body = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise Failure(f"{name}: cannot be read: {error.strerror}") from None
    if len(body) > _LARGEST_BYTES:
        raise Failure(f"{name}: larger than {_LARGEST_BYTES // 2**20} MiB")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{name}: is no JSON document: {error}") from None
    found: Mapping[str, Any] = _payload(value)
    return found


def _payload(value: Any) -> Any:
    """Return a webhook body: as it is, or made around one alert or a list of them."""
    if isinstance(value, Mapping) and ("alerts" in value or "labels" not in value):
        return value
    alerts = [_alert(one) for one in (value if isinstance(value, list) else [value])]
    if not all(isinstance(one.get("labels"), Mapping) for one in alerts):
        return {"version": "4", "alerts": alerts}  # parsing says which and why
    shared: dict[str, Any] = dict(alerts[0]["labels"]) if alerts else {}
    for one in alerts[1:]:
        shared = {name: text for name, text in shared.items() if one["labels"].get(name) == text}
    return {"version": "4", "receiver": "", "commonLabels": shared, "alerts": alerts}


def _alert(value: Any) -> dict[str, Any]:
    """Fill in what a notification has and an alert of Alertmanager's API, or by hand, may not."""
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.model.clock import to_text  # noqa: PLC0415

    given = dict(value) if isinstance(value, Mapping) else {"labels": value}
    if given.get("status") not in ("firing", "resolved"):
        given["status"] = "firing"  # the API's status is an object, and lists only firing ones
    given.setdefault("startsAt", to_text(SystemClock().now()))
    return given


async def _simulate(
    notification: "Notification", loaded: Sequence[Any], settings: "Settings", policy: "Policy"
) -> tuple[Sequence["Answer"], bool]:
    from remediator.app import make_clients  # noqa: PLC0415 - keeps --help quick
    from remediator.engine import simulate  # noqa: PLC0415
    from remediator.engine.clock import SystemClock  # noqa: PLC0415
    from remediator.engine.context import PluginContext  # noqa: PLC0415

    clock = SystemClock()
    journal = await _journal(settings)
    clients = make_clients(settings)
    try:
        answers = await simulate.simulate(
            notification,
            simulate.World(
                runbooks=loaded,
                policy=policy,
                clock=clock,
                context_for=lambda run_id, names: PluginContext(
                    run_id, clock, clients, journal, names
                ),
                journal=journal,
            ),
        )
    finally:
        for client in clients.values():
            await client.close()
        if journal is not None:
            await journal.close()
    return answers, journal is not None


async def _journal(settings: "Settings") -> Any:
    """Open the journal for its history; without one, limits are judged as on the first day."""
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415
    from remediator.journal.opening import open_journal  # noqa: PLC0415
    from remediator.journal.urls import is_postgres, sqlite_path  # noqa: PLC0415
    from remediator.journal.values import Opening  # noqa: PLC0415 - keeps --help quick

    try:
        url = settings.journal
        if not is_postgres(url) and not sqlite_path(url).exists():
            return None
        return await open_journal(
            url,
            SystemClock(),
            Opening(node="simulate"),
            postgres=settings.postgres,
            read_only=True,
        )
    except CannotOpen as error:
        click.echo(f"remediator: simulating without history: {error}", err=True)
        return None
