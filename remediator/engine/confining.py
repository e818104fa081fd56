"""Keeps a runbook that lives in a namespace from looking, or planning, outside it.

Between a step's parameters and its operation: whoever resolves the one for the other goes through
`resolved`. What a plan then comes to is judged by the guardrail `own_namespace` as well. Called by
`planning` and `verify`.
"""

from remediator.engine import guardrails
from remediator.engine.hand import Hand
from remediator.model.verdicts import Verdict
from remediator.plugin.action import ActionParams, Permanent
from remediator.runbook import confinement
from remediator.runbook.runbook import CompiledStep


class Outside(Permanent):
    """These parameters lead out of the namespace that the runbook lives in."""

    def __init__(self, home: str, why: str) -> None:
        super().__init__(f"{why} ({confinement.lifted(home)})")
        self._home, self._why = home, why

    def verdict(self, at: str) -> Verdict:
        """Return it as the guardrail's verdict; `at` is put before the reason."""
        return guardrails.outside(self._home, f"{at}{self._why}")


def resolved(hand: Hand, step: CompiledStep) -> ActionParams:
    """Return a step's parameters, unless they lead out of the runbook's namespace.

    Raises:
        ExpressionFailed: an expression can't be evaluated, or a value does not do.
        Outside: they lead out of it.
    """
    params = step.resolve(hand.scope(step))
    if hand.home and (why := confinement.strays(hand.home, step.operation, params.model_dump())):
        raise Outside(hand.home, why)
    return params
