"""What people may ask about trust, in one hand for the HTTP edge: why a plan is held, how runbooks
did, and to lift a guardrail once. Hands on; decides nothing.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from remediator.engine import simulate, verdicts
from remediator.engine.guardrails import BreakerState
from remediator.engine.overrides import OverrideControl, Overriding
from remediator.engine.ports import Ports
from remediator.engine.simulate import Answer, World
from remediator.engine.track import Breaker, Report, TrackRecord
from remediator.engine.verdicts import Explanation
from remediator.model.alerts import Notification
from remediator.model.history import Reset
from remediator.model.runs import Run
from remediator.observe import logs
from remediator.plugin.source import Rejected
from remediator.runbook.findings import did_you_mean
from remediator.runbook.policy_file import PolicySource

log = logs.get(__name__)


class TrustDesk:
    """Implements `remediator.web.services.Trust`."""

    def __init__(
        self,
        ports: Ports,
        overrides: OverrideControl,
        track: TrackRecord,
        parse: Callable[[bytes], Notification],
        source: Callable[[], PolicySource],
    ) -> None:
        self._source = source
        self._ports = ports
        self._parse = parse
        self._overrides = overrides
        self._track = track

    def policy(self) -> PolicySource:
        """Return the policy in force, and where it comes from."""
        return self._source()

    async def explain(self, run: Run) -> Explanation:
        """Say what every guardrail says now of a run's plans."""
        return await verdicts.explain(self._ports, run)

    async def explain_alert(self, body: bytes) -> Sequence[Answer]:
        """Say what would be done about a notification now, and what every guardrail would say.

        Raises:
            remediator.plugin.source.Rejected: the body is no notification.
        """
        ports = self._ports
        notification = self._parse(body)
        return await simulate.simulate(
            notification,
            World(
                runbooks=tuple(ports.library.by_name.values()),
                policy=ports.policy,
                clock=ports.clock,
                context_for=ports.context_for,
                journal=ports.journal,
                default_approvers=ports.default_approvers,
                silencing=lambda sender: (
                    ports.silencer is not None and ports.silencer.allowed(sender)
                ),
            ),
        )

    async def override(
        self, run_id: str, guardrail: str, *, actor: str, reason: str, via: str
    ) -> Overriding:
        """Lift a guardrail for a run, once; see `OverrideControl.grant`."""
        return await self._overrides.grant(run_id, guardrail, actor=actor, reason=reason, via=via)

    async def breakers(self) -> Sequence[Breaker]:
        """Return the failure breaker of every runbook in force, by name."""
        return await self._track.breakers(sorted(self._ports.library.by_name))

    async def reset_breaker(self, runbook: str, *, actor: str, reason: str) -> Breaker | None:
        """Close a runbook's failure breaker: what its runs came to before counts no longer.

        Returns:
            The breaker as it was; None where it was closed, and so is left alone.

        Raises:
            Rejected: there is no such runbook, or no reason.
        """
        names = self._ports.library.by_name
        if runbook not in names:
            hint = did_you_mean(runbook, names)
            text = f"no runbook is called {runbook[:100]!r}" + (f"; {hint}" if hint else "")
            raise Rejected("runbook", text)
        if not reason.strip():
            raise Rejected("reason", "say why: what was wrong, and why it works again")
        (before,) = await self._track.breakers([runbook])
        if before.standing.state is BreakerState.CLOSED:
            return None
        at = self._ports.clock.now()
        await self._ports.journal.reset_breaker(Reset(runbook, actor, reason.strip(), at))
        log.info("failure breaker reset", runbook=runbook, actor=actor)
        return before

    async def report(self, span: timedelta, runbook: str | None = None) -> Report:
        """Say how runbooks did."""
        return await self._track.report(span, runbook)
