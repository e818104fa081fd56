"""Play one test: its timeline on a virtual clock, and a look at every time that it expects.

The daemon is the real engine over a journal in memory, the actions are the real ones, and so are
the clients that they get; only servers, commands and time are simulated. Owns the order of what
happens. What came is compared by `expect`, and told by `story`. Called by `suite`.
"""

import asyncio
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from remediator.journal.values import AuditRecord
from remediator.observe import logs
from remediator.plugin.notifier import Notifier
from remediator.plugin.registry import Registry
from remediator.rehearsal import expect, seen, unmatched, who
from remediator.rehearsal.expect import Difference, Line
from remediator.rehearsal.files import Case, Rehearsal
from remediator.rehearsal.happen import Happenings, Impossible
from remediator.rehearsal.schema import Event, Expectation
from remediator.rehearsal.seen import Seen, Told
from remediator.rehearsal.story import Chapter, Story
from remediator.rehearsal.teller import PagerTeller, Teller
from remediator.rehearsal.watching import Watch
from remediator.runbook.document import Path
from remediator.simulated.spec import WorldSpec
from remediator.simulated.world import World
from remediator.testing.clock import ManualClock
from remediator.testing.daemon import InProcessDaemon, Setup
from remediator.testing.loop import SettlingLoop


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is not as expected, and where that stands.

    Args:
        line: in the test's file, from 1.
        at: the virtual time, from the start.
        what: which key, for people: `runs[0].state`.
        lines: what was expected and what came.
        note: a sentence that helps, may be empty.
    """

    file: str
    line: int
    column: int
    at: timedelta
    what: str
    lines: tuple[Line, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one test."""

    case: Case
    failures: tuple[Failure, ...]
    story: tuple[Chapter, ...]
    watched: Watch
    took_s: float
    unanswered: tuple[str, ...] = ()
    """HTTP requests for which the world has no answer, each once."""

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class Theatre:
    """Where a test is played; our own suite has one with a real API server in it."""

    world: Callable[[WorldSpec, ManualClock], World] = World
    daemon: type[InProcessDaemon] = InProcessDaemon
    loop: Callable[[], asyncio.AbstractEventLoop] = SettlingLoop


SIMULATED = Theatre()


def play(
    rehearsal: Rehearsal, case: Case, registry: Registry, theatre: Theatre = SIMULATED
) -> Played:
    """Play one test to its end; in a loop of its own, so not from within another."""
    began = time.perf_counter()
    with logs.captured() as errors, asyncio.Runner(loop_factory=theatre.loop) as runner:
        try:
            clock = ManualClock(rehearsal.spec.start)
            world = theatre.world(case.world, clock)
        except ValueError as error:
            failure = _no_world(rehearsal, case, str(error))
            watch = Watch(rehearsal.runbooks)
            return Played(case, (failure,), (), watch, time.perf_counter() - began)
        one = _Play(rehearsal, case, registry, world, clock, errors, theatre.daemon)
        failures, story, watch = runner.run(one.play())
    took_s = time.perf_counter() - began
    unanswered = tuple(dict.fromkeys(str(a.request) for a in world.web.requests if not a.known))
    return Played(case, failures, story, watch, took_s, unanswered)


def _no_world(rehearsal: Rehearsal, case: Case, why: str) -> Failure:
    """Say that the world can't be: at the test's own where it has one, else at the file's."""
    doc = rehearsal.doc
    own: Path = ("tests", case.number, "world")
    place = doc.key(own if own in doc.values else ("world",))
    return Failure(doc.file, place.line, place.column, timedelta(), "world", (), why)


