"""Proves what people see in the channel: one message for each run, edited in place, a thread that
follows it, a ring only when a person is needed; and that nothing is lost or told twice while Slack
is down, throttles us, or has lost the message. Over HTTP, against the loopback Slack.
"""

from datetime import timedelta

import pytest

from remediator.clients import errors
from remediator.clients.slack.client import SlackClient
from remediator.model.approvals import ApprovalStatus
from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState, StepState
from remediator.model.views import NoteKind
from remediator.notify.slack.notifier import Slack as SlackNotifier
from remediator.plugin import registry
from remediator.plugin.notifier import Undelivered
from tests.notify.context import GivenContext
from tests.notify.views import T0, approval, approved, note, step, view
from tests.slack.conftest import App, settings
from tests.slack.server import Outage, Slack


def test_is_found_by_the_registry() -> None:
    found = registry.load(["remediator.notify"], third_party=False).notifiers["slack"]

    assert list(found.callback_paths) == [
        "/slack/interactions",
        "/slack/commands",
        "/slack/events",
    ]
    assert not found.escalates


async def test_the_first_note_posts_one_message_with_all_that_one_needs_to_decide(app: App) -> None:
    message = await app.ask()

    for expected in (
        "Approval needed: api-latency-scale-out",
        "deployment shop/api: spec.replicas: 4 → 6",
        "Impact:* 2 pods of 4 (50%), 2 pods start",
        "Way back:* replicas 6 → 4",
        "✋ *mode:* the runbook's mode is approve",
        "`sre-oncall`, @U0ANNA",
        "1 approval, 0 given",
        "2026-11-24 12:30 UTC",
        "`HighLatency`",
    ):
        assert expected in message.words, expected
    labels = [b["text"]["text"] for b in message.buttons]
    assert labels == ["Approve", "Deny", "Show plan", "Snooze", "Cancel"]
    assert {b["value"] for b in message.buttons[:4]} == {"0paque-approval-id"}
    assert "<!date^1795523400^{date_short_pretty} {time}|" in message.raw
    assert "deployment shop/api: replicas 4 → 6" in message.text
    assert app.server.calls == ["chat.postMessage"]
    assert app.thread == []


async def test_later_notes_edit_the_message_and_write_into_its_thread(app: App) -> None:
    message = await app.ask()
    await app.tell(approved(), note(text="approved by slack:U0ANNA"))
    done = approved(
        RunState.SUCCEEDED,
        steps=(step(state=StepState.DONE, message="6 of 6 replicas are ready"),),
        run={"message": "the alert cleared"},
    )
    await app.tell(done, note(NoteKind.STEP, "scale: 6 of 6 replicas are ready"))
    await app.tell(done, note(text="the alert cleared"))

    assert app.message is message
    assert message.buttons == [], "it has ended"
    for expected in (
        "✅ Succeeded: api-latency-scale-out",
        "@U0ANNA approved · 2026-11-24 12:01 UTC",
        "*Succeeded*: the alert cleared",
        "Took 4m12s",
    ):
        assert expected in message.words, expected
    assert [reply.words for reply in app.thread] == [
        "🔹 approved by @U0ANNA",
        "🔧 scale: 6 of 6 replicas are ready",
        "🔹 the alert cleared",
    ]
    assert len(app.channel.messages) == 1


async def test_an_edit_that_would_change_nothing_is_spared(app: App) -> None:
    await app.tell(approved())
    await app.tell(approved(), note(NoteKind.STEP))
    await app.tell(approved(RunState.VERIFYING), note(NoteKind.STATE))

    assert app.server.calls.count("chat.update") == 1
    assert app.message.edits == 1


async def test_only_an_escalation_and_a_new_question_ring_in_the_channel(app: App) -> None:
    await app.tell(view(RunState.PLANNING))
    await app.tell(view(), note(NoteKind.APPROVAL, "asks for approval"))
    await app.tell(view(), note(NoteKind.STATE, "waits"))
    await app.tell(approved(RunState.FAILED), note(NoteKind.ESCALATION, "failed: not healthy"))

    rung = [m.words for m in app.channel.messages if m.broadcast]
    assert rung == ["✋ asks for approval", "🚨 failed: not healthy"]
    assert [m.words for m in app.thread] == [
        "✋ asks for approval",
        "🔹 waits",
        "🚨 failed: not healthy",
    ]


