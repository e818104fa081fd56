"""A document with all that it uses → the plain steps of a runbook, in order, with fixed numbers.

Every `use`, every item that a `for_each` may have and every member of a group gets steps of its
own, so that the engine knows only steps (ADR 0022). Expressions are shared between the copies;
what differs is the frame that they are read in. Called by `compile`, for fragments as well, so
that what can't be put together is found where it is written.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from remediator.runbook import expressions
from remediator.runbook.composed import Composed
from remediator.runbook.document import Path
from remediator.runbook.findings import Finding
from remediator.runbook.runbook import CompiledStep, Origin
from remediator.runbook.schema import DEEPEST_USE, MOST_STEPS_IN_ALL
from remediator.runbook.scope import Block, Frame, Part, Parts
from remediator.runbook.steps import Does, Lanes
from remediator.runbook.texts import names_in

_CHANGING = frozenset({"now", *expressions.ALERT_STATE})


@dataclass(frozen=True, slots=True)
class Flat:
    """What a document comes to. `findings` are faults of it and of what it uses."""

    frame: Frame
    steps: tuple[CompiledStep, ...]
    parts: Parts
    findings: frozenset[Finding]


Find = Callable[[Composed, str], Composed]
"""(a document, a name that it uses) → what it means by it."""


def flatten(root: Composed, find: Find) -> Flat:
    """Put a document together with all that it uses; none of it uses itself."""
    flattening = _Flattening(find)
    frame = root.frame()
    try:
        flattening.document(_Place(root, frame))
    except _TooMany:
        text = f"it comes to more than {MOST_STEPS_IN_ALL} steps, all lanes and uses counted"
        flattening.findings.add(root.written.doc.finding(("steps",), "too-many-steps", text))
    return Flat(frame, tuple(flattening.steps), flattening.parts, frozenset(flattening.findings))


class _TooMany(Exception):
    """The runbook is too large; what there is of it is of no use."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where steps are added: a document in its frame; the lane of a block, and the step by which
    that block was come into."""

    composed: Composed
    frame: Frame
    block: Block | None = None
    lane: int = 0
    entry: tuple[Composed, Path] | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class _Reads:
    """What an expression comes down to: ids of steps, and names of the alert, the run, the time."""

    steps: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def __or__(self, other: "_Reads") -> "_Reads":
        return _Reads(self.steps | other.steps, self.names | other.names)

    @property
    def about_alert(self) -> bool:
        return not self.names.isdisjoint(expressions.ALERT_STATE)


@dataclass(slots=True)
class _Flattening:
    find: Find
    steps: list[CompiledStep] = field(default_factory=list)
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)
    findings: set[Finding] = field(default_factory=set)
    begins_rung: tuple[Composed, Path] | None = None
    """The `use` with a rung's condition whose first step is still to come."""
    known: dict[tuple[str, str], _Reads] = field(default_factory=dict)

    def document(self, place: _Place) -> None:
        named = self.parts.setdefault(place.frame.prefix, {})
        for element in place.composed.elements:
            if isinstance(element, Does):
                named[element.id] = self.does(place, element, element.id)
            else:
                named[element.id] = self.lanes(place, element)

    # -- one step, or one document

    def does(self, place: _Place, one: Does, step_id: str) -> Part:
        if one.operation is None:
            return self.use(place, one, step_id)
        frame, block = place.frame, place.block
        own = self.reads(names_in(one.given) | _names(one.condition), frame)
        around = self.around(place)
        self.steps.append(
            CompiledStep(
                id=f"{frame.prefix}{step_id}",
                sequence=len(self.steps),
                operation=one.operation,
                parameters=one.given,
                condition=one.condition,
                is_rung=self.is_rung(place, one),
                needs=(own | around).steps,
                timeout=one.timeout,
                retry_attempts=one.attempts,
                backoff=one.backoff,
                where=one.where,
                frame=frame,
                block=block,
                lane=place.lane,
                origin=Origin(
                    place.composed.written.doc.file,
                    ".".join(map(str, one.path)),
                    place.composed.positions,
                ),
            )
        )
        if len(self.steps) > MOST_STEPS_IN_ALL:
            raise _TooMany
        return Part(one.id, (self.steps[-1].id,))

    def use(self, place: _Place, one: Does, step_id: str) -> Part:
        used = self.find(place.composed, one.use or "")
        frame = used.frame(
            prefix=f"{place.frame.prefix}{step_id}.",
            outer=place.frame,
            given=one.given,
            condition=one.condition,
            block=place.block,
            lane=place.lane,
        )
        if place.depth >= DEEPEST_USE:
            self.fault((*one.path, "use"), "deep-use", _TOO_DEEP, place)
            return Part(one.id, (), frame)
        if self.reads(_names(one.condition), place.frame).about_alert:
            self.refuse_in_block(place, one.path)
            self.begins_rung = self.begins_rung or (place.composed, one.path)
        first = len(self.steps)
        entry = place.entry
        if place.block is not None and entry is None:
            entry = (place.composed, one.path)
        self.document(
            replace(place, composed=used, frame=frame, entry=entry, depth=place.depth + 1)
        )
        return Part(one.id, tuple(step.id for step in self.steps[first:]), frame)

    # -- blocks

    def lanes(self, place: _Place, one: Lanes) -> Part:
        if place.block is not None:
            composed, path = place.entry or (place.composed, one.path)
            used = place.composed.written
            text = f'blocks do not nest: "{used.name}" has one of its own, "{one.id}"'
            self.findings.add(composed.written.doc.finding(path, "nested-block", text))
            return Part(one.id, ())
        reads = self.reads(names_in(one.items), place.frame)
        for name in sorted(reads.names & _CHANGING if one.items is not None else ()):
            text = f"the list reads {name}, which is not the same when it is read again"
            self.fault((*one.path, "for_each"), "changing-list", text, place)
        condition = self.reads(_names(one.condition), place.frame)
        if condition.about_alert:
            self.fault((*one.path, "if"), "rung-in-block", _RUNG_IN_BLOCK, place)
        block = Block(
            id=f"{place.frame.prefix}{one.id}",
            parallel=one.parallel,
            most=one.most,
            items=one.items,
            frame=place.frame,
            condition=one.condition,
            where=one.where,
            needs=(reads | condition | self.around(place)).steps,
        )
        first = len(self.steps)
        lanes: list[Part] = []
        for number in range(one.most):
            member = one.members[number if one.items is None else 0]
            step_id = member.id if one.items is None else f"{one.id}[{number}]"
            lanes.append(self.does(replace(place, block=block, lane=number), member, step_id))
        if one.items is None:
            self.parts[place.frame.prefix].update({lane.id: lane for lane in lanes})
        ids = tuple(step.id for step in self.steps[first:])
        return Part(one.id, ids, block=block, lanes=tuple(lanes))

    # -- rungs

    def is_rung(self, place: _Place, one: Does) -> bool:
        begins, self.begins_rung = self.begins_rung, None
        if self.reads(_names(one.condition), place.frame).about_alert:
            self.refuse_in_block(place, one.path)
            return True
        if begins is not None and place.block is not None:
            composed, path = begins
            text = "a rung can't begin with a block; let a step stand before it"
            self.findings.add(composed.written.doc.finding((*path, "if"), "rung-in-block", text))
        return begins is not None

    def refuse_in_block(self, place: _Place, path: Path) -> None:
        if place.block is None:
            return
        if place.entry is None:
            self.fault((*path, "if"), "rung-in-block", _RUNG_IN_BLOCK, place)
            return
        composed, entry = place.entry
        name = place.composed.written.name
        text = f'{_RUNG_IN_BLOCK}; "{name}" has one, or is given one by a parameter'
        self.findings.add(composed.written.doc.finding(entry, "rung-in-block", text))

    # -- what is read

    def around(self, place: _Place) -> _Reads:
        """Return what must be known for the conditions and the list around a step."""
        found = _Reads()
        if place.block is not None:
            found = _Reads(place.block.needs)
        frame = place.frame
        while frame.outer is not None:
            found |= self.reads(_names(frame.condition), frame.outer)
            frame = frame.outer
        return found

    def reads(self, names: Iterable[str], frame: Frame) -> _Reads:
        found = _Reads()
        for name in names:
            key = (frame.prefix, name)
            if key not in self.known:
                self.known[key] = self.read(name, frame)
            found |= self.known[key]
        return found

    def read(self, name: str, frame: Frame) -> _Reads:
        head, _, rest = name.partition(".")
        if head == "params":
            outer, given = frame.outer, frame.given.get(rest)
            return self.reads(names_in(given), outer) if outer is not None else _Reads()
        if head == "vars":
            return self.reads(names_in(frame.vars[rest]), frame)
        if head == "each":
            return _Reads()  # what the list needs is the block's
        if head != "steps":
            return _Reads(names=frozenset({name}))
        part = self.parts[frame.prefix].get(rest.rpartition(".")[0])
        if part is None:
            return _Reads()  # it has a fault, and stands nowhere
        found = _Reads(frozenset(part.steps))
        if part.frame is not None:
            found |= self.reads(names_in(dict(part.frame.outputs)), part.frame)
        return found

    def fault(self, path: Path, code: str, message: str, place: _Place) -> None:
        self.findings.add(place.composed.written.doc.finding(path, code, message))


_TOO_DEEP = f"documents may use each other {DEEPEST_USE} deep, and not more"
_RUNG_IN_BLOCK = (
    "a rung (its if reads alert.firing or alert.status) can't stand in a block, "
    "where nobody waits to see what helped"
)


def _names(condition: expressions.Expression | None) -> frozenset[str]:
    return condition.names if condition is not None else frozenset()
