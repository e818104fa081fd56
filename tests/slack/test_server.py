"""Proves that the loopback Slack refuses what the real one refuses, so that tests which pass
against it mean something: tokens, scopes, channels, threads, metadata, user groups, Block Kit.
Called with slack_sdk, as an app would. Views, Socket Mode, people and troubles have own files.
"""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.slack import blockkit
from tests.slack.fixtures import CHANNEL
from tests.slack.server import BOT_TOKEN, Slack


@pytest_asyncio.fixture
async def web(slack: Slack) -> AsyncIterator[AsyncWebClient]:
    yield client(slack)


@pytest.fixture(autouse=True)
def _few_rights(slack: Slack) -> None:
    """The app may post; a test that needs more says so."""
    slack.scopes.intersection_update({"chat:write"})


def client(slack: Slack, token: str | None = BOT_TOKEN) -> AsyncWebClient:
    made = AsyncWebClient(token=token, base_url=slack.api_url, retry_handlers=[])
    made.proxy = None
    return made


async def error_of(call: Any) -> str:
    """Await a call that must fail, and return Slack's code for it."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_a_token_is_checked(slack: Slack, web: AsyncWebClient) -> None:
    assert (await web.auth_test())["team_id"] == "T01"
    assert await error_of(client(slack, "xoxb-other").auth_test()) == "invalid_auth"
    assert await error_of(client(slack, None).auth_test()) == "not_authed"


async def test_scopes_channels_and_membership_are_checked(
    slack: Slack, web: AsyncWebClient
) -> None:
    assert await error_of(web.chat_postMessage(channel="C0", text="x")) == "channel_not_found"
    assert await error_of(web.conversations_history(channel=CHANNEL)) == "missing_scope"
    slack.channel(CHANNEL).archived = True
    assert await error_of(web.chat_postMessage(channel=CHANNEL, text="x")) == "is_archived"
    slack.channel(CHANNEL).archived, slack.channel(CHANNEL).invited = False, False
    assert await error_of(web.chat_postMessage(channel=CHANNEL, text="x")) == "not_in_channel"


async def test_messages_and_threads_are_found_or_not(slack: Slack, web: AsyncWebClient) -> None:
    slack.scopes.add("channels:history")
    first = await web.chat_postMessage(channel=CHANNEL, text="first")
    await web.chat_postMessage(channel=CHANNEL, text="reply", thread_ts=first["ts"])
    await web.chat_postMessage(channel=CHANNEL, text="second")

    history = await web.conversations_history(channel=CHANNEL)
    replies = await web.conversations_replies(channel=CHANNEL, ts=first["ts"])
    assert [m["text"] for m in history["messages"]] == ["second", "first"]
    assert [m["text"] for m in replies["messages"]] == ["first", "reply"]
    missing = web.chat_update(channel=CHANNEL, ts="1.000001", text="x")
    assert await error_of(missing) == "message_not_found"
    orphan = web.chat_postMessage(channel=CHANNEL, text="x", thread_ts="1.000001")
    assert await error_of(orphan) == "thread_not_found"
    slack.channel(CHANNEL).messages[0].user = "U0ANNA"
    foreign = web.chat_update(channel=CHANNEL, ts=first["ts"], text="x")
    assert await error_of(foreign) == "cant_update_message"


async def test_a_private_channel_is_unknown_to_who_is_not_in_it(
    slack: Slack, web: AsyncWebClient
) -> None:
    secret = slack.add("G0SECRET", name="secret", private=True)
    slack.scopes.add("channels:history")
    await web.chat_postMessage(channel="G0SECRET", text="x")
    assert await error_of(web.conversations_history(channel="G0SECRET")) == "missing_scope"
    slack.scopes.add("groups:history")
    assert len((await web.conversations_history(channel="G0SECRET"))["messages"]) == 1
    secret.invited = False
    hidden = web.chat_postMessage(channel="G0SECRET", text="x")
    assert await error_of(hidden) == "channel_not_found"


async def test_a_public_channel_needs_no_invitation_with_the_scope_for_it(
    slack: Slack, web: AsyncWebClient
) -> None:
    slack.channel(CHANNEL).invited = False
    slack.scopes.add("chat:write.public")

    assert (await web.chat_postMessage(channel=CHANNEL, text="x"))["ok"]
    slack.scopes.add("channels:history")
    assert await error_of(web.conversations_history(channel=CHANNEL)) == "not_in_channel"


async def test_a_missing_scope_says_what_is_needed_and_what_is_there(
    slack: Slack, web: AsyncWebClient
) -> None:
    with pytest.raises(SlackApiError) as caught:
        await web.usergroups_users_list(usergroup="S1")

    body = caught.value.response
    assert (body["needed"], body["provided"]) == ("usergroups:read", "chat:write")
    assert body.headers["X-OAuth-Scopes"] == "chat:write"


async def test_user_groups_list_their_members(slack: Slack, web: AsyncWebClient) -> None:
    slack.scopes.update({"usergroups:read", "users:read"})
    group = slack.add_group("S0ONCALL", "sre-oncall", ["U0ANNA", "U0BERT"])

    assert (await web.usergroups_users_list(usergroup="S0ONCALL"))["users"] == ["U0ANNA", "U0BERT"]
    (listed,) = (await web.usergroups_list(include_users=True))["usergroups"]
    assert (listed["handle"], listed["users"]) == ("sre-oncall", ["U0ANNA", "U0BERT"])
    assert await error_of(web.usergroups_users_list(usergroup="S0")) == "no_such_subteam"
    group.disabled = True
    gone = web.usergroups_users_list(usergroup="S0ONCALL")
    assert await error_of(gone) == "no_such_subteam"
    assert (await web.usergroups_list())["usergroups"] == []
    assert (await web.users_info(user="U0ANNA"))["user"]["id"] == "U0ANNA"
    assert await error_of(web.users_info(user="U0")) == "user_not_found"


async def test_metadata_is_shown_to_who_asks_for_it(slack: Slack, web: AsyncWebClient) -> None:
    slack.scopes.add("channels:history")
    about = {"event_type": "run", "event_payload": {"note": "n1"}}
    first = await web.chat_postMessage(channel=CHANNEL, text="x", metadata=about)
    await web.chat_postMessage(channel=CHANNEL, text="y", thread_ts=first["ts"], metadata=about)

    plain = await web.conversations_history(channel=CHANNEL)
    history = await web.conversations_history(channel=CHANNEL, include_all_metadata=True)
    replies = await web.conversations_replies(
        channel=CHANNEL, ts=first["ts"], include_all_metadata=True
    )
    assert "metadata" not in plain["messages"][0]
    assert history["messages"][0]["metadata"] == about
    assert history["messages"][0]["reply_count"] == 1
    assert [one["metadata"] for one in replies["messages"]] == [about, about]


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"event_type": "run"}, "invalid_metadata_format"),
        ({"event_type": "a run", "event_payload": {}}, "invalid_metadata_schema"),
        ({"event_type": "run", "event_payload": []}, "invalid_metadata_schema"),
        ({"event_type": "run", "event_payload": {"x": "x" * 16_000}}, "metadata_too_large"),
    ],
)
async def test_metadata_that_slack_does_not_take(
    web: AsyncWebClient, metadata: dict[str, Any], code: str
) -> None:
    post = web.chat_postMessage(channel=CHANNEL, text="x", metadata=metadata)

    assert await error_of(post) == code


async def test_history_is_read_page_by_page_and_from_a_time(
    slack: Slack, web: AsyncWebClient
) -> None:
    slack.scopes.add("channels:history")
    posted = [
        (await web.chat_postMessage(channel=CHANNEL, text=f"{number}"))["ts"] for number in range(5)
    ]

    first = await web.conversations_history(channel=CHANNEL, limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    second = await web.conversations_history(channel=CHANNEL, limit=2, cursor=cursor)
    since = await web.conversations_history(channel=CHANNEL, oldest=posted[2])
    including = await web.conversations_history(channel=CHANNEL, oldest=posted[2], inclusive=True)
    assert [m["text"] for m in first["messages"]] == ["4", "3"]
    assert [m["text"] for m in second["messages"]] == ["2", "1"]
    assert [m["text"] for m in since["messages"]] == ["4", "3"]
    assert [m["text"] for m in including["messages"]] == ["4", "3", "2"]
    assert await error_of(web.conversations_history(channel=CHANNEL, limit=1000)) == "invalid_limit"


async def test_a_reply_goes_under_a_message_and_not_under_a_reply(
    slack: Slack, web: AsyncWebClient
) -> None:
    slack.scopes.add("channels:history")
    first = await web.chat_postMessage(channel=CHANNEL, text="first")
    reply = await web.chat_postMessage(channel=CHANNEL, text="reply", thread_ts=first["ts"])
    deeper = web.chat_postMessage(channel=CHANNEL, text="x", thread_ts=reply["ts"])
    assert await error_of(deeper) == "cannot_reply_to_message"
    await web.chat_postMessage(
        channel=CHANNEL, text="loud", thread_ts=first["ts"], reply_broadcast=True
    )

    shown = await web.conversations_history(channel=CHANNEL)
    assert [m["text"] for m in shown["messages"]] == ["loud", "first"]
    assert shown["messages"][0]["subtype"] == "thread_broadcast"


async def test_an_edit_keeps_the_blocks_that_it_does_not_name(
    slack: Slack, web: AsyncWebClient
) -> None:
    blocks = [{"type": "divider"}]
    posted = await web.chat_postMessage(channel=CHANNEL, text="x", blocks=blocks)
    (message,) = slack.channel(CHANNEL).messages
    await web.chat_update(channel=CHANNEL, ts=posted["ts"], text="y")

    assert (message.text, message.blocks, message.edits) == ("y", blocks, 1)
    await web.chat_update(channel=CHANNEL, ts=posted["ts"], text="y", blocks=[])
    assert message.blocks == []
    long = web.chat_update(channel=CHANNEL, ts=posted["ts"], text="x" * 4001)
    assert await error_of(long) == "msg_too_long"
    too_long = web.chat_postMessage(channel=CHANNEL, text="x" * 40_001)
    assert await error_of(too_long) == "msg_too_long"


async def test_an_app_deletes_its_own_messages_only(slack: Slack, web: AsyncWebClient) -> None:
    mine = await web.chat_postMessage(channel=CHANNEL, text="x")
    hers = slack.person("U0ANNA").say(CHANNEL, "hello")
    await web.chat_delete(channel=CHANNEL, ts=mine["ts"])

    assert slack.channel(CHANNEL).messages == [hers]
    foreign = web.chat_delete(channel=CHANNEL, ts=hers.ts)
    assert await error_of(foreign) == "cant_delete_message"
    gone = web.chat_delete(channel=CHANNEL, ts=mine["ts"])
    assert await error_of(gone) == "message_not_found"


async def test_private_words_are_for_somebody_who_is_there(
    slack: Slack, web: AsyncWebClient
) -> None:
    stranger = web.chat_postEphemeral(channel=CHANNEL, user="U0ANNA", text="x")
    assert await error_of(stranger) == "user_not_in_channel"
    anna = slack.person("U0ANNA")
    await web.chat_postEphemeral(channel=CHANNEL, user="U0ANNA", text="between us")

    assert [one.words for one in anna.private] == ["between us"]
    assert slack.channel(CHANNEL).messages == []


async def test_a_message_to_a_person_is_a_direct_one_and_rings(
    slack: Slack, web: AsyncWebClient
) -> None:
    anna = slack.person("U0ANNA")
    posted = await web.chat_postMessage(channel="U0ANNA", text="it waits for you")

    assert posted["channel"] == anna.direct.id
    assert [one.words for one in anna.direct.messages] == ["it waits for you"]
    assert [one.text for one in anna.notifications] == ["it waits for you"]


async def test_conversations_say_what_they_are_and_open_directly(
    slack: Slack, web: AsyncWebClient
) -> None:
    slack.scopes.update({"channels:read", "im:write"})
    anna = slack.person("U0ANNA")
    slack.channel(CHANNEL).archived = True

    about = (await web.conversations_info(channel=CHANNEL))["channel"]
    assert (about["is_member"], about["is_archived"], about["is_im"]) == (True, True, False)
    opened = await web.conversations_open(users="U0ANNA")
    assert opened["channel"]["id"] == anna.direct.id
    assert await error_of(web.conversations_open(users="U0")) == "user_not_found"
    assert await error_of(web.conversations_info(channel=anna.direct.id)) == "missing_scope"


async def test_a_call_that_is_no_json_or_has_no_such_page_is_refused(
    slack: Slack, web: AsyncWebClient
) -> None:
    slack.scopes.add("channels:history")
    headers = {"Authorization": f"Bearer {slack.token}", "Content-Type": "application/json"}
    said = []
    async with aiohttp.ClientSession(headers=headers) as session:
        for body in ("{", "[]"):
            async with session.post(f"{slack.api_url}auth.test", data=body) as response:
                said.append((await response.json())["error"])
    blocks = web.api_call("chat.postMessage", data={"channel": CHANNEL, "blocks": "[{"})

    assert said == ["invalid_json", "json_not_object"]
    assert await error_of(blocks) == "invalid_arguments"
    cursor = web.conversations_history(channel=CHANNEL, cursor="guess")
    assert await error_of(cursor) == "invalid_cursor"


async def test_nothing_at_all_is_no_message(web: AsyncWebClient) -> None:
    assert await error_of(web.api_call("chat.postMessage", json={"channel": CHANNEL})) == "no_text"
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}
    together = web.chat_postMessage(channel=CHANNEL, text="x", blocks=[block] * 4)
    assert await error_of(together) == "msg_blocks_too_long"


def _mrkdwn(text: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": text}


def _plain(text: str) -> dict[str, object]:
    return {"type": "plain_text", "text": text}


def _button(**changes: object) -> dict[str, object]:
    button = {"type": "button", "text": _plain("b"), "action_id": "a", "value": "v", **changes}
    return {"type": "actions", "elements": [button]}


def _in_section(element: dict[str, Any]) -> dict[str, Any]:
    return {"type": "section", "text": _plain("x"), "accessory": element}


def _option(**changes: object) -> dict[str, object]:
    return {"text": _plain("x"), "value": "a", **changes}


def _overflow(count: int, **changes: object) -> dict[str, Any]:
    return {"type": "overflow", "options": [_option(**changes)] * count}


def _select(count: int, **changes: object) -> dict[str, Any]:
    return {"type": "static_select", "options": [_option()] * count, **changes}


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ({"type": "header", "text": _plain("x" * 151)}, "less than 151 characters"),
        ({"type": "header", "text": _mrkdwn("x")}, "type plain_text"),
        ({"type": "section"}, "missing required field: text"),
        ({"type": "section", "text": _mrkdwn("")}, "more than 0 characters"),
        ({"type": "section", "text": _mrkdwn("x" * 3001)}, "less than 3001 characters"),
        ({"type": "section", "text": "x"}, "must be a text object"),
        ({"type": "section", "fields": [_mrkdwn("x")] * 11}, "no more than 10 items"),
        ({"type": "section", "fields": [_mrkdwn("x" * 2001)]}, "less than 2001 characters"),
        ({"type": "context", "elements": []}, "at least one item"),
        ({"type": "context", "elements": [_mrkdwn("x")] * 11}, "no more than 10 items"),
        ({"type": "actions", "elements": [{"type": "knob"}]}, "unsupported element: knob"),
        ({"type": "actions", "elements": [{"type": "plain_text_input"}]}, "unsupported element"),
        ({"type": "actions", "elements": [_button()["elements"][0]] * 26}, "no more than 25"),  # type: ignore[index]  # a list
        (_in_section(_overflow(6)), "no more than 5 items"),
        (_in_section(_overflow(1, text=_plain("x" * 76))), "less than 76 characters"),
        (_in_section(_overflow(1, value="x" * 151)), "less than 151 characters"),
        (_in_section(_select(101)), "no more than 100 items"),
        (_in_section({"type": "static_select"}), "one of options and option_groups"),
        (_in_section(_select(1, placeholder=_plain("x" * 151))), "less than 151 characters"),
        (_in_section(_select(1, initial_option=_option(value="b"))), "one of the options"),
        (_in_section({"type": "checkboxes", "options": [_option()] * 11}), "no more than 10"),
        (_in_section({"type": "image", "image_url": "https://x"}), "required field: alt_text"),
        (_in_section({"type": "plain_text_input"}), "unsupported element: plain_text_input"),
        ({"type": "image", "alt_text": "x"}, "required field: image_url"),
        ({"type": "image", "image_url": "x" * 3001, "alt_text": "x"}, "less than 3001"),
        ({"type": "image", "image_url": "x", "alt_text": "x" * 2001}, "less than 2001"),
        ({"type": "input", "label": _plain("x")}, "required field: element"),
        ({"type": "section", "text": _plain("x"), "block_id": "x" * 256}, "less than 256"),
        (_button(value="x" * 2001), "less than 2001 characters"),
        (_button(action_id="x" * 256), "less than 256 characters"),
        (_button(style="loud"), "primary, danger"),
        (_button(text=_plain("x" * 76)), "less than 76 characters"),
        (_button(confirm={"title": _plain("t")}), "missing required field: confirm"),
        (_button(colour="red"), "additional property not allowed: colour"),
        ({"type": "actions", "elements": _button()["elements"] * 2}, "action_id must be unique"),  # type: ignore[operator]  # a list
        ({"type": "section", "text": {**_plain("x"), "verbatim": True}}, "not allowed: verbatim"),
        ({"type": "video"}, "unsupported type: video"),
        ("text", "unsupported type"),
    ],
)
def test_blocks_are_held_to_the_documented_limits(block: object, fault: str) -> None:
    assert fault in "\n".join(blockkit.faults([block]))


def test_good_blocks_have_no_fault_and_fifty_one_are_too_many() -> None:
    good = [{"type": "header", "text": _plain("x" * 150)}, {"type": "divider"}, _button()]

    assert blockkit.faults(good) == []
    focused = _in_section(_select(1, focus_on_load=True))
    assert blockkit.faults([focused] * 2) == [
        "only one element can have focus_on_load [json-pointer:/blocks]"
    ]
    same = [{"type": "divider", "block_id": "one"}] * 2
    assert blockkit.faults(same) == ["block_id must be unique [json-pointer:/blocks]"]
    assert blockkit.faults([{"type": "divider"}] * 51, "home") == []
    assert blockkit.faults([_in_section(_select(100)), _in_section(_overflow(5))]) == []
    assert blockkit.faults([{"type": "divider"}] * 51) == [
        "no more than 50 items allowed [json-pointer:/blocks]"
    ]
