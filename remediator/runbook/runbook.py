"""A runbook as the engine uses it: compiled, checked, frozen. Made by `compile`, evaluated here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from remediator.model import clock
from remediator.model.limits import Approval, Limits, Mode
from remediator.model.matchers import Matcher
from remediator.model.silences import Silencing
from remediator.plugin.action import Action, ActionParams, AnyOperation, Probe
from remediator.runbook.expressions import Expression, ExpressionFailed, Template
from remediator.runbook.schema import OnFailure

Compiled = Any
"""A parameter value in which every string with an expression is a `Template`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The values that expressions read, by their declared names."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One step, ready to be planned or looked at.

    `needs` holds the ids of earlier steps whose results or plans its expressions read.
    """

    id: str
    sequence: int
    operation: AnyOperation
    parameters: Mapping[str, Compiled]
    condition: Expression | None
    is_rung: bool
    needs: frozenset[str]
    timeout: timedelta
    retry_attempts: int
    backoff: timedelta
    where: str
    """file:line:column of the step, for errors."""

    @property
    def action(self) -> Action[Any]:
        """The operation of a step that changes something.

        Raises:
            TypeError: it is a probe.
        """
        if not isinstance(self.operation, Action):
            raise TypeError(f"{self.operation.name} is a probe")
        return self.operation

    @property
    def probe(self) -> Probe[Any]:
        """The operation of a step that only reads.

        Raises:
            TypeError: it is an action.
        """
        if not isinstance(self.operation, Probe):
            raise TypeError(f"{self.operation.name} is an action")
        return self.operation

    def wanted(self, scope: Scope) -> bool:
        """Return whether the step's condition holds (True without one).

        Raises:
            ExpressionFailed: it can't be told.
        """
        return self.condition is None or self.condition.holds(scope.values)

    def resolve(self, scope: Scope) -> ActionParams:
        """Evaluate the parameters and validate them into the operation's model.

        Raises:
            ExpressionFailed: an expression can't be evaluated, or a value does not do; the text
                names position and parameter.
        """
        try:
            given = {name: render(value, scope.values) for name, value in self.parameters.items()}
        except ExpressionFailed as error:
            raise ExpressionFailed(f"{self.where}: {error}") from None
        try:
            return self.operation.Params.model_validate(given)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(str(part) for part in fault["loc"]) or "with"
            text = fault["msg"].removeprefix("Value error, ")
            raise ExpressionFailed(f"{self.where}: {name}: {text}") from None


@dataclass(frozen=True, slots=True)
class Verify:
    """How the run finds out whether it helped. `step` is a probe; None watches the alert."""

    within: timedelta
    every: timedelta | None
    step: CompiledStep | None


@dataclass(frozen=True, slots=True)
class Runbook:
    """One compiled runbook. `version` is the digest of what was written."""

    name: str
    description: str
    owner: str
    docs: str
    links: Mapping[str, str]
    version: str
    source: str
    file: str
    line: int
    matchers: Sequence[Sequence[Matcher]]
    condition: Expression | None
    when: str
    per: str
    wait_for: timedelta
    mode: Mode
    approval: Approval
    limits: Limits
    vars: Mapping[str, Compiled]
    steps: tuple[CompiledStep, ...]
    verify: Verify | None
    on_failure: OnFailure
    silence: Silencing | None = None
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Dotted path → (line, column), for the linter."""
    substance: str = ""
    """Digest of what it does: everything but its name, mode, limits, people and words."""
    namespace: str = ""
    """Where a runbook that is kept in the cluster lives: it acts there only, unless the settings
    lift that. Empty for one that comes from a file."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether any line of matchers lets these labels through."""
        return any(all(m.matches(labels) for m in line) for line in self.matchers)

    def applies(
        self,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        context: Mapping[str, Any],
        now: datetime,
    ) -> bool:
        """Whether the runbook is for this alert: its matchers, then its condition.

        Raises:
            ExpressionFailed: its condition can't be evaluated for this alert.
        """
        if not self.matches(labels):
            return False
        if self.condition is None:
            return True
        return self.condition.holds({**alert_values(context), "now": now})

    def scope(
        self,
        context: Mapping[str, Any],
        *,
        run: Mapping[str, str],
        now: datetime,
        steps: Mapping[str, Mapping[str, Any]],
    ) -> Scope:
        """Return what expressions may read.

        Args:
            context: the alert and its group, as `engine.matching.context` makes it.
            run: id and name.
            now: the time, aware.
            steps: step id → result, plan and ok of the steps that have been reached.
        """
        values = alert_values(context)
        values.update({f"run.{key}": value for key, value in run.items()})
        values["now"] = now
        for step_id, known in steps.items():
            for key, value in known.items():
                values[f"steps.{step_id}.{key}"] = value
        for name, value in self.vars.items():
            try:
                values[f"vars.{name}"] = render(value, values)
            except ExpressionFailed as error:
                values[f"vars.{name}"] = error  # whoever reads it is told why
        return Scope(values)


def alert_values(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alert's variables by their declared names."""
    alert, group = context["alert"], context["group"]
    return {
        "alert.labels": alert["labels"],
        "alert.annotations": alert["annotations"],
        "alert.status": alert["status"],
        "alert.firing": alert["status"] == "firing",
        "alert.starts_at": clock.from_text(alert["starts_at"]),
        "alert.generator_url": alert["generator_url"],
        "alert.fingerprint": alert["fingerprint"],
        "labels": alert["labels"],
        "annotations": alert["annotations"],
        **{f"group.{key}": value for key, value in group.items()},
    }


def render(value: Compiled, values: Mapping[str, Any]) -> Any:
    """Evaluate every template in a parameter value.

    Raises:
        ExpressionFailed: one can't be evaluated.
    """
    if isinstance(value, Template):
        return value.render(values)
    if isinstance(value, Mapping):
        return {key: render(inner, values) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [render(inner, values) for inner in value]
    return value
