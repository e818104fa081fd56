"""Claims runs whose time has come and carries each on in a task of its own.

Sleeps until the journal says that something changed, or until the next run wakes. Bounded: no more
runs in hand than `Pace.concurrency`; what waits for a person or a time is a row, not a task.
"""

import asyncio
from datetime import timedelta

import structlog

from remediator.engine import run as stages
from remediator.engine.ending import break_off
from remediator.engine.hint import Hint
from remediator.engine.ports import Ports
from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.model.reasons import Reason
from remediator.model.runs import Run
from remediator.observe import metrics

log = structlog.get_logger(__name__)

# The net under the hints: a replica's commit, or a hint lost in a crash, is seen this late.
_SLOWEST_LOOK = timedelta(seconds=2)
# Kubernetes kills a pod 30 s after SIGTERM; what is not back by then is left to recovery.
_STOP_WITHIN_S = 20.0


class Worker:
    """Carries runs on until stopped."""

    def __init__(self, ports: Ports, hint: Hint) -> None:
        self._ports = ports
        self._hint = hint
        self._tasks: dict[asyncio.Task[None], str] = {}
        """Each with the run that it carries."""
        self._claim_lost = False
        self._stopping = asyncio.Event()
        self._claiming = asyncio.Lock()

    @property
    def in_hand(self) -> int:
        """How many runs are being carried now."""
        return len(self._tasks)

    async def run(self) -> None:
        """Claim and carry until `stop`."""
        while not self._stopping.is_set():
            try:
                pause = timedelta() if await self._take_up() else await self._until_next()
            except (JournalUnavailable, Overloaded) as error:
                # Perhaps it was written, and only the answer was lost.
                self._claim_lost = True
                log.warning("no runs can be claimed", error=str(error))
                pause = self._ports.pace.hold
            if pause:
                await self._hint.wait(self._ports.clock, pause)

    async def abandon(self) -> None:
        """Drop everything at once: another node has it by now. Idempotent."""
        self._stopping.set()
        self._hint.poke()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Claim no more; let applies in flight finish or leave them journalled as begun."""
        self._stopping.set()
        self._hint.poke()
        async with self._claiming:
            pass  # what was being claimed just now is in hand, and is waited for
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_WITHIN_S)
            for task in late:
                log.warning(
                    "stopped inside a change; recovery will look at it", task=task.get_name()
                )
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _take_up(self) -> int:
        """Claim what is due and there is room for, and begin to carry it; returns how many."""
        async with self._claiming:
            free = self._ports.pace.concurrency - len(self._tasks)
            if free <= 0 or self._stopping.is_set():
                return 0
            now = self._ports.clock.now()
            if self._claim_lost:
                await self._ports.journal.unhand(list(self._tasks.values()), at=now)
                self._claim_lost = False
            claimed = await self._ports.journal.claim(at=now, limit=free)
            for run in claimed:
                task = asyncio.create_task(self._carry(run), name=f"run {run.id}")
                self._tasks[task] = run.id
                task.add_done_callback(self._finished)
            metrics.RUNS_IN_HAND.set(len(self._tasks))
            return len(claimed)

    async def _until_next(self) -> timedelta:
        if len(self._tasks) >= self._ports.pace.concurrency:
            return _SLOWEST_LOOK  # a finished task pokes the hint
        wake = await self._ports.journal.next_wake()
        if wake is None:
            return _SLOWEST_LOOK
        return min(max(wake - self._ports.clock.now(), timedelta()), _SLOWEST_LOOK)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        metrics.RUNS_IN_HAND.set(len(self._tasks))
        self._hint.poke()
        if not task.cancelled() and task.exception() is not None:
            log.error("a run's task broke", task=task.get_name(), exc_info=task.exception())

    async def _carry(self, run: Run) -> None:
        """Carry one run; a journal that can't be written is waited for, a bug ends the run."""
        while True:
            try:
                with structlog.contextvars.bound_contextvars(
                    run_id=run.id, runbook=run.runbook, incident_id=run.incident_id
                ):
                    await stages.carry(self._ports, run, self._stopping)
                return
            except (JournalUnavailable, Overloaded) as error:
                if self._stopping.is_set():
                    return
                log.warning("the journal can't be written; the run waits", error=str(error))
            except Exception:
                log.exception("a run broke", run_id=run.id)
                if await self._broken_off(run):
                    return
            found = await self._look_again(run)
            if found is None:
                return
            run = found

    async def _look_again(self, run: Run) -> Run | None:
        """Return the run as it is in the journal by now, or None if it is no longer in our hand."""
        while True:
            await self._ports.clock.sleep(self._ports.pace.poll.total_seconds())
            if self._stopping.is_set():
                return None
            try:
                again = await self._ports.journal.run(run.id)
            except (JournalUnavailable, Overloaded):
                continue
            if again is None or again.epoch != run.epoch or again.owner != run.owner:
                return None
            return again

    async def _broken_off(self, run: Run) -> bool:
        """End a run that met a bug of ours; False when not even that could be written."""
        try:
            latest = await self._ports.journal.run(run.id)
            if latest is None or (latest.epoch, latest.owner) != (run.epoch, run.owner):
                return True  # decided or taken up elsewhere meanwhile; it is not ours to end
            message = "an internal error; the daemon's log has the details"
            await break_off(self._ports, latest, Reason.INTERNAL, message)
        except (JournalUnavailable, Overloaded) as error:
            log.warning("the end of a broken run can't be written", error=str(error))
            return False
        return True
