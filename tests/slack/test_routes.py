"""Proves which channel a run is told in and whom it rings there: the first route that matches, by
the alert's labels, the runbook and its owner; that a run stays where its thread began; and that
nobody is rung but by a question, a reminder or an escalation. Over HTTP, to the loopback Slack.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from remediator.clients.slack.client import SlackClient
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.plugin.notifier import Undelivered
from remediator.settings import Settings, SettingsError, SlackRoute, doubts, load
from tests.notify.views import approved, note, view
from tests.slack.conftest import App, settings
from tests.slack.fixtures import CHANNEL
from tests.slack.workspace import Message

SHOP, DATABASE = "C0SHOPTEAM", "C0DBATEAM1"
GROUPS = {
    "shop-oncall": ("slack:U0SHOP1", "slack:U0SHOP2", "api:bot", "carol"),
    "dba": ("slack-group:S0DBA",),
}
ROUTES: tuple[dict[str, Any], ...] = (
    {"match": ('severity="critical", team="pay"', 'runbook=~"db-.*"'), "channel": DATABASE},
    {
        "match": ('owner="team-shop", namespace!="test"',),
        "channel": SHOP,
        "mention": ("shop-oncall",),
    },
    {"match": ('namespace="test"',), "mention": ()},
)


async def routed(app: App, **changes: Any) -> None:
    """Give the app these routes, and the channels that they name."""
    for channel in (SHOP, DATABASE):
        app.server.add(channel)
    routes = tuple(SlackRoute(**one) for one in ROUTES)
    given = settings(app.server, routes=routes, mention=("dba",), **changes)
    await app.client.close()
    people = {"carol": ("api:carol", "slack:U0CAROL")}
    app.client = SlackClient(given, GROUPS, people, monotonic=app.server.clock.now)
    app.context.clients = {SlackClient: app.client}


def told(app: App) -> dict[str, list[Message]]:
    """Return what each channel shows, where it shows anything."""
    channels = {name: app.server.channel(name).messages for name in (CHANNEL, SHOP, DATABASE)}
    return {name: messages for name, messages in channels.items() if messages}


@pytest.mark.parametrize(
    ("run", "channel"),
    [
        ({"owner": "team-shop"}, SHOP),
        ({"owner": "team-pay"}, CHANNEL),
        ({"labels": {"team": "pay", "severity": "critical"}, "owner": "team-shop"}, DATABASE),
        ({"labels": {"team": "pay", "severity": "warning"}, "owner": "x"}, CHANNEL),
        ({"run": {"runbook": "db-failover"}, "owner": "x"}, DATABASE),
        ({"labels": {"namespace": "test"}, "owner": "team-shop"}, CHANNEL),
        ({"labels": {"owner": "team-shop", "runbook": "db-x"}, "owner": "x"}, CHANNEL),
    ],
)
async def test_the_first_route_that_matches_says_where(
    app: App, run: dict[str, Any], channel: str
) -> None:
    await routed(app)
    await app.tell(approved(**run))

    assert list(told(app)) == [channel]
    assert app.notifier.place(approved(**run), None, app.context) == channel


async def test_a_run_by_hand_is_routed_by_its_own_labels(app: App) -> None:
    await routed(app)
    context = {"alert": {"labels": {"severity": "critical", "team": "pay"}}}
    await app.tell(approved(incident=None, run={"context": context}))

    assert list(told(app)) == [DATABASE]


async def test_a_run_stays_where_its_thread_began(app: App) -> None:
    await routed(app)
    await app.tell(view(RunState.PLANNING))
    await app.tell(approved(owner="somebody-else"), note(NoteKind.STEP, "applied"))

    assert list(told(app)) == [SHOP]
    assert app.notifier.place(approved(owner="x"), app.ref, app.context) == SHOP


async def test_only_when_a_person_is_needed_is_anybody_rung(app: App) -> None:
    await routed(app)
    await app.tell(view(RunState.PLANNING))
    await app.tell(view(), note(NoteKind.APPROVAL, "asks <!channel>"))
    await app.tell(view(), note(NoteKind.STEP, "went on"))
    await app.tell(view(), note(NoteKind.APPROVAL, "reminder: 10m are left"))
    await app.tell(approved(RunState.FAILED), note(NoteKind.ESCALATION, "failed"))
    await app.tell(approved(RunState.FAILED), note(NoteKind.STATE, "ended"))

    everything = app.server.channel(SHOP).everything
    rung = {m.words.split(" @")[0]: m.mentions for m in everything if m.mentions}
    both = ["@U0CAROL", "@U0SHOP1", "@U0SHOP2"]
    assert {words: who for words, who in rung.items() if who != ["@U0ANNA"]} == {
        "✋ asks <!channel>": both,
        "✋ reminder: 10m are left": both,
        "🚨 failed": both,
    }


async def test_a_question_that_comes_first_rings_with_the_message(app: App) -> None:
    await routed(app)
    await app.tell(view(owner="x"), note(NoteKind.APPROVAL, "asks"))
    (message,) = told(app)[CHANNEL]
    assert "!subteam^S0DBA" in message.mentions

    await app.tell(approved(owner="x"), note(NoteKind.STATE, "approved"))
    assert "!subteam^S0DBA" not in message.mentions, "an edit takes it away"


async def test_whoever_is_on_call_then_is_rung(app: App) -> None:
    await app.client.close()
    given = settings(app.server, mention=("sre",))
    groups = {"sre": ("schedule:primary", "schedule:other", "api:bot")}
    app.client = SlackClient(given, groups, monotonic=app.server.clock.now)
    app.context.clients = {SlackClient: app.client}

    async def on_call(names: Sequence[str]) -> Sequence[str]:
        return [{"schedule:primary": "slack:U0DUTY"}.get(name, "pagerduty:P1") for name in names]

    app.client.on_call = on_call
    await app.tell(view(RunState.PLANNING))
    assert app.message.mentions == []
    await app.tell(view(), note(NoteKind.APPROVAL, "asks"))

    assert app.thread[0].mentions == ["@U0DUTY"]


async def test_a_reminder_of_a_question_that_was_answered_is_not_told(app: App) -> None:
    await app.ask()
    await app.tell(approved(), note(NoteKind.APPROVAL, "reminder: 10m are left"))

    assert app.thread == []


async def test_a_wrong_channel_holds_up_no_other(app: App) -> None:
    await routed(app)
    app.server.channel(SHOP).invited = False

    with pytest.raises(Undelivered, match="not_in_channel") as caught:
        await app.tell(approved())
    assert caught.value.place == SHOP
    await app.tell(approved(owner="x"))
    assert list(told(app)) == [CHANNEL]


@pytest.mark.parametrize(
    ("slack", "says"),
    [
        ({"routes": [{"match": ["team"], "channel": SHOP}]}, "'team'"),
        ({"routes": [{"channel": "#oncall"}]}, "pattern"),
        ({"routes": [{"mention": ["shop-onkall"]}]}, "did you mean shop-oncall"),
        ({"mention": ["api:bob"]}, "can't be mentioned in Slack"),
        ({"routes": [{"chanel": SHOP}]}, "chanel"),
    ],
)
def test_settings_that_would_ring_nobody_are_refused(slack: dict[str, Any], says: str) -> None:
    with pytest.raises((ValidationError, SettingsError), match=says):
        load(None, groups=GROUPS, slack=slack)


def test_an_app_that_nobody_can_answer_is_doubted() -> None:
    def said(**slack: Any) -> str:
        return "; ".join(doubt for _, doubt in doubts(Settings(slack=slack)))

    bot = {"bot_token": "xoxb-1", "channel": CHANNEL}
    assert "neither app_token nor signing_secret" in said(**bot)
    assert said(**bot, app_token="xapp-1") == ""
    assert said(**bot, signing_secret="s") == ""
    assert "without a channel" in said(bot_token="xoxb-1", app_token="xapp-1")
    assert said() == ""
