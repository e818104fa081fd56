"""The runbooks and the policy in force: loaded together, watched, and replaced.

Owns which of them is in force now. Files are all or nothing: a fault in one leaves the last good
set of runbooks and policy. What the cluster holds (`watching`) is put beside them one by one
(`accepting`): a bad resource keeps no other out. Called by `daemon`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from remediator.app.accepting import Acceptance, Bounds, Ruling
from remediator.app.parts import configured_notifiers, people_reached
from remediator.app.watching import Shelf
from remediator.clients.kubernetes.resources import POLICIES, RUNBOOKS
from remediator.engine.hint import Hint
from remediator.engine.library import Library
from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.model.canonical import JSONObject
from remediator.model.clock import Clock
from remediator.model.limits import Mode
from remediator.model.policy import Policy, Rule
from remediator.observe import logs, metrics
from remediator.plugin.registry import Registry
from remediator.runbook import people, policy_file, store
from remediator.runbook.policy_file import PolicySource
from remediator.runbook.runbook import Runbook
from remediator.settings import Settings

log = logs.get(__name__)

Put = Callable[[str, JSONObject], Awaitable[None]]
"""Puts something the daemon did by itself on record, with its kind and details."""

_MOST_IN_A_RECORD = 100


class Rulebook:
    """Loads the runbooks and the policy, and again when a file of theirs or a resource changes.

    Args:
        settings: where they are, and the people and notifiers that they may name.
        registry: the actions that runbooks may use.
        library: where runs find them.
        names: the people whom the settings know.
        clock: the daemon's.
        record: puts what was loaded or refused on record.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        library: Library,
        names: people.Names,
        clock: Clock,
        record: Put,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.library = library
        self.clock = clock
        self._names = names
        self._record = record
        self._policy = policy_file.of_settings(settings.policy)
        self._of_files: tuple[store.RunbookSet, PolicySource] = (store.RunbookSet(()), self._policy)
        self._watcher = store.Watcher(settings.runbooks, also=self._files)
        self._one_at_a_time = asyncio.Lock()
        self._shelf: Shelf | None = None
        self._acceptance: Acceptance | None = None
        self._told: Mapping[str, str] = {}
        self.rulings: Sequence[Ruling] = ()
        """What became of each resource of the cluster."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy.policy

    @property
    def source(self) -> PolicySource:
        """The policy in force, and where it comes from."""
        return self._policy

    def put_beside(self, shelf: Shelf) -> None:
        """Take up what the cluster holds as well, from the next load on."""
        settings = self.settings
        self._shelf = shelf
        self._acceptance = Acceptance(
            self.registry,
            Bounds(
                most=settings.resources.most,
                unconfined=frozenset(settings.resources.unconfined),
                names=self._names,
                default_approvers=settings.default_approvers,
                notifiers=people_reached(configured_notifiers(settings, self.registry)),
            ),
        )

    def _files(self) -> Sequence[Path]:
        """The files beside the runbooks that a change of means to load again."""
        file = self.settings.policy_file
        return [*([file] if file else []), *self._of_files[1].policy.calendars]

    async def load_first(self) -> None:
        """Load both at start.

        Raises:
            RunbookErrors: with every fault of a file.
        """
        await self._serve(*await asyncio.to_thread(self._loaded), first=True)

    async def reload(self) -> Sequence[str]:
        """Read the runbooks and the policy again; a fault in either leaves the last good ones of
        both in force.

        Returns:
            The findings that kept the old set, empty on success.
        """
        try:
            loaded, policy = await asyncio.to_thread(self._loaded)
        except store.RunbookErrors as error:
            findings = [str(finding) for finding in error.findings]
            return await self._refuse(findings)
        if self._of_files[0].runbooks and not loaded.runbooks:
            # An empty mount or a wrong path is likelier than the wish to treat nothing any more.
            return await self._refuse(["no runbook is left; start anew to serve none"])
        await self._serve(loaded, policy)
        return ()

    async def _refuse(self, findings: Sequence[str]) -> Sequence[str]:
        metrics.RELOAD_SUCCESS.set(0)
        log.error(
            "runbooks and policy not reloaded; the last good ones are in force",
            findings=list(findings),
        )
        await self._record("runbooks.refused", {"findings": list(findings[:20])})
        return findings

    def _loaded(self) -> tuple[store.RunbookSet, PolicySource]:
        """Load the runbooks and the policy, and hold the runbooks against the settings.

        Raises:
            RunbookErrors: with every fault.
        """
        settings = self.settings
        found: list[store.Finding] = []
        policy, loaded = self._of_files[1], store.RunbookSet(())
        try:
            policy = policy_in(settings)
        except store.RunbookErrors as error:
            found += error.findings
        try:
            resources = settings.resources.enabled  # which may use what stands in files
            loaded = store.load_folder(settings.runbooks, self.registry, keep=resources)
            found += people.of_policy(policy, self._names)
            found += people.check(
                loaded.runbooks,
                names=self._names,
                policy=policy.policy.approval,
                default_approvers=settings.default_approvers,
                notifiers=people_reached(configured_notifiers(settings, self.registry)),
            )
        except store.RunbookErrors as error:
            found += error.findings
        if found:
            raise store.RunbookErrors(found)
        return loaded, policy

    async def _serve(
        self, loaded: store.RunbookSet, policy: PolicySource, *, first: bool = False
    ) -> None:
        async with self._one_at_a_time:
            await self._put(loaded, policy, first=first)
            self._of_files = loaded, policy
            metrics.RELOAD_SUCCESS.set(1)
            metrics.RELOAD_TIMESTAMP.set(self.clock.now().timestamp())
            log.info("runbooks loaded", count=len(loaded.runbooks))
            await self._record("runbooks.loaded", _whence(loaded.runbooks))

    async def take_up(self) -> None:
        """Put what the cluster holds now beside the files that are in force."""
        async with self._one_at_a_time:
            before = {one.name: one for one in self.library.by_name.values() if one.namespace}
            await self._put(*self._of_files)
            now = {one.name: one for one in self.library.by_name.values() if one.namespace}
            changed = [r for n, r in now.items() if n not in before or before[n] is not r]
            gone = sorted(before.keys() - now.keys())
            if changed or gone:
                details = _whence(changed[:_MOST_IN_A_RECORD])
                left_out = len(changed) + len(gone) - _MOST_IN_A_RECORD
                more: JSONObject = {"left_out": left_out} if left_out > 0 else {}
                log.info("resources taken up", changed=len(changed), gone=len(gone))
                await self._record(
                    "runbooks.loaded", {**details, "gone": gone[:_MOST_IN_A_RECORD], **more}
                )

    async def _put(
        self, loaded: store.RunbookSet, source: PolicySource, *, first: bool = False
    ) -> None:
        """Put files, and what the cluster holds, into force."""
        rulings = await asyncio.to_thread(self._judged, loaded, source)
        rules = tuple(rule for ruling in rulings for rule in ruling.rules)
        policy = _with(source, (*self._unknown(), *rules))
        if first or policy.digest != self._policy.digest:
            # On record before anything is judged by it.
            origins = [r.origin for r in rulings if r.rules]
            await self._record(
                "policy.loaded",
                {
                    "file": policy.file or "settings",
                    "digest": policy.digest,
                    **({"resources": origins[:_MOST_IN_A_RECORD]} if origins else {}),
                },
            )
            log.info("policy loaded", file=policy.file or "settings", digest=policy.digest)
        resources = tuple(r.runbook for r in rulings if r.runbook is not None)
        # Before a runbook can be new in a namespace, its policy holds there.
        self._policy = policy
        await self.library.replace((*loaded.runbooks, *resources))
        self.rulings = rulings
        metrics.show(metrics.POLICY_INFO, {policy.digest[:12]: 1})
        metrics.RUNBOOKS_LOADED.set(len(self.library.by_name))
        await self._tell(rulings)

    def _judged(self, loaded: store.RunbookSet, source: PolicySource) -> Sequence[Ruling]:
        if self._shelf is None or self._acceptance is None:
            return ()
        kinds = [self._shelf.held(resource) for resource in (POLICIES, RUNBOOKS)]
        self._acceptance.forget(one for kind in kinds for one in kind)
        return [
            ruling
            for kind in kinds
            for ruling in self._acceptance.judge(kind, loaded, source.policy)
        ]

    def _unknown(self) -> Sequence[Rule]:
        """Return what holds while nobody knows which policies the cluster holds: there may be one
        that asks for a person."""
        unknown = self._shelf.unknown(POLICIES) if self._shelf is not None else ()
        if not unknown:
            return ()
        where = "" if "*" in unknown else f', scope=~"{"|".join(unknown)}"'
        return [
            Rule(
                name="policies-of-the-cluster-are-not-known",
                match=(f'system="kubernetes"{where}',),
                mode=Mode.APPROVE,
            )
        ]

    async def _tell(self, rulings: Sequence[Ruling]) -> None:
        """Count what became of the resources, and put each refusal on record once."""
        for resource in (POLICIES, RUNBOOKS):
            own = [one for one in rulings if one.held.resource is resource]
            good = sum(one.accepted for one in own)
            if self._shelf is not None:
                metrics.RESOURCES.labels(resource.kind, "accepted").set(good)
                metrics.RESOURCES.labels(resource.kind, "refused").set(len(own) - good)
        told = {one.origin: one.message for one in rulings if not one.accepted}
        new = [origin for origin, message in told.items() if self._told.get(origin) != message]
        self._told = told
        for origin in new[:_MOST_IN_A_RECORD]:
            log.warning("a resource is not accepted", resource=origin, why=told[origin])
            await self._record("runbooks.refused", {"resource": origin, "findings": [told[origin]]})

    async def watch(self) -> None:
        """Load both again whenever a file of theirs changed; until cancelled."""
        every_s = self.settings.reload_every.total_seconds()
        changed = False
        while True:
            await self.clock.sleep(every_s)
            if not changed and not await asyncio.to_thread(self._watcher.changed):
                continue
            try:
                await self.reload()
                changed = False
            except (JournalUnavailable, Overloaded) as error:
                changed = True  # the new set must be in the journal before a run may refer to it
                log.warning("runbooks not reloaded yet; tried again", error=str(error))

    async def watch_resources(self, changed: Hint, taken_up: Hint) -> None:
        """Take up what the cluster holds whenever that changed; until cancelled.

        Args:
            changed: poked when something did.
            taken_up: poked when it is in force, or is not.
        """
        every = self.settings.reload_every
        while True:
            await changed.wait(self.clock, every * 1000)
            try:
                await self.take_up()
                taken_up.poke()
            except (JournalUnavailable, Overloaded) as error:
                log.warning("resources not taken up yet; tried again", error=str(error))
                await self.clock.sleep(every.total_seconds())
                changed.poke()


def _whence(runbooks: Sequence[Runbook]) -> JSONObject:
    return {
        "versions": {one.name: one.version for one in runbooks},
        "origins": {one.name: one.file for one in runbooks},
    }


def _with(source: PolicySource, rules: Sequence[Rule]) -> PolicySource:
    """Return the operator's policy with rules of the cluster's after its own."""
    if not rules:
        return source
    policy = source.policy.model_copy(update={"rules": (*source.policy.rules, *rules)})
    return PolicySource(policy, source.file, policy_file.digest(policy), source.positions)


def policy_in(settings: Settings) -> PolicySource:
    """Return the policy that the settings hold or name.

    Raises:
        RunbookErrors: the policy file has faults.
    """
    if settings.policy_file is None:
        return policy_file.read_again(settings.policy)
    return policy_file.load(settings.policy_file)
