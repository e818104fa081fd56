"""Proves that the announcer tells people once and in time: through a journal that can't be written,
a stop, a throttle, an outage and a fault that an operator repairs; that a page waits for nobody;
and that an escalation always reaches somebody. A real journal, a loopback Slack, a clock that the
test moves.
"""

import asyncio
import inspect
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from remediator import settings as configured
from remediator.clients.slack.client import SlackClient
from remediator.engine.announce import Announcer
from remediator.engine.context import PluginContext
from remediator.engine.hint import Hint
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import Opening, Overloaded
from remediator.model import escalation
from remediator.model.canonical import JSONObject
from remediator.model.runs import Run
from remediator.model.views import Note, NoteKind, RunView
from remediator.notify.slack.notifier import Slack as SlackNotifier
from remediator.observe import logs, metrics
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier, Refused, Undelivered
from remediator.testing.clock import ManualClock
from tests.journal import factories as make
from tests.slack.conftest import settings
from tests.slack.fixtures import CHANNEL
from tests.slack.server import Slack
from tests.slack.workspace import Channel

_QUIET_ROUNDS = 40


class Watched:
    """A journal that can be made to refuse what was delivered, and knows whether it is busy."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.full = False
        self.refused = 0
        self.begun = 0
        self.under_way = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def watched(*args: Any, **kwargs: Any) -> Any:
            self.begun += 1
            if self.full and name in ("outbox_delivered", "outbox_retry", "outbox_refused"):
                self.refused += 1
                raise Overloaded
            self.under_way += 1
            try:
                return await method(*args, **kwargs)
            finally:
                self.under_way -= 1

        return watched


class Told(Notifier):
    """Keeps what it was told; waits at the gate where there is one, and fails as prepared."""

    def __init__(self, name: str, *, escalates: bool = False) -> None:
        self.name = name  # type: ignore[misc]  # a class's name, elsewhere
        self.escalates = escalates
        self.told: list[str] = []
        self.gate: asyncio.Event | None = None
        self.trouble: Exception | None = None

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        if self.trouble is not None:
            raise self.trouble
        self.told.append(note.text)
        if self.gate is not None:
            await self.gate.wait()
        return {"told": len(self.told)}


class Desk:
    """The announcer between a journal and its notifiers."""

    def __init__(self, slack: Slack, folder: Path) -> None:
        self.slack = slack
        self.clock = ManualClock()
        self.client = SlackClient(settings(slack), monotonic=self.clock.monotonic)
        self.url = f"sqlite:///{folder / 'journal.db'}"
        self.hint = Hint()
        self.announcer: Announcer
        self.journal: Watched
        self._journal: Journal
        self._task: asyncio.Task[None] | None = None
        self.runs: dict[str, Run] = {}

    async def open(self, *notifiers: Notifier, escalate_to: tuple[str, ...] = ()) -> None:
        """Open the journal; the announcer is made, and does nothing before `start`."""
        given = {one.name: one for one in notifiers or (SlackNotifier(),)}
        self._journal = await open_journal(
            self.url,
            self.clock,
            Opening(
                node="node-1",
                subscribers=tuple(n for n, one in given.items() if not one.escalates),
                pagers=tuple(n for n, one in given.items() if one.escalates),
                on_due=lambda _: self.hint.poke(),
            ),
        )
        self.journal = Watched(self._journal)
        journal = cast(Journal, self.journal)
        clients: dict[type, object] = {SlackClient: self.client}
        self.announcer = Announcer(
            journal,
            given,
            lambda run_id, names: PluginContext(run_id, self.clock, clients, journal, names),
            self.clock,
            self.hint,
            escalation.calls(*escalate_to),
        )

    def start(self) -> None:
        """Begin to deliver."""
        self._task = asyncio.create_task(self.announcer.run())

    async def note(
        self, name: str, *texts: str, kind: NoteKind = NoteKind.STATE, to: tuple[str, ...] = ()
    ) -> None:
        """Queue notes about the run of this name."""
        run = self.runs.get(name) or await make.claimed(self._journal, name)
        notes = tuple(Note(kind, run.id, text, make.T0, to) for text in texts)
        self.runs[name] = await make.move(self._journal, run, run.state, notes=notes)

    async def settle(self, *, but: int = 0) -> None:
        """Return when nothing moves, though so many deliveries may be stuck."""
        async with asyncio.timeout(20):
            quiet = 0
            while quiet < _QUIET_ROUNDS:
                begun = self.journal.begun
                await asyncio.sleep(0)
                busy = self.journal.under_way or self.announcer.in_hand > but
                quiet = 0 if busy or self.journal.begun != begun else quiet + 1

    async def until(self, true: Callable[[], object]) -> None:
        """Return when it is."""
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0)

    async def pass_(self, seconds: int, *, but: int = 0) -> None:
        """Let time pass, second by second."""
        await self.settle(but=but)
        for _ in range(seconds):
            self.clock.advance(timedelta(seconds=1))
            await self.settle(but=but)

    async def waiting(self) -> int:
        """How many notes are not delivered."""
        return sum((await self._journal.backlog()).outbox.values())

    async def crash(self) -> None:
        """Drop the announcer and the journal as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._journal.close()

    @property
    def channel(self) -> Channel:
        return self.slack.channel(CHANNEL)


