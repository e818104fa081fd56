"""Wake-ups that were set under a clock that was ahead: brought back, so that nothing waits for it.

A run's row says when it was moved. Where that is in the future, the clock was ahead when it was
written and has been set back since; whatever was to happen in ten minutes then, is to happen in ten
minutes now. Called when a journal is opened and by housekeeping.
"""

from datetime import datetime, timedelta

from remediator.journal.statements import Execute, Operation, Record, Wake
from remediator.journal.times import to_us
from remediator.journal.values import AuditEntry, Due

# Replicas' clocks differ by a little, and a run that was moved by another must not be touched.
SLACK = timedelta(minutes=1)
# No note is put off for longer at once (`engine.retry`).
_LONGEST_DELAY = timedelta(minutes=15)


def straighten(at: datetime) -> Operation[int]:
    """Bring back what was set under a clock that was ahead of `at`; returns how many rows."""
    now, ahead = to_us(at), to_us(at + SLACK)
    runs = yield Execute(
        "UPDATE runs SET wake_us = wake_us - (moved_us - $1),"
        " deadline_us = deadline_us - (moved_us - $1), moved_us = $1"
        " WHERE ended_us IS NULL AND owner IS NULL AND moved_us > $2",
        (now, ahead),
    )
    questions = yield Execute(
        "UPDATE approvals SET expires_us = expires_us - (created_us - $1), created_us = $1"
        " WHERE status = 'open' AND created_us > $2",
        (now, ahead),
    )
    notes = yield Execute(
        "UPDATE outbox SET next_us = $1 WHERE state = 'waiting' AND next_us > $2",
        (now, to_us(at + SLACK + _LONGEST_DELAY)),
    )
    notes += yield Execute(
        "UPDATE outbox SET next_us = next_us - (at_us - $1), at_us = $1"
        " WHERE state = 'later' AND at_us > $2",
        (now, ahead),
    )
    lifted = yield Execute(
        "UPDATE overrides SET expires_us = expires_us - (created_us - $1), created_us = $1"
        " WHERE state = 'open' AND created_us > $2",
        (now, ahead),
    )
    count: int = runs + questions + notes + lifted
    if count:
        yield Wake(Due.RUNS)
        yield Wake(Due.NOTES)
        details = {"runs": runs, "approvals": questions, "notes": notes, "overrides": lifted}
        yield Record([AuditEntry("clock.set_back", "remediator", at, details)])
    return count
