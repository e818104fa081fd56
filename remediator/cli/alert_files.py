"""Files with alerts, as people and tools write them → the body of a webhook. For `simulate`,
`policy explain` and `record`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.model.alerts import Notification
    from remediator.plugin.registry import Registry

# Intake takes no more in one body.
_LARGEST_BYTES = 64 * 2**20


def named(path: Path) -> str:
    """Return what messages call a file; `-` is standard input."""
    return "standard input" if str(path) == "-" else str(path)


def notification_body(path: Path) -> Mapping[str, Any]:
    """Read a file with alerts, and return it as the body of a webhook.

    Raises:
        Failure: it can't be read, or is no JSON.
    """
    name = named(path)
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
    found: Mapping[str, Any] = payload(value)
    return found


def payload(value: Any) -> Any:
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


def parsed(body: Mapping[str, Any], path: Path, registry: "Registry") -> "Notification":
    """Return a webhook's body as a notification.

    Args:
        path: where it comes from, for errors.

    Raises:
        Failure: it is none.
    """
    from remediator.plugin.source import Rejected  # noqa: PLC0415 - keeps --help quick

    try:
        return registry.sources["alertmanager"].parse(json.dumps(body).encode())
    except Rejected as error:
        raise Failure(f"{named(path)}: {error}") from None
