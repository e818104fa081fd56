"""What becomes of a further run of a runbook while one is under way."""

from enum import StrEnum


class RepeatMode(StrEnum):
    """How runs of one runbook, with one key, stand to each other."""

    SINGLE = "single"
    """No further run is started."""
    RESTART = "restart"
    """What has changed nothing yet is cancelled, and the further run takes its place; what has
    begun a change is let end first."""
    QUEUED = "queued"
    """The further run waits until those before it have ended."""
    PARALLEL = "parallel"
    """They do not concern each other."""


MOST_QUEUED = 10
"""How many runs wait in `queued` at most, where the runbook does not say: what an hour of a
flapping alert brings. What waits longer is seldom still wanted."""
