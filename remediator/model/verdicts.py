"""A guardrail's answer to a plan."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from remediator.model.canonical import JSONObject


class Ruling(StrEnum):
    """Allow; wait and ask again; hold for a person; refuse. Later ones outweigh earlier ones."""

    ALLOW = "allow"
    WAIT = "wait"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guardrail says of one plan.

    Args:
        rule: the guardrail's name, `cooldown`.
        ruling: allow, wait, hold or refuse.
        reason: a sentence with the figure and the limit: `changed 4m ago, cooldown is 15m`.
        lifted_by: what or who would lift it: `wait until 14:30`, `remediator resume --scope shop`.
        by: whose limit it is: `policy`, `policy rule NAME`, `runbook NAME`; empty where it is
            nobody's figure.
        figure: what was found, `4m ago`.
        limit: what is allowed, `15m`.
        override: id of the override that made an allow of it, else empty.
    """

    rule: str
    ruling: Ruling
    reason: str = ""
    lifted_by: str = ""
    by: str = ""
    figure: str = ""
    limit: str = ""
    override: str = ""

    def __str__(self) -> str:
        lift = f" ({self.lifted_by})" if self.lifted_by else ""
        return f"{self.rule}: {self.reason or self.ruling.value}{lift}"

    def to_json(self) -> JSONObject:
        """Return the verdict as JSON for the journal and the API."""
        return {
            "rule": self.rule,
            "ruling": self.ruling.value,
            "reason": self.reason,
            "lifted_by": self.lifted_by,
            "by": self.by,
            "figure": self.figure,
            "limit": self.limit,
            "override": self.override,
        }


def worth_showing(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Return what people need to see: every no, and every no that somebody lifted."""
    return tuple(v for v in verdicts if v.ruling is not Ruling.ALLOW or v.override)


_WEIGHT = {ruling: weight for weight, ruling in enumerate(Ruling)}


def heaviest(verdicts: tuple[Verdict, ...]) -> Ruling:
    """Return the ruling that binds: refuse before hold before wait before allow."""
    return max((v.ruling for v in verdicts), key=_WEIGHT.__getitem__, default=Ruling.ALLOW)
