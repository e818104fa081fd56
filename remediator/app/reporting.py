"""What resources say of themselves: Accepted and why, their last run, how often they helped.

One node at a time writes, for all (a duty of the journal), only what differs from what is there,
and no faster than its pace. Losing a write loses nothing: the next look sees the difference. Called
by `daemon`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from remediator.app.accepting import Ruling
from remediator.app.watching import Held, Shelf
from remediator.clients.errors import ClientError, Conflict, Missing, Refused
from remediator.clients.kubernetes.resources import RUNBOOKS, Object, Resource
from remediator.engine import guardrails
from remediator.engine.hint import Hint
from remediator.journal.protocol import Journal
from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.model import clock
from remediator.model.clock import Clock
from remediator.model.evidence import LastRun, RunCount
from remediator.model.policy import Policy
from remediator.observe import logs, metrics

log = logs.get(__name__)

DUTY = "resources"
"""One node at a time writes statuses."""

SPAN = timedelta(days=30)
"""What the figures are about; longer than most alerts take to come back."""
# The figures are counted over all runs of the span: so many looks use one count.
_LOOKS_A_COUNT = 4
# In one look: a cluster with a thousand resources gets them within minutes of a first start, and
# the API server is left alone in between.
_MOST_WRITES = 100
# A role that lets us read and not write: somebody must act.
_REFUSED_AGAIN = timedelta(minutes=1)


class Statuses(Protocol):
    """The part of a client that reporting needs."""

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        sub: str,
    ) -> Object:
        """Patch one object's subresource."""
        ...


class Rulings(Protocol):
    """Who knows what became of the resources."""

    @property
    def rulings(self) -> Sequence[Ruling]:
        """Every resource, with what became of it."""
        ...

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        ...


@dataclass(frozen=True, slots=True)
class Figures:
    """How one runbook did.

    Args:
        runs: that ended in the span.
        acted, helped: those that changed something, and of them those that ended well.
        last: the newest that ended.
    """

    runs: int = 0
    acted: int = 0
    helped: int = 0
    last: LastRun | None = None


_NOTHING = Figures()


class Reporter:
    """Writes statuses.

    Args:
        every: between two looks without news.
        hint: poked when the rulings changed, or a run of a resource's ended.
    """

    def __init__(
        self,
        cluster: Statuses,
        journal: Journal,
        rulings: Rulings,
        shelf: Shelf,
        ticking: Clock,
        *,
        every: timedelta,
        hint: Hint,
    ) -> None:
        self._cluster = cluster
        self._journal = journal
        self._rulings = rulings
        self._shelf = shelf
        self._clock = ticking
        self._every = every
        self._hint = hint
        self._figures: Mapping[str, Figures] = {}
        self._counted_s = float("-inf")
        self._complained = ""

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            pause = self._every
            try:
                if self._journal.on_duty(DUTY):
                    await self._count()
                    await self._write()
                    self._complained = ""
            except (JournalUnavailable, Overloaded) as error:
                log.warning("the figures of resources can't be read", error=str(error))
            except ClientError as error:
                pause = _REFUSED_AGAIN if isinstance(error, Refused) else self._every
                if str(error) != self._complained:
                    log.warning("statuses of resources are not written", error=str(error))
                self._complained = str(error)
            await self._hint.wait(self._clock, pause)

    async def _count(self) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._counted_s < _LOOKS_A_COUNT * self._every.total_seconds():
            return
        since = self._clock.now() - SPAN
        counts = await self._journal.run_counts(since=since, namespaced=True)
        last = {one.runbook: one for one in await self._journal.last_runs(since=since)}
        self._figures = figures(counts, last)
        self._counted_s = now_s

    async def _write(self) -> None:
        left = _MOST_WRITES
        for ruling in self._rulings.rulings:
            now = self._shelf.find(ruling.held)
            if now is None or now.generation != ruling.held.generation:
                continue  # gone, or about to be judged anew
            wanted = status(
                ruling,
                now.status,
                self._figures.get(str(now.home), _NOTHING),
                self._rulings.policy,
                self._clock.now(),
            )
            if wanted == dict(now.status):
                continue
            if not left:
                metrics.LIMIT_HIT.labels(limit="resource_statuses").inc()
                return  # the others come with the next look
            left -= 1
            await self._patch(now, wanted)

    async def _patch(self, held: Held, wanted: Mapping[str, Any]) -> None:
        result = "unavailable"
        # What is no longer said is taken out; the uid is the precondition.
        gone = {key: None for key in held.status if key not in wanted}
        body = {"metadata": {"uid": held.uid}, "status": {**gone, **wanted}}
        try:
            await self._cluster.patch(
                held.resource, held.home.namespace, held.home.name, body, sub="status"
            )
            result = "written"
        except (Missing, Conflict):
            result = "gone"  # deleted, or made anew, since we saw it
        except Refused:
            result = "refused"
            raise
        finally:
            metrics.RESOURCE_STATUS_WRITES.labels(held.resource.kind, result).inc()


def figures(counts: Sequence[RunCount], last: Mapping[str, LastRun]) -> Mapping[str, Figures]:
    """Add up counts, by runbook."""
    runs: Counter[str] = Counter()
    acted: Counter[str] = Counter()
    helped: Counter[str] = Counter()
    for one in counts:
        runs[one.runbook] += one.count
        acted[one.runbook] += one.count if one.acted else 0
        helped[one.runbook] += one.count if one.helped else 0
    return {
        name: Figures(runs[name], acted[name], helped[name], last.get(name))
        for name in {*runs, *last}
    }


def status(
    ruling: Ruling, before: Mapping[str, Any], done: Figures, policy: Policy, now: datetime
) -> dict[str, Any]:
    """Return what a resource's status should say; times that need not change do not."""
    held = ruling.held
    accepted = "True" if ruling.accepted else "False"
    conditions = [one for one in before.get("conditions", ()) if one.get("type") != "Accepted"]
    same = (one for one in before.get("conditions", ()) if one.get("type") == "Accepted")
    old: Mapping[str, Any] = next(same, {})
    since = old.get("lastTransitionTime") if old.get("status") == accepted else None
    conditions.append(
        {
            "type": "Accepted",
            "status": accepted,
            "reason": ruling.why.value,
            "message": ruling.message,
            "observedGeneration": held.generation,
            "lastTransitionTime": since or _seconds(now),
        }
    )
    said: dict[str, Any] = {"observedGeneration": held.generation, "conditions": conditions}
    if held.resource is not RUNBOOKS:
        return {**said, "rules": len(ruling.rules)}
    said["name"] = str(held.home)
    if ruling.runbook is not None:
        said["version"] = ruling.runbook.version
        said["mode"] = guardrails.effective_mode(ruling.runbook.mode, policy).value
    said["runs"] = done.runs
    if done.acted:
        said["successRate"] = f"{done.helped / done.acted:.0%}"
    if done.last is not None:
        last = done.last
        said["lastRun"] = {
            "id": last.id,
            "state": last.state.value,
            "endedAt": _seconds(last.ended_at),
        }
    elif "lastRun" in before:
        said["lastRun"] = before["lastRun"]  # longer ago than what is counted
    return said


def _seconds(at: datetime) -> str:
    """Return a time as Kubernetes writes it, to the second."""
    return f"{clock.aware(at):%Y-%m-%dT%H:%M:%SZ}"
