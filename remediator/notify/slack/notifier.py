"""Slack: one message for each run, edited in place, with a thread that follows the run.

Owns what is sent when. Of the calls for one note only a post can't be repeated harmlessly, and it
is the last: so a note is told twice only where Slack took the post and its answer was lost, on the
wire or in a crash before the journal's commit. What a run looks like is in `blocks`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from remediator.clients import errors
from remediator.clients.slack.client import Posted, SlackClient
from remediator.model import canonical
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, NoteKind, RunView
from remediator.notify.slack import blocks, interactions, text
from remediator.plugin.context import Context
from remediator.plugin.notifier import (
    Callback,
    Desk,
    NotAuthorised,
    Notifier,
    Refused,
    Reply,
    Undelivered,
)

# Later than this, Slack's own time stamp of a line would mislead.
_LATE = timedelta(minutes=1)
# Of the last line, to compare the next one with.
_LONGEST_SAID = 2500
_NOT_STORED = (
    "Your answer could not be stored, nothing was decided. Press again in a moment, or use "
    "`remediator approve` or `remediator deny`."
)


class Slack(Notifier):
    """Tells a Slack channel, and takes clicks."""

    name = "slack"
    callback_paths: ClassVar[Sequence[str]] = ("/slack/interactions",)
    # Slack takes about one message a second in a channel; a delivery posts one at most.
    apart: ClassVar[timedelta] = timedelta(seconds=1)

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
            urgent = note if note.kind is NoteKind.ESCALATION else None
            message = blocks.run(view, urgent)
            posted = await client.post(message.text, message.blocks)
        return _ref(posted, shown=_digest(message), asked=blocks.open_question(view), said="")

    async def callback(self, request: Callback, desk: Desk, ctx: Context) -> Reply:
        """Take a click: authenticate, hand it to the desk, answer 200 once it is stored."""
        if interactions.ssl_check(request.body):
            return Reply(200)
        client = ctx.client(SlackClient)
        if not client.verified(request.body, request.headers, now=ctx.now()):
            return Reply(401, b"the request is not signed by Slack, or too old")
        try:
            click = interactions.read(request.body)
        except interactions.Malformed as error:
            return Reply(400, str(error).encode())
        if click is None:
            return Reply(200)
        try:
            answered = await desk.decide(
                click.approval_id, actor=click.actor, answer=click.answer, reason="", via=self.name
            )
            said = answered.message
        except NotAuthorised as refusal:
            said = f"Not counted: {refusal}"
        except Exception:
            # The edge answers 503, which Slack shows as a small warning sign and no more.
            client.answer_later(click.response_url, _NOT_STORED)
            raise
        client.answer_later(click.response_url, text.cut(said, 1000))
        return Reply(200)


async def _follow(
    client: SlackClient, note: Note, view: RunView, ref: JSONObject, ctx: Context
) -> JSONObject:
    """Edit the run's message, then write one line into its thread.

    Raises:
        Missing: the message is gone.
    """
    posted = Posted(str(ref["channel"]), str(ref["ts"]))
    message = blocks.run(view)
    shown = _digest(message)
    if shown != ref.get("shown"):
        await client.update(posted, message.text, message.blocks)
    asked, said = ref.get("asked"), str(ref.get("said", ""))
    question = blocks.open_question(view)
    if note.kind is NoteKind.APPROVAL and question is not None and question == asked:
        # The message was posted with it.
        return _ref(posted, shown=shown, asked=question, said=said)
    news = _news(note, said)
    if not news:
        return _ref(posted, shown=shown, asked=asked, said=said)
    # An edit rings nowhere. When a person is needed, and only then, the channel is told.
    needed = note.kind is NoteKind.ESCALATION or (
        note.kind is NoteKind.APPROVAL and question is not None
    )
    line = blocks.note(replace(note, text=news), late=ctx.now() - note.at > _LATE)
    await client.post(line.text, line.blocks, under=posted, broadcast=needed)
    rung = question if note.kind is NoteKind.APPROVAL else asked
    return _ref(posted, shown=shown, asked=rung, said=note.text[:_LONGEST_SAID])


def _news(note: Note, said: str) -> str:
    """Return what of a note the thread's last line has not said: a failing step, the state that
    follows from it and the end mostly say the same. What rings is always said whole."""
    text = note.text
    if note.kind is not NoteKind.STATE or not said or not text:
        return text or "went on"
    if said == text or said.endswith(f": {text}"):
        return ""
    return text.removeprefix(f"{said}; ")


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


def _digest(message: blocks.Message) -> str:
    return canonical.digest([message.text, list(message.blocks)])


@contextmanager
def _told() -> Iterator[None]:
    """Turn the client's errors into the notifier's."""
    try:
        yield
    except errors.Unavailable as error:
        raise Undelivered(str(error), error.after, getattr(error, "channel", "")) from None
    except errors.ClientError as error:
        raise Refused(str(error)) from None