@pytest.fixture
async def desk(slack: Slack, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(slack, tmp_path)
    slack.limit(None)
    yield made
    slack.answer()
    await made.crash()
    await made.client.close()


async def test_what_the_journal_can_not_record_is_not_posted_again(desk: Desk) -> None:
    await desk.open()
    await desk.note("api", "began", "went on")
    desk.journal.full = True
    desk.start()

    await desk.until(lambda: desk.journal.refused)
    for _ in range(20):
        desk.hint.poke()
        await desk.pass_(2, but=1)
    assert desk.journal.refused > 2
    assert len(desk.channel.everything) == 1, "one post, and nothing else of that run"

    desk.journal.full = False
    await desk.pass_(35, but=1)
    (message,) = desk.channel.messages
    (reply,) = desk.channel.thread(message.ts)
    assert reply.words.startswith("🔹 went on"), "late enough to say when, or not"
    assert await desk.waiting() == 0


async def test_the_trouble_of_one_run_repeats_nothing_of_another(desk: Desk) -> None:
    told = Told("slack")
    told.gate = asyncio.Event()
    await desk.open(told)
    await desk.note("a", "a")
    await desk.note("b", "b")
    desk.start()
    await desk.until(lambda: len(told.told) == 2)
    desk.journal.full = True
    told.gate.set()
    await desk.until(lambda: desk.journal.refused == 2)
    await desk.pass_(10, but=2)
    desk.journal.full = False
    await desk.pass_(35, but=2)

    assert sorted(told.told) == ["a", "b"]
    assert await desk.waiting() == 0


async def test_a_stop_lets_a_post_in_hand_finish(desk: Desk) -> None:
    await desk.open()
    await desk.note("api", "began")
    desk.slack.hold_answers("chat.postMessage")
    desk.start()
    await desk.until(lambda: desk.channel.messages)
    await desk.note("other", "began")

    stopped = asyncio.create_task(desk.announcer.stop())
    await asyncio.sleep(0)
    desk.slack.answer()
    await stopped
    assert len(desk.channel.messages) == 1, "nothing new was taken up"
    await desk.crash()

    await desk.open()
    desk.start()
    await desk.pass_(5)
    assert len(desk.channel.messages) == 2, "and nothing is told twice"


async def test_a_throttle_holds_everything_for_as_long_as_slack_asks(desk: Desk) -> None:
    await desk.open()
    for number in range(8):
        await desk.note(f"run-{number}", "began")
    desk.slack.throttle(30)
    desk.start()

    await desk.pass_(29)
    assert desk.slack.turned_away == 1
    desk.slack.throttle(None)
    await desk.pass_(20)
    assert len(desk.channel.messages) == 8
    assert await desk.waiting() == 0


async def test_what_comes_at_once_is_posted_at_a_message_a_second(desk: Desk) -> None:
    held = metrics.REGISTRY.get_sample_value
    name, labels = "remediator_limit_hit_total", {"limit": "notes_pace"}
    before = held(name, labels) or 0
    await desk.open()
    for number in range(9):
        await desk.note(f"run-{number}", "began")
    desk.start()
    await desk.settle()

    for second in range(1, 6):
        assert len(desk.channel.messages) == second
        await desk.pass_(1)
    assert (held(name, labels) or 0) >= before + 5
    await desk.pass_(4)
    assert len(desk.channel.messages) == 9


async def test_what_waits_for_a_person_goes_first(desk: Desk) -> None:
    await desk.open()
    for number in range(5):
        await desk.note(f"run-{number}", "began")
    await desk.note("asks", "asks for approval", kind=NoteKind.APPROVAL)
    await desk.note("lost", "began")
    await desk.note("lost", "lost: a person must look", kind=NoteKind.ESCALATION)
    desk.start()

    await desk.pass_(2)
    first, second, third = desk.channel.everything
    assert second.thread_ts == first.ts
    assert second.words == "🚨 lost: a person must look"
    assert third.thread_ts is None
    assert desk.runs["asks"].id in third.raw


async def test_a_page_does_not_wait_for_a_slack_that_hangs(desk: Desk) -> None:
    pager = Told("pager", escalates=True)
    await desk.open(SlackNotifier(), pager)
    await desk.slack.outage("hang")
    for number in range(40):
        await desk.note(f"run-{number}", "began")
    desk.start()
    await desk.until(lambda: desk.announcer.in_hand)
    await desk.note("lost", "a person must look", kind=NoteKind.ESCALATION, to=("pager",))

    await desk.until(lambda: pager.told)
    assert pager.told == ["a person must look"]
    await desk.slack.recover()


async def test_what_an_operator_repairs_is_delivered_then(desk: Desk) -> None:
    await desk.open()
    desk.channel.invited = False
    for number in range(5):
        await desk.note(f"run-{number}", "asks for approval", kind=NoteKind.APPROVAL)
    desk.start()
    await desk.pass_(50)
    assert await desk.waiting() == 5
    assert desk.slack.calls == []

    desk.channel.invited = True
    await desk.pass_(130)
    assert len(desk.channel.messages) == 5
    assert await desk.waiting() == 0


async def test_an_outage_loses_nothing(desk: Desk) -> None:
    await desk.open()
    await desk.note("api", "began", "went on", "ended")
    await desk.slack.outage("500")
    desk.start()
    await desk.pass_(10)
    await desk.slack.recover()
    await desk.pass_(30)

    (message,) = desk.channel.messages
    assert [m.words for m in desk.channel.thread(message.ts)] == ["🔹 went on", "🔹 ended"]


async def test_an_escalation_to_nobody_rings_where_people_are(desk: Desk) -> None:
    await desk.open()
    await desk.note("api", "began")
    await desk.note("api", "api failed", kind=NoteKind.ESCALATION, to=("pagerduty",))
    desk.start()
    await desk.pass_(3)

    rung = [m for m in desk.channel.messages if m.broadcast]
    assert [m.words for m in rung] == [
        "🚨 api failed (meant for pagerduty: no notifier 'pagerduty' is configured)"
    ]
    assert await desk.waiting() == 0
    refused = (await desk.journal.audit())[-1].entry
    assert (refused.kind, refused.details["instead"]) == ("note.refused", ["slack"])


async def test_a_refused_page_goes_to_whom_the_settings_name_and_on(desk: Desk) -> None:
    pagers = [Told(name, escalates=True) for name in ("one", "two")]
    chat = Told("chat")
    for pager in pagers:
        pager.trouble = Refused("no such key")
    await desk.open(*pagers, chat, escalate_to=("two",))
    await desk.note("api", "api failed", kind=NoteKind.ESCALATION, to=("one",))
    desk.start()
    await desk.settle()

    assert chat.told == [
        "api failed (meant for one: no such key) (meant for two: no such key)",
    ]
    chat.trouble = Refused("not like this")
    await desk.note("api", "again", kind=NoteKind.ESCALATION, to=("one", "chat"))
    await desk.settle()
    assert await desk.waiting() == 0, "it is handed on forwards, never round"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(configured.Log(format="json", level="info"), stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    logging.captureWarnings(False)
    structlog.reset_defaults()


async def test_every_line_about_a_note_names_its_run(desk: Desk, out: io.StringIO) -> None:
    chat = Told("chat")
    await desk.open(chat)
    chat.trouble = Undelivered("busy")
    await desk.note("api", "began")
    desk.start()
    await desk.settle()
    chat.trouble = Refused("never")
    await desk.pass_(3)

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    about = {line["event"]: line for line in lines if line["event"].startswith("note ")}
    run = desk.runs["api"]
    assert set(about) == {"note not delivered", "note given up"}
    for line in about.values():
        assert line["run_id"] == run.id
        assert line["incident_id"] == run.incident_id
        assert (line["runbook"], line["notifier"]) == ("scale-out", "chat")
