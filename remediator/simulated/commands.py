"""Local commands in memory: what a test's `exec:` says is answered, and no process is started.

Owns which answer a command gets, sequences of answers, and the record of what was started. Stands
where `clients.process.ProcessRunner` does, so that the real action `exec` works above it.

Called by `simulated.world`, and by tests.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediator.clients.errors import Refused
from remediator.clients.process import OUTPUT_BYTES, Finished
from remediator.model.clock import Clock
from remediator.simulated.answers import (
    ANY_ARGUMENT,
    ANY_ARGUMENTS,
    CommandSpec,
    EndingSpec,
    fits,
    same_program,
)
from remediator.simulated.http import Web

HOST = "localhost"
"""What targets call the machine on which a test's commands run."""

# ------------------------------------------------------------------------- what was started


@dataclass(frozen=True, slots=True)
class Started:
    """A command that was started, and when; `exit_code` is None where it was killed."""

    at: datetime
    command: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    exit_code: int | None


class Commands:
    """Every command that a test's world has; what is not listed may not be started."""

    def __init__(self, answers: Iterable[CommandSpec], clock: Clock, web: Web) -> None:
        """Make a world's commands.

        Args:
            answers: the last of several for the same command counts.
            clock: what commands take passes on it.
            web: where requests are answered otherwise after some commands.
        """
        self._clock = clock
        self._web = web
        self._answers: dict[tuple[str, ...], list[EndingSpec]] = {}
        self._started: list[Started] = []
        self.host = HOST
        self.change(answers)

    @property
    def asked(self) -> list[tuple[str, ...]]:
        """The commands that were started so far, in order."""
        return [one.command for one in self._started]

    @property
    def started(self) -> Sequence[Started]:
        """The same, with when and how."""
        return tuple(self._started)

    def change(self, answers: Iterable[CommandSpec]) -> None:
        """Let these commands end so from now on; others stay as they are."""
        for one in answers:
            self._answers[one.command] = list(one.answers or (one,))

    async def close(self) -> None:
        """Nothing runs."""

    def check(self, program: str) -> None:
        """Check that a program may be started.

        Raises:
            Refused: the test lists no command of it.
        """
        if not any(same_program(command[0], program) for command in self._answers):
            raise Refused(f"{program!r} may not be started: {_unlisted([program, ANY_ARGUMENTS])}")

    async def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str,
        timeout_s: float,
    ) -> Finished:
        """See `clients.process.ProcessRunner.run`.

        Raises:
            Refused: the test does not list the command; the message says how to add it.
        """
        self.check(command[0])
        ending = self._next(command)
        patience = timedelta(seconds=timeout_s)
        killed = ending.timed_out or ending.takes >= patience
        took = patience if killed else ending.takes
        began = self._clock.now()
        number = len(self._started)
        note = Started(began, tuple(command), dict(environment), cwd, None)
        self._started.append(note)
        if took:
            await self._clock.sleep(took.total_seconds())
        exit_code = None if killed else ending.exit
        self._started[number] = Started(began, note.command, note.environment, cwd, exit_code)
        if ending.then is not None and not killed:
            self.change(ending.then.exec)
            self._web.change(ending.then.http)
        out, err = ending.stdout.encode(), ending.stderr.encode()
        return Finished(
            exit_code=exit_code,
            timed_out=killed,
            stdout=out[-OUTPUT_BYTES:].decode(errors="replace"),
            stderr=err[-OUTPUT_BYTES:].decode(errors="replace"),
            truncated=max(len(out), len(err)) > OUTPUT_BYTES,
            elapsed_s=took.total_seconds(),
        )

    def _next(self, command: Sequence[str]) -> EndingSpec:
        """Take the next ending of the narrowest entry that fits."""
        fitting = [pattern for pattern in self._answers if fits(pattern, tuple(command))]
        if not fitting:
            raise Refused(f"{' '.join(command)} has no ending here: {_unlisted(command)}")
        best = max(fitting, key=_narrow)
        endings = self._answers[best]
        return endings.pop(0) if len(endings) > 1 else endings[0]


def _narrow(pattern: Sequence[str]) -> tuple[bool, int, int, bool]:
    """How much a pattern says; the highest counts."""
    open_ended = pattern[-1] == ANY_ARGUMENTS
    named = sum(word not in (ANY_ARGUMENT, ANY_ARGUMENTS) for word in pattern)
    return not open_ended, named, len(pattern), "/" in pattern[0]


def _unlisted(command: Sequence[str]) -> str:
    words = ", ".join(repr(word) for word in command)
    return f"the test's world does not list it; add {{command: [{words}], exit: 0}} to its exec"
