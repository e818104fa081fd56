"""Proves that what people do reaches the app as Slack hands it over, that they are shown what the
app answers, and that they read and are rung as in Slack. Over HTTP and over Socket Mode alike.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.servers.waiting import eventually_async
from tests.slack import mrkdwn as reading
from tests.slack.any_app import (
    AnyApp,
    Heard,
    actions,
    button,
    modal,
    mrkdwn,
    plain,
    section,
)
from tests.slack.fixtures import CHANNEL
from tests.slack.mrkdwn import Reader
from tests.slack.person import Person
from tests.slack.server import Slack
from tests.slack.workspace import Message

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
READER = Reader({"U0ANNA": "Anna", "S0ONCALL": "sre-oncall", "C01": "oncall"}, NOW)


@pytest_asyncio.fixture(params=["http", "socket"])
async def app(slack: Slack, request: pytest.FixtureRequest) -> AsyncIterator[AnyApp]:
    made = AnyApp(slack)
    await (made.listen() if request.param == "http" else made.connect())
    yield made
    await made.stop()


@pytest.fixture
def anna(slack: Slack) -> Person:
    return slack.person("U0ANNA", "Anna")


async def posted(app: AnyApp, *blocks: Any, text: str = "x", **more: Any) -> Message:
    await app.web.chat_postMessage(channel=CHANNEL, text=text, blocks=list(blocks), **more)
    return app.slack.channel(CHANNEL).everything[-1]


async def test_a_press_says_who_where_and_what(app: AnyApp, anna: Person) -> None:
    message = await posted(app, actions(button("Approve", value="q1", style="primary")))
    click = await anna.press(message, "Approve")

    assert click is not None
    assert click.acknowledged
    heard = app.heard[-1]
    assert heard["user"]["id"] == "U0ANNA"
    assert heard["container"]["message_ts"] == heard["message"]["ts"] == message.ts
    assert heard["channel"]["id"] == CHANNEL
    assert heard["actions"][0]["value"] == "q1"


async def test_a_confirmation_that_is_declined_sends_nothing(app: AnyApp, anna: Person) -> None:
    sure = {"title": plain("?"), "text": plain("?"), "confirm": plain("Yes"), "deny": plain("No")}
    message = await posted(app, actions(button("Cancel", confirm=sure)))

    assert await anna.press(message, "Cancel", sure=False) is None
    assert app.heard == []
    assert await anna.press(message, "Cancel") is not None
    with pytest.raises(AssertionError, match="no button 'Approve'"):
        await anna.press(message, "Approve")


async def test_an_option_is_chosen_by_what_stands_on_it(app: AnyApp, anna: Person) -> None:
    menu = {"type": "overflow", "action_id": "more", "options": [
        {"text": plain("1 hour"), "value": "1"}, {"text": plain("4 hours"), "value": "4"}
    ]}  # fmt: skip
    message = await posted(app, section("Snooze", accessory=menu))
    await anna.choose(message, "4 hours")

    assert app.heard[-1]["actions"][0]["selected_option"]["value"] == "4"


async def test_a_private_answer_can_be_pressed_and_replaced(app: AnyApp, anna: Person) -> None:
    blocks = [section("Really?"), actions(button("Yes"))]
    await app.web.chat_postEphemeral(channel=CHANNEL, user="U0ANNA", text="x", blocks=blocks)
    (private,) = anna.private
    click = await anna.press(private, "Yes")
    assert click is not None
    assert app.heard[-1]["container"]["is_ephemeral"]
    assert "message" not in app.heard[-1]
    body = {"replace_original": True, "text": "done", "blocks": []}
    app.slack.delivery.answer(CHANNEL, private.ts, "U0ANNA", body)

    assert [one.words for one in anna.private] == ["done"]


@pytest.mark.parametrize(
    ("answer", "private", "public"),
    [
        ("2 runs", ["2 runs"], []),
        ({"text": "2 runs"}, ["2 runs"], []),
        ({"response_type": "in_channel", "text": "2 runs"}, [], ["2 runs"]),
        ({"blocks": [section("*2* runs")], "text": "x"}, ["2 runs"], []),
        (None, [], []),
    ],
)
async def test_a_command_is_answered_to_whom_the_app_says(
    app: AnyApp, anna: Person, answer: Any, private: list[str], public: list[str]
) -> None:
    if app.slack.socket_mode and isinstance(answer, str):
        answer = {"text": answer}
    app.answers.append(answer)
    click = await anna.command("/remediator", "status")

    assert click.acknowledged
    assert app.heard[-1]["command"] == "/remediator"
    assert app.heard[-1]["text"] == "status"
    assert [one.shown for one in anna.private] == private
    assert [one.shown for one in app.slack.channel(CHANNEL).messages] == public


async def test_an_answer_to_a_command_is_held_to_the_limits(app: AnyApp, anna: Person) -> None:
    app.answers.append({"text": "x", "blocks": [section("x" * 3001)]})
    await anna.command("/remediator")

    assert anna.private == []
    assert "invalid_blocks" in anna.faults[0]


async def test_names_in_a_command_are_escaped_where_the_app_asks(app: AnyApp, anna: Person) -> None:
    app.slack.app.commands = {"/remediator": True}
    await anna.command("/remediator", "run <x> for @Anna")

    assert app.heard[-1]["text"] == "run &lt;x&gt; for <@U0ANNA|Anna>"


async def test_a_command_may_open_a_modal(app: AnyApp, anna: Person) -> None:
    await anna.command("/remediator", "run")
    trigger = app.heard[-1]["trigger_id"]
    await app.web.views_open(trigger_id=trigger, view=modal(section("Which?")))

    assert anna.shown(anna.modal) == "A modal\nWhich?"


async def test_shortcuts_are_global_or_about_a_message(app: AnyApp, anna: Person) -> None:
    app.slack.app.shortcuts = {"status": "global", "about": "message"}
    message = await posted(app, section("x"))
    await anna.shortcut("status")
    await anna.shortcut("about", message)

    assert [(one["type"], one["callback_id"]) for one in app.heard] == [
        ("shortcut", "status"),
        ("message_action", "about"),
    ]
    assert "response_url" not in app.heard[0]
    assert app.heard[1]["message"]["ts"] == message.ts
    with pytest.raises(AssertionError, match="no such shortcut"):
        await anna.shortcut("about")


async def test_an_app_that_does_not_answer_is_seen_to_fail(slack: Slack, anna: Person) -> None:
    slack.socket_mode = True
    click = await anna.command("/remediator")

    assert not click.acknowledged
    assert anna.faults == ["/remediator failed because the app did not respond"]


async def test_a_home_tab_that_the_app_does_not_watch_is_silent(app: AnyApp, anna: Person) -> None:
    app.slack.app.events = set()

    assert await anna.open_home() is None
    assert app.heard == []


async def test_whom_a_message_rings(app: AnyApp, anna: Person, slack: Slack) -> None:
    bert = slack.person("U0BERT")
    slack.add_group("S0ONCALL", "sre-oncall", ["U0BERT"])
    first = await posted(app, section("<@U0ANNA> look"), text="look")
    await posted(app, section("<!subteam^S0ONCALL> you too"), text="you too")
    await posted(app, section("&lt;!channel&gt; is only written"), text="quiet")
    await posted(app, section("nobody"), text="nobody", thread_ts=first.ts, reply_broadcast=True)
    anna.say(CHANNEL, "I look", under=first)
    await posted(app, section("thanks"), text="thanks", thread_ts=first.ts)
    await app.web.chat_update(
        channel=CHANNEL, ts=first.ts, text="x", blocks=[section("<!channel> edited")]
    )
    await posted(app, section("<!here>"), text="all of you")

    assert [one.text for one in anna.notifications] == ["look", "thanks", "all of you"]
    assert [one.text for one in bert.notifications] == ["you too", "all of you"]


async def test_words_that_are_not_verbatim_mention_by_themselves(app: AnyApp) -> None:
    loose = {"type": "section", "text": {"type": "mrkdwn", "text": "tell @channel"}}

    assert (await posted(app, loose)).mentions == ["!channel"]
    assert (await posted(app, section("tell @channel"))).mentions == []
    assert (await posted(app, section("see <#C01> and <!subteam^S1|x>"))).mentions == [
        "!subteam^S1|x"
    ]


async def test_a_message_is_shown_as_people_see_it(app: AnyApp, anna: Person) -> None:
    message = await posted(
        app,
        {"type": "header", "text": plain(":warning: Approval needed")},
        {"type": "section", "fields": [mrkdwn("*Impact:* 2 of 4 &amp; more"), mrkdwn("_soon_")]},
        {"type": "divider"},
        section("<https://example.com/a|Graph> for <@U0ANNA>", accessory=button("Show plan")),
        {"type": "image", "image_url": "https://x/y.png", "alt_text": "a graph"},
        {"type": "context", "elements": [mrkdwn("`run-1`"), plain("4 replicas")]},
        actions(button("Approve"), button("Deny")),
    )

    assert message.shown.splitlines() == [
        "⚠️ Approval needed",
        "Impact: 2 of 4 & more",
        "soon",
        "———",
        "Graph for @Anna",
        "[Show plan]",
        "[a graph]",
        "run-1",
        "4 replicas",
        "[Approve] [Deny]",
    ]
    assert anna.id in message.mentions[0]


@pytest.mark.parametrize(
    ("text", "words", "markup"),
    [
        ("*bold* _it_ ~no~", "bold it no", "<strong>bold</strong> <em>it</em> <del>no</del>"),
        ("2*3*4 snake_case_x", "2*3*4 snake_case_x", "2*3*4 snake_case_x"),
        ("*a _b_ c*", "a b c", "<strong>a <em>b</em> c</strong>"),
        ("`*x* &lt;y&gt;`", "*x* <y>", "<code>*x* &lt;y&gt;</code>"),
        ("a\n```\n- 4\n+ 6\n```\nb", "a\n- 4\n+ 6\nb", "a<pre>- 4\n+ 6</pre>b"),
        ("> one\n> two\nend", "one\ntwo\nend", "<blockquote>one<br>two</blockquote>end"),
        ("<//x?a&amp;b|a &gt; b>", "a > b", '<a href="//x?a&amp;b">a &gt; b</a>'),
        ("<@U0ANNA> <!subteam^S0ONCALL>", "@Anna @sre-oncall", None),
        ("<#C01> <!here>", "#oncall @here", None),
        (":wrench: :unknown:", "🔧 :unknown:", None),
        ("&lt;!channel&gt; &amp;amp;", "<!channel> &amp;", "&lt;!channel&gt; &amp;amp;"),
        ("<!date^1795523400^{date_short_pretty} {time}|then>", "Today 12:30", None),
        ("<!date^1795609800^{date_short_pretty}|then>", "Tomorrow", None),
        ("<!date^1795523400^{date_num} {time_secs}|x>", "2026-11-24 12:30:00", None),
        ("<!date^1795523400^{ago}|x>", "in 30 minutes", None),
        ("<!date^soon^{time}|then>", "then", None),
        ("<script>alert(1)</script>", "scriptalert(1)/script", None),
    ],
)  # fmt: skip
def test_mrkdwn_is_read_as_slack_reads_it(text: str, words: str, markup: str | None) -> None:
    nodes = reading.parse(text)

    assert reading.plain(nodes, READER) == words
    if markup is not None:
        assert reading.markup(nodes, READER) == markup
    assert "<script" not in reading.markup(nodes, READER)


async def test_an_event_that_fails_over_http_is_sent_again_with_its_number(
    slack: Slack, anna: Person
) -> None:
    app = AnyApp(slack)
    await app.listen()
    try:
        app.status = 500
        first = await anna.open_home()
        await eventually_async(lambda: len(app.heard) == 2, 5, what="the event at once again")
        slack.clock.advance(60.0)
        await eventually_async(lambda: len(app.heard) == 3, 5, what="the event after a minute")
        app.status = 200
        slack.clock.advance(240.0)
        await eventually_async(lambda: len(app.heard) == 4, 5, what="the event after five")
    finally:
        await app.stop()

    assert first is not None
    assert not first.acknowledged
    assert len({one["event_id"] for one in app.heard}) == 1
    assert app.retries == [(number, "http_error") for number in ("1", "2", "3")]


async def test_a_url_for_events_proves_itself_by_the_challenge(slack: Slack) -> None:
    app = AnyApp(slack)
    await app.listen()
    try:
        app.answers.append({"challenge": "guess"})
        assert not await slack.delivery.verify()

        async def echo(heard: Heard) -> None:
            app.answers.append({"challenge": heard["challenge"]})

        app.does = echo
        assert await slack.delivery.verify()
    finally:
        await app.stop()


async def test_a_response_url_works_five_times_within_thirty_minutes(
    app: AnyApp, anna: Person
) -> None:
    message = await posted(app, section("x"), actions(button("Go")))

    async def answer(url: str, **body: Any) -> int:
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
            return response.status

    first = await anna.press(message, "Go")
    assert first is not None
    body = {"text": "y", "replace_original": True, "blocks": [section("replaced")]}
    assert await answer(first.response_url, **body) == 200
    assert message.shown == "replaced"
    for number in range(4):
        assert await answer(first.response_url, text=f"{number}") == 200
    assert await answer(first.response_url, text="6") == 404
    assert [one.text for one in anna.private] == ["0", "1", "2", "3"]
    again = await anna.command("/remediator")
    assert await answer(again.response_url, text="x", blocks=[{"type": "knob"}]) == 400
    assert await answer(again.response_url, text="loud", response_type="in_channel") == 200
    app.slack.clock.advance(30 * 60)
    assert await answer(again.response_url, text="late") == 404
    assert [one.text for one in app.slack.channel(CHANNEL).messages] == ["y", "loud"]
