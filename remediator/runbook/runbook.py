"""A runbook as the engine uses it: compiled, checked, frozen. Made by `compile`, evaluated here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from remediator.model.limits import Approval, Limits, Mode
from remediator.model.matchers import Matcher
from remediator.model.repeats import MOST_QUEUED, RepeatMode
from remediator.model.silences import Silencing
from remediator.plugin.action import Action, ActionParams, AnyOperation, Probe
from remediator.runbook import arguments, expressions
from remediator.runbook import scope as scopes
from remediator.runbook.arguments import ParameterSpec
from remediator.runbook.document import Document
from remediator.runbook.expressions import Expression, ExpressionFailed, Template
from remediator.runbook.schema import OnFailure
from remediator.runbook.scope import (
    ROOT,
    Block,
    Compiled,
    Frame,
    Parts,
    Scope,
    alert_values,
    render,
)

__all__ = [
    "Block",
    "Compiled",
    "CompiledStep",
    "Fragment",
    "Frame",
    "Origin",
    "Repeat",
    "Runbook",
    "RunbookSet",
    "Scope",
    "Verify",
    "alert_values",
    "render",
]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where a step is written: a document, and the path of the step in it."""

    file: str
    path: str
    """Dotted, like `steps.2` or `steps.1.steps.0`."""
    positions: Mapping[str, tuple[int, int]]
    """Dotted path → (line, column), of the whole document."""

    def at(self, part: str = "") -> tuple[str, int, int]:
        """Return file, line and column of a part of the step (`with.max`), or of the nearest
        that is written."""
        parts = [*self.path.split("."), *filter(None, part.split("."))]
        while parts and ".".join(parts) not in self.positions:
            parts.pop()
        return self.file, *self.positions.get(".".join(parts), (1, 1))


