"""Slack: one message for each run, edited in place, with a thread that follows the run.

Owns what is sent when. Of the calls for one note only a post can't be repeated harmlessly, and it
is the last; where an earlier attempt may have got so far, the channel is looked through first. What
a run looks like is in `blocks`, a storm in `storm`; what people do goes through `answering`.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from remediator.clients import errors
from remediator.clients.slack.client import Posted, SlackClient
from remediator.clients.slack.socket import Envelope
from remediator.model import canonical, clock
from remediator.model.canonical import JSONObject
from remediator.model.storms import Storm
from remediator.model.views import Note, NoteKind, RunView
from remediator.notify.slack import blocks, buttons, interactions, routes, storm, text
from remediator.notify.slack.answering import Answering
from remediator.notify.slack.home import Homes
from remediator.plugin.context import Context
from remediator.plugin.notifier import (
    Callback,
    Desk,
    Notifier,
    Refused,
    Reply,
    StormBar,
    Undelivered,
)

# Later than this, Slack's own time stamp of a line would mislead.
_LATE = timedelta(minutes=1)
# Of the last line, to compare the next one with.
_LONGEST_SAID = 2500
# A message is looked for that is no older than its note; by so much clocks may differ.
_CLOCKS_APART = timedelta(minutes=2)
# A storm calls people again, where more of them are needed, not sooner than this.
_CALLS_APART = timedelta(minutes=5)
# People look at their Home as they look at the channel, where an edit may take as long.
_HOMES_APART_S = 10.0
_REMINDER = "reminder:"


class Slack(Notifier):
    """Tells Slack channels, and takes what people do there."""

    name = "slack"
    callback_paths: ClassVar[Sequence[str]] = (
        "/slack/interactions",
        "/slack/commands",
        "/slack/events",
    )
    # Slack takes about one message a second in a channel; a delivery posts one at most.
    apart: ClassVar[timedelta] = timedelta(seconds=1)
    # More than ten new messages a minute nobody reads, and Slack itself takes only sixty. Ten
    # seconds between edits leave the channel to those that have a message of their own.
    storm: ClassVar[StormBar | None] = StormBar(
        runs=10,
        within=timedelta(minutes=1),
        over_after=timedelta(minutes=2),
        apart=timedelta(seconds=10),
    )

    def __init__(self) -> None:
        self._homes = Homes()

    def place(self, view: RunView, ref: JSONObject | None, ctx: Context) -> str:
        """Return the channel: a run stays where its thread began."""
        if ref is not None and ref.get("channel"):
            return str(ref["channel"])
        return routes.choose(ctx.client(SlackClient).routes, view).channel

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Post the run's message at its first note; later edit it and write into its thread.

        Raises:
            Undelivered: Slack is down or throttles us.
            Refused: Slack will never take it.
        """
        client = ctx.client(SlackClient)
        with _told():
            if ref is not None:
                try:
                    return await _follow(client, note, view, ref, ctx)
                except errors.Missing:
                    ctx.log.warning("the run's message is gone from Slack; posting it again")
            return await _begin(client, note, view)

    async def announce_storm(
        self, one: Storm, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Post the storm's message, later edit it; call people where they are needed.

        Raises:
            Undelivered: Slack is down or throttles us.
            Refused: Slack will never take it.
        """
        client = ctx.client(SlackClient)
        here = [route for route in client.routes if route.channel == one.place]
        # A storm in a channel is everybody's there.
        ring = text.ring(await client.rung_by(here)) if one.needed else ""
        with _told():
            if ref is None:
                found = await client.find(
                    f"storm-{one.id}", since=one.began_at - _CLOCKS_APART, channel=one.place
                )
                if found is None:
                    said = storm.message(one, buttons_work=client.takes_answers, ring=ring)
                    found = await client.post(
                        said.text, said.blocks, channel=one.place, key=f"storm-{one.id}"
                    )
                needed = one.needed
                return _storm_ref(found, called=needed, at=ctx.now() if needed else None)
            posted = Posted(str(ref["channel"]), str(ref["ts"]))
            said = storm.message(one, buttons_work=client.takes_answers)
            try:
                await client.update(posted, said.text, said.blocks)
            except errors.Missing:
                ctx.log.warning("the storm's message is gone from Slack; posting it again")
                posted = await client.post(said.text, said.blocks, channel=one.place)
            called_for, called_at = _count(ref.get("called")), _moment(ref.get("called_at"))
            over = one.closed_at is not None
            # At its end whatever nobody was called for yet: what follows alone does not ring again.
            due = over or called_at is None or ctx.now() - called_at >= _CALLS_APART
            if one.needed > called_for and due and not ref.get("over"):
                line = storm.called(one, ring)
                await client.post(line.text, line.blocks, under=posted, broadcast=True)
                return _storm_ref(posted, called=one.needed, at=ctx.now(), over=over)
        called = min(called_for, one.needed)
        return _storm_ref(posted, called=called, at=called_at, over=over)

    async def listen(self, desk: Desk, ctx: Context, stopping: asyncio.Event) -> None:
        """Take clicks and commands over Socket Mode, where it is set up, and keep Homes current."""
        client = ctx.client(SlackClient)

        async def handle(envelope: Envelope) -> JSONObject | None:
            try:
                done = _of_envelope(envelope)
            except interactions.Malformed as error:
                ctx.log.warning("Slack sent what it does not document", error=str(error))
                return None
            return await self._answering(desk, ctx).answer(done) if done is not None else None

        async with asyncio.TaskGroup() as both:
            both.create_task(client.listen(handle, stopping))
            both.create_task(self._keep_homes(desk, ctx, stopping))

    async def callback(self, request: Callback, desk: Desk, ctx: Context) -> Reply:
        """Take what came over HTTP: authenticate, hand it to the desk, answer once it is stored."""
        if interactions.ssl_check(request.body):
            return Reply(200)
        client = ctx.client(SlackClient)
        if not client.verified(request.body, request.headers, now=ctx.now()):
            return Reply(401, b"the request is not signed by Slack, or too old")
        try:
            done = interactions.read(request.body)
        except interactions.Malformed as error:
            return Reply(400, str(error).encode())
        answer = await self._answering(desk, ctx).answer(done) if done is not None else None
        if answer is None:
            return Reply(200)
        return Reply(200, json.dumps(answer).encode(), "application/json")

    def _answering(self, desk: Desk, ctx: Context) -> Answering:
        return Answering(desk, ctx.client(SlackClient), self._homes, ctx)

    async def _keep_homes(self, desk: Desk, ctx: Context, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self._homes.refresh(desk, ctx)
            except Exception as error:
                ctx.log.warning("Homes are not up to date", error=type(error).__name__)
            try:
                async with asyncio.timeout(_HOMES_APART_S):
                    await stopping.wait()
            except TimeoutError:
                continue


async def _begin(client: SlackClient, note: Note, view: RunView) -> JSONObject:
    """Post the run's message, unless an earlier attempt has."""
    route = routes.choose(client.routes, view)
    question = buttons.open_question(view)
    urgent = note if note.kind is NoteKind.ESCALATION else None
    # For a question that a storm's message told of people were called then; a reminder rings.
    rings = urgent is not None or (question is not None and not note.shared)
    message = blocks.run(
        view,
        urgent,
        buttons=client.takes_answers,
        ring=text.ring(await client.rung_by([route])) if rings else "",
    )
    key = f"run-{view.run.id}"
    posted = None
    if note.again:
        posted = await client.find(key, since=note.at - _CLOCKS_APART, channel=route.channel)
    if posted is None:
        posted = await client.post(message.text, message.blocks, channel=route.channel, key=key)
        return _ref(posted, shown=_digest(message), asked=question, said="")
    # What it shows may be what was true then: the next note edits it.
    return _ref(posted, shown="", asked=question, said="")


async def _follow(
    client: SlackClient, note: Note, view: RunView, ref: JSONObject, ctx: Context
) -> JSONObject:
    """Edit the run's message, then write one line into its thread.

    Raises:
        Missing: the message is gone.
    """
    posted = Posted(str(ref["channel"]), str(ref["ts"]))
    message = blocks.run(view, buttons=client.takes_answers)
    shown = _digest(message)
    if shown != ref.get("shown"):
        await client.update(posted, message.text, message.blocks)
    asked, said = ref.get("asked"), str(ref.get("said", ""))
    question = buttons.open_question(view)
    reminds = note.kind is NoteKind.APPROVAL and note.text.startswith(_REMINDER)
    if note.kind is NoteKind.APPROVAL and question is not None and question == asked:
        if not reminds:  # the message was posted with it
            return _ref(posted, shown=shown, asked=question, said=said)
    elif reminds:  # it has been answered since
        return _ref(posted, shown=shown, asked=asked, said=said)
    news = _news(note, said)
    if not news:
        return _ref(posted, shown=shown, asked=asked, said=said)
    # An edit rings nowhere. When a person is needed, and only then, the channel is told.
    needed = note.kind is NoteKind.ESCALATION or (
        note.kind is NoteKind.APPROVAL and question is not None
    )
    told = note.again and await client.find(note.id, since=note.at - _CLOCKS_APART, under=posted)
    if not told:
        route = routes.choose(client.routes, view)
        ring = text.ring(await client.rung_by([route])) if needed else ""
        late = ctx.now() - note.at > _LATE
        line = blocks.note(replace(note, text=news), view, late=late, ring=ring)
        await client.post(line.text, line.blocks, under=posted, broadcast=needed, key=note.id)
    rung = question if note.kind is NoteKind.APPROVAL else asked
    return _ref(posted, shown=shown, asked=rung, said=note.text[:_LONGEST_SAID])


def _news(note: Note, said: str) -> str:
    """Return what of a note the thread's last line has not said: a failing step, the state that
    follows from it and the end mostly say the same. What rings is always said whole."""
    words = note.text
    if note.kind is not NoteKind.STATE or not said or not words:
        return words or "went on"
    if said == words or said.endswith(f": {words}"):
        return ""
    return words.removeprefix(f"{said}; ")


def _of_envelope(envelope: Envelope) -> interactions.Done | None:
    """Return what was done.

    Raises:
        Malformed: it is none that Slack sends.
    """
    match envelope.kind:
        case "slash_commands":
            return interactions.of_command(envelope.payload)
        case "events_api":
            return interactions.of_event(envelope.payload)
        case _:
            return interactions.of_interactive(envelope.payload)


def _ref(posted: Posted, *, shown: str, asked: canonical.JSON, said: str) -> JSONObject:
    """Return what to remember of a run: where its message is, what it shows, the last question
    that rang in the channel, and the thread's last line."""
    return {
        "channel": posted.channel,
        "ts": posted.ts,
        "shown": shown,
        "asked": asked,
        "said": said,
    }


def _storm_ref(
    posted: Posted, *, called: int, at: datetime | None, over: bool = False
) -> JSONObject:
    """Return what to remember of a storm: where its message is, for how many people were called
    last, when, and whether its message says that it is over."""
    return {
        "channel": posted.channel,
        "ts": posted.ts,
        "called": called,
        "called_at": clock.to_text(at) if at is not None else None,
        "over": over,
    }


def _count(said: object) -> int:
    return said if isinstance(said, int) else 0


def _moment(said: object) -> datetime | None:
    return clock.from_text(said) if isinstance(said, str) else None


def _digest(message: blocks.Message) -> str:
    return canonical.digest([message.text, list(message.blocks)])


@contextmanager
def _told() -> Iterator[None]:
    """Turn the client's errors into the notifier's."""
    try:
        yield
    except errors.Unavailable as error:
        place = str(getattr(error, "channel", ""))
        raise Undelivered(str(error), error.after, place) from None
    except errors.ClientError as error:
        raise Refused(str(error)) from None
