"""What an expression reads: the frames that names live in, and their values at one moment.

Made by `compile` (frames, blocks, parts) and by `Runbook.scope` (values). A step that came into a
runbook by `use:` sees its own document's parameters, variables and steps, under the names that are
written there, and nothing of the document that uses it. Values are worked out when they are asked
for, so a name whose value can't be told harms only who reads it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from remediator.model import clock
from remediator.runbook import arguments
from remediator.runbook.arguments import ParameterSpec
from remediator.runbook.expressions import Expression, ExpressionFailed, Template

Compiled = Any
"""A parameter value in which every string with an expression is a `Template`."""


class TooMany(ExpressionFailed):
    """A list has more items than the block's `most`."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One document as it stands in a runbook: the runbook's own, or one that a step uses.

    Two uses of one document are two frames. Compared by identity.
    """

    prefix: str = ""
    """What stands before the ids of its steps: "" for the runbook's own, `drain.`,
    `restarts[0].`."""
    outer: "Frame | None" = None
    """Where the `use` is written; None for the runbook's own."""
    declared: Mapping[str, ParameterSpec] = field(default_factory=dict)
    """The parameters that the document declares."""
    given: Mapping[str, Compiled] = field(default_factory=dict)
    """What the `use` gives them in `with`; its expressions are `outer`'s."""
    vars: Mapping[str, Compiled] = field(default_factory=dict)
    outputs: Mapping[str, Compiled] = field(default_factory=dict)
    """What `steps.ID.result` of the `use` is made of."""
    condition: Expression | None = None
    """The `if` of the `use`; it is `outer`'s, and holds for every step of the frame."""
    block: "Block | None" = None
    """The block that the `use` is written in, when it stands in one."""
    lane: int = 0
    """Which of that block's lanes it is."""


ROOT = Frame()
"""The frame of a runbook that declares nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Steps in lanes that may run at once: one lane for each item of a `for_each`, or for each
    member of a group. Compared by identity; `id` is unique in the runbook.

    Steps of one lane run in their order; up to `parallel` lanes are under way at a time. The steps
    of a block follow each other in `Runbook.steps`, lane after lane.
    """

    id: str
    parallel: int
    most: int
    """How many lanes there are in `Runbook.steps`; a list that is longer ends the run."""
    items: Compiled | None
    """The list of a `for_each`; None for a group."""
    frame: Frame
    """Where the block is written: its list and its condition are that frame's."""
    condition: Expression | None
    """The `if` of a group; it holds for every member."""
    where: str
    """file:line:column of the list, for errors; of the step for a group."""
    needs: frozenset[str] = frozenset()
    """Ids of earlier steps whose outcome must be known before the list and the conditions around
    the block can be told; like `CompiledStep.needs`."""

    def values(self, scope: "Scope") -> Sequence[Any]:
        """Return the list of a `for_each`; for a group its lanes' numbers.

        Lane n works on the n-th value; lanes from `len` on are vacant: their steps get no row, and
        nothing waits for them. The list reads only what does not change any more once it is known
        (no `now`, no `alert.firing`), so it is the same each time it can be told.

        Args:
            scope: `Runbook.scope(…, at=block)`.

        Raises:
            TooMany: it is longer than `most`.
            ExpressionFailed: it is no list, or can't be told; each with file:line:column.
        """
        if self.items is None:
            return range(self.most)
        try:
            found = render(self.items, scope.values)
        except ExpressionFailed as error:
            raise type(error)(f"{self.where}: {error}") from None
        if not isinstance(found, list):
            raise ExpressionFailed(f"{self.where}: for_each needs a list; this is {found!r:.80}")
        if len(found) > self.most:
            raise TooMany(f"{self.where}: the list has {len(found)} items, and most is {self.most}")
        return found


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one written step: what `steps.ID` means in the frame where it is written.

    A plain step is one of the runbook's steps; a `use` is a frame with all of its; a block has a
    part for each lane. `steps` holds the ids of all of them in the runbook.
    """

    id: str
    steps: tuple[str, ...]
    frame: Frame | None = None
    block: Block | None = None
    lanes: tuple["Part", ...] = ()


Parts = Mapping[str, Mapping[str, Part]]
"""Prefix of a frame → id as it is written there → what became of it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the expressions of one step read, and of the frames that it stands in."""

    values: Mapping[str, Any]
    frame: Frame = ROOT
    outer: "Scope | None" = None
    """The scope where the frame's `use` is written."""


def scope_at(
    known: Mapping[str, Any],
    steps: Mapping[str, Mapping[str, Any]],
    parts: Parts,
    arguments_given: Mapping[str, Any],
    place: tuple[Frame, Block | None, int],
) -> Scope:
    """Return the scope of a place in a runbook.

    Args:
        known: the alert, the group, the run and the time by their declared names.
        steps: id in the runbook → result, plan, ok and skipped, of the steps that have an outcome.
        arguments_given: what the run was started with, for the runbook's own parameters.
        place: a frame; and the block with the lane, for what is written in one.
    """
    return _Moment(known, steps, parts, arguments_given).scope(*place)