class _Play:
    """One test on its way."""

    def __init__(
        self,
        rehearsal: Rehearsal,
        case: Case,
        registry: Registry,
        world: World,
        clock: ManualClock,
        errors: list[str],
        daemon: type[InProcessDaemon],
    ) -> None:
        self._rehearsal = rehearsal
        self._case = case
        self._clock = clock
        self._start = clock.now()
        self._world = world
        self._told: list[Told] = []
        self._errors = errors
        self._watch = Watch(rehearsal.runbooks)
        self._failures: list[Failure] = []
        self._story = Story(self._start)
        self._read = 0
        self._heard = 0
        self._daemon = daemon(None, self._watch.runbooks, self._setup(registry), clock=self._clock)
        self._happenings = Happenings(self._daemon, self._world, registry.sources["alertmanager"])

    def _setup(self, registry: Registry) -> Setup:
        spec, timeline = self._rehearsal.spec, self._case.spec.timeline
        runbooks, policy = self._rehearsal.runbooks, self._case.policy
        notifiers: list[Notifier] = [Teller(self._told)]
        notifiers += [PagerTeller(name, self._told) for name in who.pagers(spec, runbooks)]
        return Setup(
            operations=tuple(registry.operations.values()),
            notifiers=notifiers,
            sources=registry.sources,
            policy=policy,
            clients=self._world.clients(),
            known=who.known(spec, timeline, who.asked(runbooks, policy)),
            default_approvers=who.default_approvers(spec, timeline),
            escalate_to=spec.escalate_to,
            silencer=self._world.silencer,
            signal=self._world.alertmanagers,
        )

    async def play(self) -> tuple[tuple[Failure, ...], tuple[Chapter, ...], Watch]:
        """Play it, and return what was not as expected, the story, and what was gone through."""
        await self._daemon.start()
        try:
            await self._through()
            await self._look()
        except Exception as error:  # whatever it is, the other tests go on
            self._broke(error)
        finally:
            # Not `stop`: it waits for changes in hand, and no virtual time passes any more.
            await self._daemon.crash()
            await self._world.close()
        return tuple(self._failures), tuple(self._story.chapters), self._watch

    async def _through(self) -> None:
        """Go through the timeline and the expectations, in the order of time."""
        entries: list[tuple[timedelta, int, int]] = [
            *((event.at, 0, n) for n, event in enumerate(self._case.spec.timeline)),
            *((expected.at, 1, n) for n, expected in enumerate(self._case.spec.expect)),
        ]
        for at, kind, number in sorted(entries):
            until = self._start + at
            if until > self._clock.now():
                await self._daemon.advance(until - self._clock.now())
                await self._happenings.catch_up()
            if kind:
                await self._expect(number, self._case.spec.expect[number])
            elif not await self._happens(number, self._case.spec.timeline[number]):
                return

    async def _happens(self, number: int, event: Event) -> bool:
        """Let one thing happen. Returns False where it could not, which ends the test."""
        case = self._case
        await self._gather()
        before = len(self._story.chapters)
        change, body = case.changes.get(number), case.bodies.get(number)
        try:
            text = await self._happenings.happen(event, change, body)
        except Impossible as error:
            path: Path = ("tests", case.number, "timeline", number, event.what)
            one = Difference((), event.what, error.lines, str(error))
            self._fail(path, event.at, one)
            return False
        await self._gather()
        self._story.happened(event.at, text, before=before)
        return True

    async def _expect(self, number: int, expected: Expectation) -> None:
        now = await self._look()
        for found in expect.differences(expected, now):
            none = found.path == ("runs",) and not now.runs
            notes = (found.note, *(self._why_none() if none else ()))
            one = replace(found, note="; ".join(filter(None, notes)))
            path: Path = ("tests", self._case.number, "expect", number, *one.path)
            self._fail(path, expected.at, one)

    def _broke(self, error: Exception) -> None:
        """Note that the test itself broke, by a bug of ours or of a plugin."""
        at = self._clock.now() - self._start
        lines = traceback.format_exception(error)
        self._story.logged(at, [line.strip().replace("\n", " | ") for line in lines[-4:]])
        one = Difference((), "broke", (), f"the test broke: {type(error).__name__}: {error}")
        self._fail(("tests", self._case.number), at, one)

    def _why_none(self) -> Iterator[str]:
        """Say why no runbook was for what fired so far."""
        for labels in self._happenings.fired:
            for runbook in self._rehearsal.runbooks:
                if why := unmatched.why(runbook, labels):
                    yield f"{runbook.name} is not for it: {why}"

    def _fail(self, path: Path, at: timedelta, one: Difference) -> None:
        doc = self._rehearsal.doc
        place = doc.at(path)
        self._failures.append(
            Failure(doc.file, place.line, place.column, at, one.what, one.lines, one.note)
        )

    async def _look(self) -> Seen:
        await self._gather()
        runs = await self._daemon.runs()
        views = {run.id: await self._daemon.view(run.id) for run in runs}
        now = seen.look(runs, views, self._told, self._world)
        self._watch.note_runs(now.runs)
        return now

    async def _gather(self) -> None:
        """Take what went on record and was told since the last time."""
        records: list[AuditRecord] = []
        while page := await self._daemon.journal.audit(after=self._read, limit=1000):
            records += page
            self._read = page[-1].seq
        self._watch.note_records(records)
        self._story.gather(records, self._told[self._heard :])
        self._heard = len(self._told)
        self._story.logged(self._clock.now() - self._start, self._errors)
        self._errors.clear()