NOWHERE = Origin("", "", {})


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One step, ready to be planned or looked at.

    What is written as `use`, `for_each` or a group stands in `Runbook.steps` as the plain steps
    that it comes to, in order and with fixed numbers: `steps[n].sequence == n`. A step's
    expressions are its `frame`'s, so it must be given the scope that was made for it.
    """

    id: str
    """Unique in the runbook: `scale`, `drain.look` (by use), `restarts[0]` (by for_each)."""
    sequence: int
    operation: AnyOperation
    parameters: Mapping[str, Compiled]
    condition: Expression | None
    """Its own `if`; what is written around it may have further ones: ask `wanted`."""
    is_rung: bool
    """Whether a condition of its own or of its `use` asks about the alert; of several steps that a
    `use` came to, only the first. Never in a block."""
    needs: frozenset[str]
    """Ids of earlier steps whose outcome must be known before it can be planned: those that its
    expressions read, its conditions, what its `use` is given, and its block's list. Some of them
    may stand in vacant lanes."""
    timeout: timedelta
    retry_attempts: int
    backoff: timedelta
    where: str
    """file:line:column of the step, for errors."""
    frame: Frame = ROOT
    """The document whose names it uses."""
    block: Block | None = None
    """The block that it stands in: the runbook's, or that of the `use` that brought it."""
    lane: int = 0
    """Its lane in that block, from 0. Steps of one lane run in their order; lanes beyond the list
    (`Block.values`) are vacant."""
    origin: Origin = NOWHERE

    @property
    def conditional(self) -> bool:
        """Whether `wanted` asks anything."""
        return bool(self._conditions(Scope({}, self.frame)))

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
        """Return whether the step is to be used: its own `if` and those around it hold.

        Raises:
            ExpressionFailed: it can't be told.
        """
        return all(one.holds(at.values) for one, at in self._conditions(scope))

    def _conditions(self, scope: Scope) -> list[tuple[Expression, Scope]]:
        """Return every condition with the scope it reads, the outermost first."""
        found = [(self.condition, scope)]
        at = scope
        while True:
            if self.block is not None and self.block.frame is at.frame:
                found.append((self.block.condition, at))
            if at.frame.outer is None:
                break
            outer = at.outer or Scope({}, at.frame.outer)
            found.append((at.frame.condition, outer))
            at = outer
        return [(one, where) for one, where in reversed(found) if one is not None]

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
class Repeat:
    """What becomes of a further run of this runbook, with this key, while one is under way."""

    mode: RepeatMode = RepeatMode.PARALLEL
    key: Compiled = ""
    """Runs with another key do not concern each other; "" for one key for all."""
    most: int | None = None
    """In `queued`: how many wait at most. In `parallel`: how many are under way at most; None for
    no limit. What comes beyond is not started."""

    @property
    def most_waiting(self) -> int:
        """How many runs wait at most in `queued`."""
        return self.most if self.most is not None else MOST_QUEUED


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
    frame: Frame
    """Its own parameters, variables and outputs."""
    steps: tuple[CompiledStep, ...]
    parts: Parts
    """What each written step came to, for what others read of it."""
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
    repeat: Repeat = Repeat()
    uses: tuple[str, ...] = ()
    """Names of the documents that stand in it, each once; `source` holds them after its own."""

    @property
    def vars(self) -> Mapping[str, Compiled]:
        """Names for expressions; each may use the ones before it."""
        return self.frame.vars

    @property
    def parameters(self) -> Mapping[str, ParameterSpec]:
        """What a person who starts it may set."""
        return self.frame.declared

    @property
    def outputs(self) -> Mapping[str, Compiled]:
        """What a run leaves on record; evaluated by `results`."""
        return self.frame.outputs

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every block, in order."""
        return tuple(dict.fromkeys(step.block for step in self.steps if step.block is not None))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether any line of matchers lets these labels through."""
        return any(all(m.matches(labels) for m in line) for line in self.matchers)

    def condition_values(self, context: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return what the runbook's own `if` reads: the alert, the time, and the parameters'
        defaults, since no alert gives others."""
        defaults = {
            f"params.{name}": arguments.read(spec, spec.default)
            for name, spec in self.parameters.items()
        }
        return {**alert_values(context), "now": now, **defaults}

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
        return self.condition.holds(self.condition_values(context, now))

    def scope(
        self,
        context: Mapping[str, Any],
        *,
        run: Mapping[str, str],
        now: datetime,
        steps: Mapping[str, Mapping[str, Any]],
        at: CompiledStep | Block | None = None,
    ) -> Scope:
        """Return what the expressions of one place may read.

        Args:
            context: the alert and its group, as `engine.matching.context` makes it, with the
                `parameters` that the run was started with, where there are any.
            run: id and name.
            now: the time, aware.
            steps: id of a step → result, plan, ok and skipped, of the steps that have an outcome.
                A name that reads one without an outcome is not known yet. Of a `use`, `result` is
                made of its document's `outputs`, `plan` is the list of its steps' plans, and `ok`
                says that all of them are done, those left out that a condition skipped (if not all
                were). Of a block, `result` and `plan` are the lists of its lanes' and `ok` says
                that every lane is; vacant lanes are left out.
            at: the step whose parameters or conditions are asked for, or the block whose list is;
                None for what stands outside of the steps (verify, outputs).
        """
        values = alert_values(context)
        values.update({f"run.{key}": value for key, value in run.items()})
        values["now"] = now
        given = context.get("parameters") or {}
        if isinstance(at, Block):
            place: tuple[Frame, Block | None, int] = (at.frame, None, 0)
        elif at is None:
            place = (self.frame, None, 0)
        else:
            place = (at.frame, at.block, at.lane)
        return scopes.scope_at(values, steps, self.parts, given, place)

    def fixed(self, step: CompiledStep) -> dict[str, Compiled]:
        """Return a step's parameters with everything put in that is known before any alert comes.

        What an alert, an earlier step or whoever starts the run decides stays a `Template`.
        """
        unknown = dict.fromkeys(self.parameters)  # a person may give others than the defaults
        place = (step.frame, step.block, step.lane)
        scope = scopes.scope_at({}, {}, self.parts, unknown, place)
        return {name: _as_known(value, scope.values) for name, value in step.parameters.items()}

    def results(self, scope: Scope) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """Return the run's outputs as JSON, and why the others could not be worked out.

        Args:
            scope: made with `at=None`, when the steps have ended.
        """
        return scopes.outputs_of(self.frame, scope.values)

    def repeat_key(self, context: Mapping[str, Any]) -> str:
        """Return which of its runs a further one would repeat.

        Raises:
            ExpressionFailed: it can't be told for this alert.
        """
        scope = self.scope(context, run={}, now=_NEVER, steps={})
        found = render(self.repeat.key, scope.values)
        return found if isinstance(found, str) else expressions.to_text(found)


def _as_known(value: Compiled, values: Mapping[str, Any]) -> Compiled:
    if isinstance(value, Template):
        try:
            return value.render(values)
        except ExpressionFailed:
            return value
    if isinstance(value, Mapping):
        return {key: _as_known(inner, values) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_known(inner, values) for inner in value]
    return value


_NEVER = datetime.max.replace(tzinfo=UTC)  # a key may not read the time


@dataclass(frozen=True, slots=True)
class Fragment:
    """A document without `match`, checked by itself: its steps as they would stand alone."""

    name: str
    description: str
    owner: str
    docs: str
    file: str
    line: int
    frame: Frame
    """Its parameters, variables and outputs."""
    steps: tuple[CompiledStep, ...]
    positions: Mapping[str, tuple[int, int]]
    uses: tuple[str, ...] = ()
    """Names of the documents that stand in it, each once."""


@dataclass(frozen=True, slots=True)
class RunbookSet:
    """A checked set: every file loaded, every name unique, every use resolved."""

    runbooks: tuple[Runbook, ...]
    fragments: tuple[Fragment, ...] = ()
    documents: tuple[Document, ...] = field(default=(), repr=False, compare=False)
    """What they were compiled from, for others that want to use them; where they are kept."""
