"""Alertmanager silences for the noise that a planned change makes. Pure.

Owns the rule that a silence is never wider than the alert's own scope: beside the runbook's
matchers it always demands the alert's own values of the labels in `equal`, and it never mutes the
alert that the run is about, which has to go on calling people when the run does not help.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from remediator.model.matchers import Matcher, Operator

LONGEST = timedelta(hours=4)
"""A change that makes noise for longer is no remediation."""
MOST_LINES = 5
WHAT_LABELS = frozenset({"alertname", "severity"})
"""They say what is wrong and not where: alone they make no scope."""
OWNER = "remediator"
"""`createdBy` of each of our silences."""


@dataclass(frozen=True, slots=True)
class Silencing:
    """What a runbook silences: each line of matchers, within the alert's own values of `equal`."""

    lines: tuple[tuple[Matcher, ...], ...]
    equal: tuple[str, ...]
    for_: timedelta


class SilenceState(StrEnum):
    """Where one silence is."""

    WANTED = "wanted"  # it may have been set or not
    SET = "set"
    FAILED = "failed"  # no Alertmanager took it, as far as is known
    ENDING = "ending"  # its run has ended: it is to be removed
    REMOVED = "removed"
    EXPIRED = "expired"  # it ended by itself before it could be removed


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence of one run."""

    run_id: str
    number: int
    sender: str
    matchers: str
    """One line in Alertmanager's syntax."""
    until: datetime
    state: SilenceState
    id: str = ""
    """Alertmanager's, where it is known."""
    attempts: int = 0

    @property
    def comment(self) -> str:
        """What the silence says of itself; it is found again by this."""
        return f"remediator run {self.run_id}, silence {self.number}"


@dataclass(frozen=True, slots=True)
class Silenced:
    """What came of asking for a silence: its id, or why there is none."""

    id: str = ""
    error: str = ""


def narrowed(
    line: Sequence[Matcher], equal: Sequence[str], labels: Mapping[str, str]
) -> tuple[Matcher, ...] | str:
    """Return the matchers of a silence within an alert's scope, or why there can be none.

    Args:
        line: the runbook's.
        equal: labels whose value must be the alert's own.
        labels: the alert's.
    """
    missing = [name for name in equal if not labels.get(name)]
    if missing:
        return f"the alert has no label {', '.join(missing)}, which keeps the silence narrow"
    made = (*line, *(Matcher(name, Operator.EQUAL, labels[name]) for name in equal))
    if not all(matcher.matches(labels) for matcher in made):
        return made
    name = labels.get("alertname", "")
    if not name or any(m.name == "alertname" and m.operator is Operator.EQUAL for m in made):
        return "it would mute the alert itself"
    return (*made, Matcher("alertname", Operator.NOT_EQUAL, name))


def written(matchers: Sequence[Matcher]) -> str:
    """Return matchers as one line in Alertmanager's syntax."""
    return ", ".join(map(str, matchers))
