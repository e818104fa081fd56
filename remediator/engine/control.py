"""What people do beside deciding: start a run by hand, cancel, resume, pause and lift a pause."""

import difflib
import fnmatch
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from remediator.engine import matching
from remediator.engine.library import Library
from remediator.journal.protocol import Journal
from remediator.journal.values import CancelOutcome, ResumeHow, RunStart
from remediator.model.clock import Clock
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.history import Control
from remediator.model.runs import Trigger
from remediator.observe import metrics
from remediator.plugin.source import Rejected
from remediator.runbook import arguments
from remediator.runbook.findings import did_you_mean


class RunControl:
    """Starts, cancels and resumes runs for people."""

    def __init__(self, journal: Journal, library: Library, clock: Clock) -> None:
        self._journal = journal
        self._library = library
        self._clock = clock

    async def start(
        self,
        name: str,
        labels: Mapping[str, str],
        *,
        by: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Start a runbook by hand, with labels instead of an alert's; returns the run's id.

        Args:
            parameters: values for those that the runbook declares, as JSON or as text; the
                defaults for the others.

        Raises:
            Rejected: there is no such runbook, or it does not take these parameters.
        """
        runbook = self._library.by_name.get(name)
        now = self._clock.now()
        if runbook is None:
            near = did_you_mean(name, self._library.by_name)
            raise Rejected("runbook", f"no runbook is called {name!r}" + (near and f"; {near}"))
        try:
            given = arguments.checked(runbook.parameters, parameters or {})
        except arguments.NotTaken as error:
            raise Rejected(f"parameters.{error.name}", str(error)) from None
        return await self._journal.start_run(
            RunStart(
                runbook=runbook.name,
                version=runbook.version,
                trigger=Trigger.MANUAL,
                wake_at=now,
                context=matching.manual_context(labels, {}, now, given),
                message=f"started by {by}",
            ),
            by=by,
            at=now,
        )

    async def cancel(self, run_id: str, *, by: str, reason: str) -> CancelOutcome:
        """Stop a run before its next change."""
        at = self._clock.now()
        outcome = await self._journal.cancel(run_id, by=by, reason=reason, at=at)
        if outcome is CancelOutcome.CANCELLED:
            run = await self._journal.run(run_id)
            if run is not None:
                metrics.run_ended(run.runbook, run.state, run.reason)
        return outcome

    async def acknowledge(self, run_id: str, *, by: str, reason: str) -> AcknowledgeOutcome:
        """Answer a run's escalation: nobody else is called for it."""
        return await self._journal.acknowledge(run_id, by=by, reason=reason, at=self._clock.now())

    async def resume(self, run_id: str, *, by: str, how: ResumeHow) -> bool:
        """Let an interrupted run go on as a person says; False when it is not interrupted."""
        return await self._journal.resume(run_id, by=by, how=how, at=self._clock.now())


class PauseControl:
    """The kill switches."""

    def __init__(self, journal: Journal, library: Library, clock: Clock) -> None:
        self._journal = journal
        self._library = library
        self._clock = clock

    async def pause(self, scope: str, *, by: str, reason: str, for_: timedelta | None) -> Control:
        """Set one; for ever when `for_` is None.

        Raises:
            Rejected: as `check`, or for no time at all.
        """
        self.check(scope)
        if for_ is not None and for_ <= timedelta():
            raise Rejected("for", "a pause for no time would stop nothing; write one like 2h")
        now = self._clock.now()
        control = Control(scope, by, reason, now, now + for_ if for_ is not None else None)
        await self._journal.pause(control)
        return control

    def check(self, scope: str) -> None:
        """Check what a person wants to pause.

        Raises:
            Rejected: the scope is not `*`, `runbook:NAME` or `scope:NAME`, or no runbook is called
                so.
        """
        kind, colon, name = scope.partition(":")
        if scope != "*" and not (kind in ("runbook", "scope") and colon and name):
            raise Rejected("scope", f"{scope!r} is not *, runbook:NAME or scope:NAMESPACE")
        names = self._library.by_name
        if kind == "runbook" and not fnmatch.filter(names, name):
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Rejected("scope", f"no runbook is called {name!r}{hint}")

    async def unpause(self, scope: str, *, by: str) -> bool:
        """Lift one; False when there was none."""
        return await self._journal.unpause(scope, by=by, at=self._clock.now())
