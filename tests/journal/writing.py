"""A process that writes to a journal and tells on standard output what was acknowledged.

Started by the crash and disk tests: `python -m tests.journal.writing MODE JOURNAL`. Mode `flood`
writes until it is killed; mode `fill` meets a limit on file sizes, has it lifted by itself, and
goes on.
"""

import asyncio
import itertools
import os
import resource
import signal
import sys
from datetime import UTC, datetime

from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import JournalUnavailable, Opening
from remediator.model.runs import RunState, StepState
from tests.journal import factories as make
from tests.journal.factories import RUNBOOK, T0

# Above an empty journal, below what a hundred notifications need.
FILE_LIMIT = 600_000


class _WallClock(make.HandClock):
    def now(self) -> datetime:
        return datetime.now(UTC)


def _say(*words: object) -> None:
    # One write for each line: what is in the pipe survives the kill.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def _flood(journal: Journal, name: str) -> None:
    """Take notifications and carry their runs through, and say what is certain."""
    for number in itertools.count():
        receipt = await journal.take(
            make.notification(make.starting(f"{name}-{number}"), body=b"x" * 1000)
        )
        _say("taken", receipt.notification_id, receipt.incident_ids[0], receipt.started[0])
        for run in await journal.claim(at=T0, limit=1):
            _say("claimed", run.id)
            await make.move(journal, run, RunState.PLANNING)
            started = (make.step(run),)
            await make.move(journal, run, RunState.APPLYING, steps=started, lock=(run.id,))
            _say("started", run.id)
            done = (make.step(run, StepState.DONE),)
            await make.move(journal, run, RunState.APPLYING, steps=done)
            _say("done", run.id)
            if number % 2:
                await make.move(journal, run, RunState.SUCCEEDED)
                _say("ended", run.id)


async def _fill(journal: Journal) -> None:
    """Write until the files may not grow, then let them grow and go on."""
    taken = 0
    while taken < 2000:
        try:
            await journal.take(make.notification(make.alert(f"svc-{taken}"), body=os.urandom(8000)))
            taken += 1
        except JournalUnavailable as error:
            _say("unavailable", taken, error)
            break
    _say("readable", (await journal.backlog()).open_incidents)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for number in range(taken, taken + 10):
        await journal.take(make.notification(make.alert(f"svc-{number}"), body=os.urandom(8000)))
    _say("recovered", (await journal.backlog()).open_incidents)


async def _main(mode: str, path: str) -> None:
    url = f"sqlite:///{path}"
    journal = await open_journal(url, _WallClock(), Opening(f"node-{os.getpid()}", ("slack",)))
    await journal.register([RUNBOOK])
    _say("ready")
    if mode == "flood":
        await asyncio.gather(*(_flood(journal, f"{os.getpid()}-{i}") for i in range(8)))
    elif mode == "fill":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, hard))
        await _fill(journal)
        await journal.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:3]))
