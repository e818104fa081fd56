"""The runbooks and the policy in force: loaded together, watched, and replaced all or nothing.

Owns which of them is in force now. A fault in either leaves the last good ones of both. Called by
`daemon`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from remediator.app.parts import configured_notifiers, people_reached
from remediator.engine.library import Library
from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.model.canonical import JSONObject
from remediator.model.clock import Clock
from remediator.model.policy import Policy
from remediator.observe import logs, metrics
from remediator.plugin.registry import Registry
from remediator.runbook import people, policy_file, store
from remediator.runbook.policy_file import PolicySource
from remediator.settings import Settings

log = logs.get(__name__)

Put = Callable[[str, JSONObject], Awaitable[None]]
"""Puts something the daemon did by itself on record, with its kind and details."""


class Rulebook:
    """Loads the runbooks and the policy, and again when a file of theirs changes.

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
        self._watcher = store.Watcher(settings.runbooks, also=self._files)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy.policy

    @property
    def source(self) -> PolicySource:
        """The policy in force, and where it comes from."""
        return self._policy

    def _files(self) -> Sequence[Path]:
        """The files beside the runbooks that a change of means to load again."""
        file = self.settings.policy_file
        return [*([file] if file else []), *self.policy.calendars]

    async def load_first(self) -> None:
        """Load both at start.

        Raises:
            RunbookErrors: with every fault.
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
        if self.library.by_name and not loaded.runbooks:
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
        policy, loaded = self._policy, store.RunbookSet(())
        try:
            policy = policy_in(settings)
        except store.RunbookErrors as error:
            found += error.findings
        try:
            loaded = store.load_folder(settings.runbooks, self.registry)
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
        if first or policy.digest != self._policy.digest:
            # On record before anything is judged by it.
            await self._record(
                "policy.loaded", {"file": policy.file or "settings", "digest": policy.digest}
            )
            log.info("policy loaded", file=policy.file or "settings", digest=policy.digest)
        await self.library.replace(loaded.runbooks)
        self._policy = policy
        metrics.show(metrics.POLICY_INFO, {policy.digest[:12]: 1})
        metrics.RUNBOOKS_LOADED.set(len(loaded.runbooks))
        metrics.RELOAD_SUCCESS.set(1)
        metrics.RELOAD_TIMESTAMP.set(self.clock.now().timestamp())
        log.info("runbooks loaded", count=len(loaded.runbooks))
        versions = {one.name: one.version for one in loaded.runbooks}
        await self._record("runbooks.loaded", {"versions": versions})

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


def policy_in(settings: Settings) -> PolicySource:
    """Return the policy that the settings hold or name.

    Raises:
        RunbookErrors: the policy file has faults.
    """
    if settings.policy_file is None:
        return policy_file.read_again(settings.policy)
    return policy_file.load(settings.policy_file)
