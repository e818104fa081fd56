"""A replica in a process of its own, to be killed and frozen.

Started as `python -m tests.journal.replica URL`.

Claims what is due, says so on standard output, and then does what each line on standard input asks
for: `write` moves the run on, `enter` goes into a transaction and says so from inside it, `leave`
closes in order. What comes of it is told in one line.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime

import structlog

from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import Guard, JournalUnavailable, Opening
from remediator.model.history import History
from remediator.model.runs import Run, RunState
from remediator.model.verdicts import Verdict
from tests.journal import factories as make


class _WallClock(make.HandClock):
    def now(self) -> datetime:
        return datetime.now(UTC)


def say(*words: object) -> None:
    """Tell the test."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def _write(journal: Journal, run: Run, *, inside: bool) -> None:
    def guard(_: History) -> tuple[Verdict, ...]:
        say("inside")
        if inside:
            sys.stdin.readline()  # frozen here, or told to go on
        return ()

    update = make.update(run, RunState.PLANNING, guard=Guard(guard) if inside else None)
    say("alive" if journal.alive else "not sure to be alive")
    try:
        say("written", (await journal.write(update)).written.value)
    except JournalUnavailable as error:
        say("refused", type(error).__name__, error)


async def _main(url: str) -> None:
    died = asyncio.Event()
    opening = Opening(f"child-{os.getpid()}", ("slack",), on_dead=died.set, duties=("a", "b"))
    journal = await open_journal(url, _WallClock(), opening)
    (run,) = await journal.claim(at=make.after(days=400), limit=1)
    say("claimed", run.id)
    loop = asyncio.get_running_loop()
    while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if word == "leave":
            await journal.close()
            say("left")
            return
        await _write(journal, run, inside=word == "enter")
        if word == "write" and not journal.alive:
            async with asyncio.timeout(10):
                await died.wait()
            say("told to stop")


if __name__ == "__main__":
    # What is logged must not get among what is told.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_main(sys.argv[1]))