@dataclass(slots=True)
class _Moment:
    known: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]
    parts: Parts
    arguments: Mapping[str, Any]
    made: dict[tuple[str, str, int], "_Values"] = field(default_factory=dict)

    def scope(self, frame: Frame, block: Block | None, lane: int) -> Scope:
        outer = None
        if frame.outer is not None:
            outer = self.scope(frame.outer, frame.block, frame.lane)
        return Scope(self.values(frame, block, lane), frame, outer)

    def values(self, frame: Frame, block: Block | None = None, lane: int = 0) -> "_Values":
        if block is not None and (block.items is None or block.frame is not frame):
            block = None  # a group has no `each`; a document that is used in a lane has its own
        key = (frame.prefix, block.id if block else "", lane if block else 0)
        if key not in self.made:
            self.made[key] = _Values(self, frame, block, lane)
        return self.made[key]


_UNKNOWN = object()


class _Values(Mapping[str, Any]):
    """The variables of one place by their declared names; one that failed is its error."""

    def __init__(self, moment: _Moment, frame: Frame, block: Block | None, lane: int) -> None:
        self._moment = moment
        self._frame = frame
        self._block = block
        self._lane = lane
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        found = self._found.get(name, _UNKNOWN)
        if found is _UNKNOWN:
            try:
                found = self._work_out(name)
            except ExpressionFailed as error:
                found = error  # whoever reads it is told why
            except KeyError:
                raise KeyError(name) from None  # of the step that has no outcome yet
            self._found[name] = found
        return found

    def _work_out(self, name: str) -> Any:
        head, _, rest = name.partition(".")
        if head == "params":
            return self._parameter(rest)
        if head == "vars":
            return render(self._frame.vars[rest], self)
        if head == "each" and self._block is not None:
            return self._lane if rest == "index" else self._each(self._block)
        if head == "steps":
            step_id, _, key = rest.rpartition(".")
            return self._of(self._moment.parts[self._frame.prefix][step_id], key)
        return self._moment.known[name]

    def _each(self, block: Block) -> Any:
        values = block.values(Scope(self._moment.values(self._frame), self._frame))
        return values[self._lane] if self._lane < len(values) else None

    def _parameter(self, name: str) -> Any:
        frame, spec = self._frame, self._frame.declared[name]
        if frame.outer is None:
            given = self._moment.arguments.get(name, spec.default)
        elif name in frame.given:
            outer = self._moment.values(frame.outer, frame.block, frame.lane)
            given = render(frame.given[name], outer)
        else:
            given = spec.default
        if given is None:
            raise ExpressionFailed(f'the parameter "{name}" was not given')
        try:
            return arguments.read(spec, given)
        except ValueError as error:
            raise ExpressionFailed(f"{frame.prefix}{name}: {error}") from None

    # -- steps.ID.result, .plan, .ok

    def _of(self, part: Part, key: str) -> Any:
        if part.block is not None:
            lanes = self._lanes(part)
            found = [self._of(lane, key) for lane in lanes]
            return all(found) if key == "ok" else found
        if part.frame is None:
            return self._moment.steps[part.steps[0]][key]
        inner = self._all_of(part)
        if key == "plan":
            return [one["plan"] for one in inner]
        reached = [one for one in inner if not one.get("skipped")]
        if key == "ok":
            return bool(reached) and all(one["ok"] for one in reached)
        if not reached:
            return {}
        return outputs_of(part.frame, self._moment.values(part.frame))[0]

    def _lanes(self, part: Part) -> Sequence[Part]:
        """Return the lanes that are not vacant."""
        block = part.block
        assert block is not None  # noqa: S101 - callers ask for blocks only
        values = block.values(Scope(self._moment.values(self._frame), self._frame))
        return part.lanes[: len(values)]

    def _all_of(self, part: Part) -> list[Mapping[str, Any]]:
        """Return what is known of every step of a `use`, those of vacant lanes left out.

        Raises:
            KeyError: one of them has no outcome yet.
        """
        frame = part.frame
        assert frame is not None  # noqa: S101 - callers ask for uses only
        values = self._moment.values(frame)
        found: list[Mapping[str, Any]] = []
        for inner in self._moment.parts[frame.prefix].values():
            for one in values._lanes(inner) if inner.block is not None else (inner,):
                if one.frame is not None:
                    found += values._all_of(one)
                else:
                    found.append(self._moment.steps[one.steps[0]])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._moment.known)

    def __len__(self) -> int:
        return len(self._moment.known)


def outputs_of(frame: Frame, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a document gives, as JSON, and why the rest of it could not be worked out."""
    found: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, value in frame.outputs.items():
        try:
            found[name] = as_json(render(value, values))
        except ExpressionFailed as error:
            failed[name] = str(error)
    return found, failed


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


def as_json(value: Any) -> Any:
    """Return a value of an expression as it stands in the journal: times and durations as text."""
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    if isinstance(value, timedelta):
        return arguments.duration_text(value)
    return clock.to_text(value) if hasattr(value, "tzinfo") else value