async def test_a_question_that_the_message_was_posted_with_does_not_ring_again(app: App) -> None:
    await app.tell(view(), note(NoteKind.STATE, "waits"))
    await app.tell(view(), note(NoteKind.APPROVAL, "asks for approval"))
    again = view(approval=approval(id="second", asked_because="the plan changed"))
    await app.tell(again, note(NoteKind.APPROVAL, "asks again"))

    assert [m.words for m in app.thread] == ["✋ asks again"]
    assert app.message.button("Approve")["value"] == "second"


async def test_an_escalation_as_the_first_note_is_one_message(app: App) -> None:
    await app.tell(view(RunState.FAILED), note(NoteKind.ESCALATION, "failed: nobody is left"))

    assert "🚨 *failed: nobody is left*" in app.message.words
    assert "failed: nobody is left" in app.message.text
    assert app.server.calls == ["chat.postMessage"]


async def test_one_failure_is_said_once(app: App) -> None:
    await app.tell(approved())
    wrong = "s: ended with exit status 1"
    failed = approved(RunState.FAILED)
    await app.tell(approved(), note(NoteKind.STEP, wrong))
    await app.tell(approved(RunState.UNDOING), note(text=wrong))
    await app.tell(failed, note(NoteKind.ESCALATION, f"b failed: {wrong}; s stays: it has no undo"))
    await app.tell(failed, note(text=f"{wrong}; s stays: it has no undo"))

    assert [m.words for m in app.thread] == [
        f"🔧 {wrong}",
        f"🚨 b failed: {wrong}; s stays: it has no undo",
    ]
    assert "Failed" in app.message.words


async def test_what_a_state_adds_to_the_last_line_is_said_alone(app: App) -> None:
    await app.tell(approved())
    await app.tell(approved(), note(NoteKind.STEP, "s: ended with exit status 1"))
    await app.tell(
        approved(RunState.FAILED), note(text="s: ended with exit status 1; s stays: no undo")
    )
    await app.tell(approved(RunState.FAILED), note(NoteKind.STEP, "s stays: no undo"))

    assert [m.words for m in app.thread] == [
        "🔧 s: ended with exit status 1",
        "🔹 s stays: no undo",
        "🔧 s stays: no undo",
    ]


async def test_a_note_that_comes_late_says_when_it_was(app: App) -> None:
    await app.tell(approved())
    app.context.at = T0 + timedelta(minutes=10)
    await app.tell(approved(), note(NoteKind.STEP, "applied"))

    assert app.thread[0].words == "🔧 applied · 2026-11-24 12:00 UTC"


async def test_late_notes_about_one_question_ring_once(app: App) -> None:
    await app.tell(view(RunState.PLANNING))
    await app.tell(view(), note(NoteKind.APPROVAL, "asks for approval"))
    await app.tell(view(), note(NoteKind.APPROVAL, "asks for approval, the plan changed"))

    assert [m.words for m in app.thread] == ["✋ asks for approval"]


@pytest.mark.parametrize("status", [s for s in ApprovalStatus if s is not ApprovalStatus.OPEN])
async def test_a_question_that_is_closed_can_not_be_answered(
    app: App, status: ApprovalStatus
) -> None:
    message = await app.ask()
    await app.tell(view(approval=approval(status=status)))

    assert [b["text"]["text"] for b in message.buttons] == ["Show plan", "Cancel"]


async def test_a_message_that_somebody_deleted_is_posted_again(app: App) -> None:
    first = await app.ask()
    app.channel.delete(first)
    await app.tell(approved(), note(NoteKind.STEP, "applied"))
    second = app.message
    app.channel.delete(second)
    await app.tell(approved(), note(NoteKind.STEP, "settled"))

    assert app.message.ts not in (first.ts, second.ts)
    assert app.ref is not None
    assert app.ref["ts"] == app.message.ts
    assert "the run's message is gone from Slack; posting it again" in app.context.log.events


