"""What guardrails may know of the past, in one reading."""

from datetime import datetime

from remediator.journal import controls, incidents, locks, steps
from remediator.journal.protocol import History
from remediator.journal.statements import Operation


def read(*, run_id: str, since: datetime | None, at: datetime) -> Operation[History]:
    """Read the changes since then, kill switches, locks of other runs, and the run's incident."""
    changes = (yield from steps.changes(since=since)) if since else ()
    switches = yield from controls.active(at)
    held = yield from locks.of_others(run_id)
    still_open = yield from incidents.open_of_run(run_id)
    return History(changes=changes, controls=switches, locks=held, incident_open=still_open)
