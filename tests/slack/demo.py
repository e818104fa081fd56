"""A workspace in which everything has happened that remediator says in Slack; for looking.

The messages, modals and Homes are the product's own, of runs that `golden` and `tests.notify.views`
keep; no daemon runs.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.model.runs import RunState
from remediator.model.storms import Storm, StormRun
from remediator.model.views import NoteKind
from remediator.notify.slack import blocks, home, modals, storm
from remediator.plugin.notifier import Standing
from tests.notify import views
from tests.slack.golden import RUNS
from tests.slack.server import Slack
from tests.slack.workspace import Message

CHANNEL = "C0123456789"
ANNA = "U0ANNA"
BERT = "U0BERT"
ONCALL = "S0ONCALL"
BEGAN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PACE = timedelta(minutes=3)

MODALS: Mapping[str, Any] = {
    "deny": modals.deny(views.view(), views.APPROVAL_ID),
    "plan": modals.plan(views.view()),
    "snooze": modals.snooze(views.view(), views.APPROVAL_ID),
    "start": modals.start(),
    "waiting": modals.waiting([views.view()], "approved"),
}

STANDING = Standing(
    running=(views.view().run, views.view(RunState.VERIFYING).run),
    waiting=1,
    open_incidents=2,
    paused=("everything in shop until 14:00, by slack:U0ANNA: we deploy",),
)


class Demo:
    """A Slack, not started yet, with two people; `post` and the like fill it."""

    def __init__(self) -> None:
        self.slack = Slack(CHANNEL)
        self._now = BEGAN
        self.slack.now = self.now
        self.slack.person(ANNA, "Anna")
        self.slack.person(BERT, "Bert")
        self.slack.add_group(ONCALL, "sre-oncall", [ANNA, BERT])

    def now(self) -> datetime:
        """The demo's time: noon, and later with each message."""
        return self._now

    def post(
        self,
        said: blocks.Message,
        *,
        under: Message | None = None,
        broadcast: bool = False,
        after: timedelta = PACE,
    ) -> Message:
        """Post what the product says."""
        self._now += after
        arguments: dict[str, Any] = {
            "channel": CHANNEL,
            "text": said.text,
            "blocks": list(said.blocks),
        }
        if under is not None:
            arguments |= {"thread_ts": under.ts, "reply_broadcast": broadcast}
        answer = self.slack.api.methods["chat.postMessage"](arguments)
        message = self.slack.channel(CHANNEL).find(answer["ts"])
        assert message is not None
        return message

    def runs(self) -> Sequence[Message]:
        """Post every run that `golden` keeps."""
        return [self.post(blocks.run(one)) for one in RUNS.values()]

    def question(self) -> Message:
        """Post a question to the people on call."""
        return self.post(blocks.run(views.view(), ring=f"<!subteam^{ONCALL}>"))

    def story(self) -> Message:
        """Post one run from its question to its end, with its thread."""
        message = self.question()
        lines = (
            (NoteKind.STATE, "approved by slack:U0ANNA"),
            (NoteKind.STEP, "scale: replicas 4 → 6"),
            (NoteKind.STEP, "scale: 6 of 6 replicas are ready"),
            (NoteKind.STATE, "the alert cleared"),
        )
        for kind, words in lines:
            said = blocks.note(views.note(kind, words), RUNS["succeeded"], late=False)
            self.post(said, under=message, after=timedelta(minutes=1))
        done = blocks.run(RUNS["succeeded"])
        self.slack.api.edit(CHANNEL, message.ts, {"text": done.text, "blocks": list(done.blocks)})
        return message

    def storm(self, *, over: bool = False) -> Message:
        """Post a storm of sixty runs."""
        waiting, applying = RunState.AWAITING_APPROVAL, RunState.APPLYING
        first = tuple(
            StormRun(f"01kat8w2m4zq5rxhv7c3ne9d{n:02}", "pod-restart", f"pod shop/api-{n}", state)
            for n, state in enumerate((waiting, waiting, waiting, applying, applying))
        )
        made = Storm(
            id="storm-1",
            place=CHANNEL,
            began_at=BEGAN,
            closed_at=BEGAN + timedelta(minutes=9) if over else None,
            by_state={waiting: 12, applying: 9, RunState.SUCCEEDED: 41},
            by_runbook={"pod-restart": 50, "api-latency-scale-out": 12},
            first=first,
        )
        return self.post(storm.message(made, ring="" if over else f"<!subteam^{ONCALL}>"))

    def home(self) -> None:
        """Publish Anna's Home."""
        other = views.view(
            run={"id": "01kat8w2m4zq5rxhv7c3ne9dfh", "target": "node worker-3"},
            approval=views.approval(id="another-approval-id"),
        )
        view = home.page([views.view(), other], STANDING, "approved")
        self.slack.views.methods["views.publish"]({"user_id": ANNA, "view": view})

    def modal(self, name: str) -> None:
        """Open one of the app's modals before Anna."""
        self.slack.views.push(ANNA, MODALS[name], root=True)