@pytest.mark.parametrize("kind", ["refuse", "500"])
async def test_while_slack_is_down_notes_are_undelivered_and_none_is_lost(
    app: App, kind: Outage
) -> None:
    await app.ask()
    await app.server.outage(kind)

    with pytest.raises(Undelivered, match=r"chat\.update"):
        await app.tell(approved(), note(NoteKind.STEP, "applied"))

    await app.server.recover()
    await app.tell(approved(), note(NoteKind.STEP, "applied"))
    assert "Applying" in app.message.words
    assert [m.words for m in app.thread] == ["🔧 applied"]


async def test_slack_that_never_answers_is_undelivered(app: App) -> None:
    await app.server.outage("hang")
    impatient = SlackClient(settings(app.server), timeout_s=0.2)
    app.context.clients = {SlackClient: impatient}

    with pytest.raises(Undelivered, match=r"no answer within 0\.2s"):
        await app.tell(view())

    await app.server.recover()
    await app.tell(view())
    await impatient.close()
    assert "Approval needed" in app.message.words


async def test_a_throttle_is_undelivered_until_slack_wants_us_back(app: App) -> None:
    app.server.throttle(42)

    with pytest.raises(Undelivered, match="ratelimited") as caught:
        await app.ask()

    assert caught.value.after == timedelta(seconds=42)
    app.server.throttle(None)
    app.server.clock.advance(42)
    await app.ask()
    assert len(app.channel.messages) == 1


async def test_a_thread_line_that_was_throttled_is_told_once_in_the_end(app: App) -> None:
    await app.ask()
    app.server.limit(0.5)
    applied = note(NoteKind.STEP, "applied")

    with pytest.raises(Undelivered) as caught:
        await app.tell(approved(), applied)

    assert caught.value.after == timedelta(seconds=1)
    app.server.limit(None)
    await app.tell(approved(), applied)
    assert [m.words for m in app.thread] == ["🔧 applied"]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"bot_token": "xoxb-revoked"}, r"invalid_auth: check slack\.bot_token"),
        ({"bot_token": None}, r"set slack\.bot_token"),
        ({"channel": "C0GONE"}, r"channel_not_found: a channel is named by its id"),
        ({"api_url": "gopher://x/"}, r"slack\.api_url"),
    ],
)
async def test_what_an_operator_must_repair_waits_a_minute_and_says_what_to_do(
    app: App, broken: dict[str, str | None], says: str
) -> None:
    app.context.clients = {SlackClient: SlackClient(settings(app.server, **broken))}
    try:
        with pytest.raises(Undelivered, match=says) as caught:
            await app.ask()
    finally:
        await app.context.client(SlackClient).close()

    assert caught.value.after == timedelta(minutes=1)
    assert "xoxb" not in str(caught.value)
    assert app.channel.messages == []


async def test_an_app_that_is_not_invited_or_lacks_its_scope_says_so(app: App) -> None:
    app.channel.invited = False
    with pytest.raises(Undelivered, match=r"not_in_channel: invite the app"):
        await app.ask()
    app.channel.invited = True
    app.server.scopes.clear()
    with pytest.raises(Undelivered, match=r"missing_scope: give the app the scope chat:write"):
        await app.ask()


async def test_a_run_follows_to_the_channel_that_is_configured_by_now(slack: Slack) -> None:
    old = await _told_to(slack, "C0OLD", None)
    slack.channel("C0OLD").archived = True
    new = await _told_to(slack, "C0NEW", old)

    assert new["channel"] == "C0NEW"
    assert len(slack.channel("C0NEW").messages) == 1


async def _told_to(server: Slack, channel: str, ref: JSONObject | None) -> JSONObject:
    server.add(channel)
    client = SlackClient(settings(server, channel=channel))
    try:
        told = await SlackNotifier().announce(
            note(), approved(), ref, GivenContext({SlackClient: client}, T0)
        )
    finally:
        await client.close()
    assert told is not None
    return told


async def test_blocks_that_slack_refuses_name_the_fault(app: App) -> None:
    with pytest.raises(errors.Refused, match="must be less than 3001 characters"):
        await app.client.post(
            "x", [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
        )
