"""The contract of actions: plan, apply, settled, undo; and of probes, which only read.

An action is one file: example, parameters, permissions and code. It raises `Temporary`,
`Permanent` or `Stale`, never returns an error; the engine turns these into outcomes.
`asyncio.CancelledError` must pass through.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Generic, TypeVar

from remediator.model.limits import Frozen
from remediator.model.plans import Plan, Result, Settled
from remediator.plugin.context import Context


class ActionError(Exception):
    """The base of what an action may raise. The text is a sentence for people; no secrets."""


class Temporary(ActionError):
    """It may work later: a network error, a throttle, a conflict that a fresh read solves."""

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after
        """When the server said to try again."""


class Permanent(ActionError):
    """It will not work by trying again: not found, forbidden, refused, badly configured."""


class Stale(ActionError):
    """The world is neither what the plan found nor what it leads to: somebody else changed it."""


class ActionParams(Frozen):
    """The parameters that a runbook's author writes under `with:`; unknown ones are refused."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Something that the credentials must be allowed to do.

    Args:
        system: `kubernetes`, `aws`, …: which rules `remediator rbac` prints it in.
        resource: `apps/deployments`, `apps/deployments/scale`, `/pods` (group/resource[/sub]).
        verbs: what is done with it, in the system's own words.
        scope: the namespace or account; `*` where it is not known before the alert comes.
    """

    system: str
    resource: str
    verbs: tuple[str, ...]
    scope: str = "*"


P = TypeVar("P", bound=ActionParams)


class Operation(ABC, Generic[P]):
    """What actions and probes have in common."""

    name: ClassVar[str]
    """`kubernetes.scale`: system, dot, verb."""
    Params: ClassVar[type[ActionParams]]
    """The parameters' model."""
    summary: ClassVar[str]
    """One line for the catalogue."""
    example: ClassVar[str]
    """A `with:` block in YAML that a runbook could hold; a test loads it."""

    def permissions(self, params: P) -> Sequence[Permission]:
        """Return what the credentials need for these parameters."""
        return ()


class Action(Operation[P]):
    """An operation that changes something."""

    goes_back: ClassVar[bool] = False
    """Whether it is itself a way back, so that taking it back again is seldom wanted."""

    @abstractmethod
    async def plan(self, params: P, ctx: Context) -> Plan:
        """Work out the exact change, reading only. An empty plan means nothing to do."""

    @abstractmethod
    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """Carry the plan out; idempotent under its plan.

        Compares the world with the plan first: as before → change it; as after → done already
        (`Result.changed` False).

        Raises:
            Stale: neither.
        """

    @abstractmethod
    async def settled(self, plan: Plan, ctx: Context) -> Settled:
        """Look once: is the target healthy after the plan? The engine asks again until it is.

        Also asked with `plan.inverse()` after an undo.
        """

    async def undo(self, plan: Plan, ctx: Context) -> Result:
        """Take the plan back by the same care: apply its inverse.

        Raises:
            Stale: the target is no longer as the plan left it.
        """
        return await self.apply(plan.inverse(), ctx)


class Probe(Operation[P]):
    """An operation that only reads: a query, a check, collecting logs."""

    Output: ClassVar[dict[str, str]] = {}
    """What `steps.<id>.result` holds: name → CEL type, for checks at load."""

    @abstractmethod
    async def probe(self, params: P, ctx: Context) -> Result:
        """Look once and say whether the expectation holds (`Result.ok`)."""


AnyOperation = Action[Any] | Probe[Any]
