"""Which resources are taken up, and what keeps the others out: one bad one keeps out no other.

A resource that is broken leaves its last good version in force, if there was one since the daemon
started. Pure but for that memory; called by `rulebook` in a thread, with what the cluster holds and
what the files have.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from remediator.app.watching import LARGEST_SPEC_BYTES, Held
from remediator.clients.kubernetes.resources import RUNBOOKS
from remediator.model.policy import Policy, Rule
from remediator.observe import logs, metrics
from remediator.plugin.registry import Registry
from remediator.runbook import confinement, manifests, people, policy_resource
from remediator.runbook.compile import compile_runbook
from remediator.runbook.findings import Finding, RunbookErrors
from remediator.runbook.runbook import Runbook

log = logs.get(__name__)

# Of one resource's faults, what fits a screen and a status.
_MOST_FAULTS = 10
_LONGEST_MESSAGE = 4000


class Why(StrEnum):
    """The reason of the condition Accepted."""

    IN_FORCE = "InForce"
    INVALID = "Invalid"
    NAME_TAKEN = "NameTaken"
    TOO_MANY = "TooMany"
    TOO_LARGE = "TooLarge"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What became of one resource.

    Args:
        accepted: its spec as it stands is in force.
        runbook, rules: what of it is in force, perhaps an older version's; None and none of one
            that is not.
    """

    held: Held
    accepted: bool
    why: Why
    message: str
    runbook: Runbook | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def origin(self) -> str:
        """Where it comes from, for the audit log."""
        return f"{self.held.resource.kind} {self.held.home} generation {self.held.generation}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What resources are held against.

    Args:
        most: of each kind.
        unconfined: namespaces whose runbooks may act anywhere.
        names: people whom the settings know.
        default_approvers: who decides where nobody is named.
        notifiers: those that reach people.
    """

    most: int
    unconfined: Collection[str]
    names: people.Names
    default_approvers: Sequence[str]
    notifiers: Collection[str]


@dataclass(slots=True)
class _Compiled:
    """What one version of a resource came to."""

    generation: int
    runbook: Runbook | None = None
    rules: tuple[Rule, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class _Memory:
    """What is known of one resource, by its uid: of this version, and of the last good one."""

    now: _Compiled
    good: _Compiled | None = None


@dataclass(slots=True)
class Acceptance:
    """Judges resources, and remembers what was good."""

    registry: Registry
    bounds: Bounds
    _memory: dict[str, _Memory] = field(default_factory=dict)

    def judge(
        self, resources: Sequence[Held], taken: Mapping[str, str], policy: Policy
    ) -> Sequence[Ruling]:
        """Return what becomes of each, in the same order.

        Args:
            resources: of one kind, the oldest first.
            taken: name of a file's runbook → where it stands.
            policy: the operator's.
        """
        rulings = []
        for number, one in enumerate(resources):
            if number >= self.bounds.most:
                metrics.LIMIT_HIT.labels(limit="resources").inc()
                text = f"{self.bounds.most} {one.resource.plural} are taken up (resources.most)"
                rulings.append(Ruling(one, False, Why.TOO_MANY, text))
            else:
                rulings.append(self._one(one, taken, policy))
        return rulings

    def forget(self, resources: Iterable[Held]) -> None:
        """Drop what is known of resources that are no longer there."""
        there = {one.uid for one in resources}
        self._memory = {uid: known for uid, known in self._memory.items() if uid in there}

    def _one(self, one: Held, taken: Mapping[str, str], policy: Policy) -> Ruling:
        if one.resource is RUNBOOKS and one.home.name in taken:
            # Not the last good one either: the file is to win, whichever was there first.
            place = taken[one.home.name]
            text = (
                f"the name {one.home.name} is taken by {place}; the file stays in force, and "
                f"{one.home} does not: give one of the two another name"
            )
            return Ruling(one, False, Why.NAME_TAKEN, text)
        memory = self._memory.get(one.uid)
        if memory is None or memory.now.generation != one.generation:
            memory = self._memory[one.uid] = _Memory(
                self._compiled(one), memory.good if memory else None
            )
        now = memory.now
        faults = now.faults or self._people(now.runbook, policy)
        if not faults:
            memory.good = now
            return Ruling(one, True, Why.IN_FORCE, "in force", now.runbook, now.rules)
        why = Why.TOO_LARGE if one.spec is None else Why.INVALID
        good = memory.good
        if good is not None and good is not now:
            text = f"; generation {good.generation} stays in force"
            return Ruling(one, False, why, _joined(faults, text), good.runbook, good.rules)
        return Ruling(one, False, why, _joined(faults, ""))

    def _compiled(self, one: Held) -> _Compiled:
        if one.spec is None:
            kib = LARGEST_SPEC_BYTES // 1024
            return _Compiled(one.generation, faults=(f"its spec is larger than {kib} KiB",))
        source = manifests.text_of(one.resource.kind, one.home, one.spec)
        file = f"{one.resource.kind} {one.home}"
        try:
            if one.resource is not RUNBOOKS:
                _, rules = policy_resource.rules_in(source, file)
                return _Compiled(one.generation, rules=rules)
            runbook = compile_runbook(source, file, self.registry)
            if one.home.namespace not in self.bounds.unconfined:
                confinement.faults(runbook)
                runbook = confinement.seeing(runbook)
        except RunbookErrors as error:
            return _Compiled(one.generation, faults=manifests.told(error.findings, source))
        except Exception as error:
            # Anybody with a namespace may write one: a bug of ours that it finds is not to stop us.
            log.exception("a resource can't be compiled", resource=file)
            text = f"remediator failed to compile it ({type(error).__name__}); please report this"
            return _Compiled(one.generation, faults=(text,))
        return _Compiled(one.generation, runbook)

    def _people(self, runbook: Runbook | None, policy: Policy) -> tuple[str, ...]:
        """Hold a runbook's people against the settings; the files' policy can change them."""
        if runbook is None:
            return ()
        found: Sequence[Finding] = list(
            people.check(
                [runbook],
                names=self.bounds.names,
                policy=policy.approval,
                default_approvers=self.bounds.default_approvers,
                notifiers=self.bounds.notifiers,
            )
        )
        return manifests.told(found, runbook.source)


def _joined(faults: Sequence[str], after: str) -> str:
    shown = list(faults[:_MOST_FAULTS])
    if len(faults) > _MOST_FAULTS:
        shown.append(f"and {len(faults) - _MOST_FAULTS} more")
    return "\n".join(shown)[:_LONGEST_MESSAGE] + after
