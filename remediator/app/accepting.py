"""Which resources are taken up, and what keeps the others out: one bad one keeps out no other.

A resource that is broken leaves its last good version in force, if there was one since the daemon
started. Pure but for that memory; called by `rulebook` in a thread, with what the cluster holds and
what the files have.
"""

import operator
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from remediator.app.watching import LARGEST_SPEC_BYTES, Held
from remediator.clients.kubernetes.resources import RUNBOOKS
from remediator.model.policy import Policy, Rule
from remediator.observe import logs, metrics
from remediator.plugin.registry import Registry
from remediator.runbook import confinement, manifests, people, policy_resource, store, uses
from remediator.runbook.compile import compile_documents
from remediator.runbook.document import Document
from remediator.runbook.findings import RunbookErrors
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
    """What one version of a resource came to, together with what it used then."""

    generation: int
    doc: Document | None
    used: Sequence[Document] = ()
    runbook: Runbook | None = None
    rules: tuple[Rule, ...] = ()
    faults: tuple[str, ...] = ()
    compiled: bool = False


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
        self, resources: Sequence[Held], files: store.RunbookSet, policy: Policy
    ) -> Sequence[Ruling]:
        """Return what becomes of each, in the same order.

        Args:
            resources: of one kind, the oldest first.
            files: what the files hold: they have the first right to a name, and may be used.
            policy: the operator's.
        """
        taken = {one.name: f"{one.file}:{one.line}" for one in files.runbooks}
        taken |= {one.name: f"{one.file}:{one.line}" for one in files.fragments}
        docs = {one.uid: self._read(one) for one in resources[: self.bounds.most]}
        usable: dict[str, list[Document]] = defaultdict(list)
        for one in resources[: self.bounds.most]:
            if one.home.name not in taken and (doc := docs[one.uid].doc) is not None:
                usable[one.home.namespace].append(doc)
        rulings = []
        for number, one in enumerate(resources):
            if number >= self.bounds.most:
                metrics.LIMIT_HIT.labels(limit="resources").inc()
                text = f"{self.bounds.most} {one.resource.plural} are taken up (resources.most)"
                rulings.append(Ruling(one, False, Why.TOO_MANY, text))
                continue
            others = (*usable[one.home.namespace], *files.documents)
            rulings.append(self._one(one, docs[one.uid], others, taken, policy))
        return rulings

    def forget(self, resources: Iterable[Held]) -> None:
        """Drop what is known of resources that are no longer there."""
        there = {one.uid for one in resources}
        self._memory = {uid: known for uid, known in self._memory.items() if uid in there}

    def _read(self, one: Held) -> _Compiled:
        """Return what is remembered of this very version, else its document, not yet compiled."""
        memory = self._memory.get(one.uid)
        if memory is not None and memory.now.generation == one.generation:
            return memory.now
        if one.spec is None:
            text = f"its spec is larger than {LARGEST_SPEC_BYTES // 1024} KiB"
            return _Compiled(one.generation, None, faults=(text,))
        try:
            return _Compiled(one.generation, manifests.read(one.resource.kind, one.home, one.spec))
        except RunbookErrors as error:
            faults = tuple(finding.message for finding in error.findings)
            return _Compiled(one.generation, None, faults=faults)

    def _one(
        self,
        one: Held,
        read: _Compiled,
        others: Sequence[Document],
        taken: Mapping[str, str],
        policy: Policy,
    ) -> Ruling:
        if one.resource is RUNBOOKS and one.home.name in taken:
            # Not the last good one either: the file is to win, whichever was there first.
            place = taken[one.home.name]
            text = (
                f"the name {one.home.name} is taken by {place}; the file stays in force, and "
                f"{one.home} does not: give one of the two another name"
            )
            return Ruling(one, False, Why.NAME_TAKEN, text)
        memory = self._memory.get(one.uid)
        now = self._compiled(one, read, others)
        memory = self._memory[one.uid] = _Memory(now, memory.good if memory else None)
        faults = now.faults or self._people(now, policy)
        if not faults:
            memory.good = now
            fragment = one.resource is RUNBOOKS and now.runbook is None
            text = "runbooks of this namespace may use it" if fragment else "in force"
            return Ruling(one, True, Why.IN_FORCE, text, now.runbook, now.rules)
        why = Why.TOO_LARGE if one.spec is None else Why.INVALID
        good = memory.good
        if good is not None and good is not now:
            text = f"; generation {good.generation} stays in force"
            return Ruling(one, False, why, _joined(faults, text), good.runbook, good.rules)
        return Ruling(one, False, why, _joined(faults, ""))

    def _compiled(self, one: Held, read: _Compiled, others: Sequence[Document]) -> _Compiled:
        """Compile a version, unless it was and what it uses is what it was then."""
        doc = read.doc
        if doc is None:
            return read
        used = uses.wanted([doc], (each for each in others if each is not doc))
        same = len(used) == len(read.used) and all(map(operator.is_, used, read.used))
        if read.compiled and same:
            return read
        made = _Compiled(one.generation, doc, used, compiled=True)
        try:
            if one.resource is not RUNBOOKS:
                _, made.rules = policy_resource.rules_in(doc)
                return made
            found = compile_documents([doc, *used], self.registry)
            for runbook in found.runbooks:
                if runbook.name == str(one.home):
                    made.runbook = self._kept_home(runbook)
        except RunbookErrors as error:
            made.faults = manifests.told(error.findings, doc)
        except Exception as error:
            # Anybody with a namespace may write one: a bug of ours that it finds is not to stop us.
            log.exception("a resource can't be compiled", resource=doc.file)
            made.faults = (
                f"remediator failed to compile it ({type(error).__name__}); please report this",
            )
        return made

    def _kept_home(self, runbook: Runbook) -> Runbook:
        free = runbook.namespace in self.bounds.unconfined
        return runbook if free else confinement.kept_home(runbook)

    def _people(self, now: _Compiled, policy: Policy) -> tuple[str, ...]:
        """Hold a runbook's people against the settings; the files' policy can change them."""
        if now.runbook is None or now.doc is None:
            return ()
        found = people.check(
            [now.runbook],
            names=self.bounds.names,
            policy=policy.approval,
            default_approvers=self.bounds.default_approvers,
            notifiers=self.bounds.notifiers,
        )
        return manifests.told(found, now.doc)


def _joined(faults: Sequence[str], after: str) -> str:
    shown = list(faults[:_MOST_FAULTS])
    if len(faults) > _MOST_FAULTS:
        shown.append(f"and {len(faults) - _MOST_FAULTS} more")
    return "\n".join(shown)[:_LONGEST_MESSAGE] + after
