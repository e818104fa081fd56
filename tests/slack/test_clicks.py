"""Proves who is let in: only what Slack signed, freshly, counts; only a person whom the desk knows
decides; a second click changes nothing; and the clicker always learns what became of it, unless
Slack's private answer no longer works, which harms nothing.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.clients.slack.client import SlackClient
from remediator.clients.slack.signing import signed
from remediator.model.approvals import Answer, DecisionOutcome
from remediator.notify.slack import interactions
from remediator.plugin.notifier import Answered
from tests.notify.views import APPROVAL_ID, T0
from tests.servers.waiting import eventually_async
from tests.slack import payloads
from tests.slack.conftest import App, settings


async def private(app: App, count: int = 1) -> list[str]:
    """Wait for so many private answers, and return them."""
    await eventually_async(
        lambda: len(app.server.private) >= count, 5, what=f"{count} private answers"
    )
    return [one.text for one in app.server.private]


async def test_a_click_decides_and_is_acknowledged_in_time(app: App) -> None:
    click = await app.server.click(await app.ask(), "Approve", user="U0ANNA")

    assert click.acknowledged
    assert click.body == b""
    assert app.desk.decided == [(APPROVAL_ID, "slack:U0ANNA", Answer.APPROVE, "slack")]
    assert len(await private(app)) == 1
    assert app.server.private[0].user == "U0ANNA"


async def test_a_click_by_somebody_who_may_not_is_told_who_may(app: App) -> None:
    click = await app.server.click(await app.ask(), "Approve", user="U0EVIL")

    assert click.acknowledged
    assert app.desk.decided == []
    assert await private(app) == [
        "Not counted: slack:U0EVIL may not decide this; it is for sre-oncall"
    ]


async def test_the_second_of_two_clicks_learns_that_it_was_late(app: App) -> None:
    message = (await app.ask()).as_seen()
    first = await app.server.click(message, "Approve", user="U0ANNA")
    again = await app.server.click(
        message, "Approve", user="U0BERT", headers={"X-Slack-Retry-Num": "1"}
    )

    assert first.acknowledged
    assert again.acknowledged
    assert len(app.desk.decided) == 1
    assert sorted(await private(app, 2)) == ["This had already been decided.", "approved."]


@pytest.mark.parametrize(
    "outcome", [DecisionOutcome.EXPIRED, DecisionOutcome.VOID, DecisionOutcome.UNKNOWN]
)
async def test_a_click_that_comes_too_late_gets_a_clear_sentence(
    app: App, outcome: DecisionOutcome
) -> None:
    app.desk.instead = Answered(outcome, f"It is {outcome.value}; nothing <changes>.")

    click = await app.server.click(await app.ask(), "Approve", user="U0ANNA")

    assert click.acknowledged
    assert await private(app) == [f"It is {outcome.value}; nothing &lt;changes&gt;."]


async def test_an_answer_that_could_not_be_stored_is_not_acknowledged(app: App) -> None:
    app.desk.broken = RuntimeError("the journal can't be written")

    click = await app.server.click(await app.ask(), "Approve", user="U0ANNA")

    assert click.status == 503
    assert not click.acknowledged
    (said,) = await private(app)
    assert "could not be stored" in said
    assert "journal" not in said


async def test_a_private_answer_that_slack_no_longer_takes_harms_nothing(app: App) -> None:
    message = await app.ask()
    first = await app.server.click(message, "Approve", user="U0ANNA")
    await private(app)
    for _ in range(5):
        app.client.answer_later(first.response_url, "again")
    await private(app, 5)  # the click's own and four more: five uses
    app.server.expire_response_urls()
    app.client.answer_later(first.response_url, "too late")
    app.client.answer_later("", "nowhere")

    await app.client.close()

    assert [one.text for one in app.server.private] == ["approved.", *["again"] * 4]


async def test_a_private_answer_does_not_hold_up_the_acknowledgement(app: App) -> None:
    message = await app.ask()
    await app.server.outage("hang")

    click = await app.server.click(message, "Approve", user="U0ANNA")

    assert click.acknowledged
    assert len(app.desk.decided) == 1


@pytest.mark.parametrize(
    "forgery",
    [
        {"secret": "another-secret"},
        {"signature": "v0=" + "0" * 64},
        {"signature": ""},
        {"signature": "v0=ü"},
        {"timestamp": "yesterday"},
        {"timestamp": ""},
        {"timestamp": "-1"},
        {"timestamp": "1" * 40},
        {"timestamp": str(int((T0 - timedelta(seconds=301)).timestamp()))},
        {"timestamp": str(int((T0 + timedelta(seconds=301)).timestamp()))},
    ],
)
async def test_what_slack_did_not_just_sign_is_401(app: App, forgery: dict[str, Any]) -> None:
    click = await app.server.click(await app.ask(), "Approve", user="U0ANNA", **forgery)

    assert click.status == 401
    assert app.desk.decided == []
    assert app.server.private == []


async def test_a_replay_after_five_minutes_is_401_and_within_them_decides_once(app: App) -> None:
    stamp = str(int(T0.timestamp()))
    message = await app.ask()
    await app.server.click(message, "Approve", user="U0ANNA", timestamp=stamp)
    app.context.at = T0 + timedelta(minutes=5)
    within = await app.server.click(message, "Approve", user="U0ANNA", timestamp=stamp)
    app.context.at = T0 + timedelta(minutes=5, seconds=1)
    after = await app.server.click(message, "Approve", user="U0ANNA", timestamp=stamp)

    assert (within.status, after.status) == (200, 401)
    assert len(app.desk.decided) == 1


async def test_a_request_without_any_signature_is_401(app: App) -> None:
    empty = {"X-Slack-Request-Timestamp": "", "X-Slack-Signature": ""}

    answer = await app.server.send(b"payload=%7B%7D", headers=empty)

    assert answer.status == 401


async def test_without_a_signing_secret_nothing_is_let_in(app: App) -> None:
    message = await app.ask()
    app.context.clients = {SlackClient: SlackClient(settings(app.server, signing_secret=None))}

    click = await app.server.click(message, "Approve", user="U0ANNA")

    assert click.status == 401
    assert app.desk.decided == []


async def test_slacks_look_at_the_certificate_is_answered_and_does_nothing(app: App) -> None:
    unsigned: dict[str, Any] = {"signature": "", "timestamp": ""}

    assert (await app.server.send(b"ssl_check=1&token=x", **unsigned)).status == 200
    smuggled = b"ssl_check=1&" + payloads.form({"type": "block_actions"})
    assert (await app.server.send(smuggled, **unsigned)).status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (payloads.form({"type": "view_submission", "user": {"id": "U0ANNA"}}), 400),
        (payloads.form({"type": "view_closed", "user": {"id": "U0ANNA"}}), 200),
        (payloads.form({"type": "block_actions", "user": {"id": "U0ANNA"}}), 200),
        (b"payload=not-json", 400),
        (b"no-payload=1", 400),
        (b"\xff\xfe", 400),
        (b"&".join(b"a=1" for _ in range(5000)), 400),
        (payloads.form({"type": "block_actions"}), 400),
        (payloads.form({"type": "block_actions", "user": {"id": "anna"}}), 400),
        (payloads.form({"type": "block_actions", "user": {"id": "U0ANNA", "x": 1}}), 200),
    ],
)
async def test_signed_requests_that_are_no_click_of_ours_decide_nothing(
    app: App, body: bytes, status: int
) -> None:
    answer = await app.server.send(body)

    assert answer.status == status
    assert app.desk.decided == []


async def test_a_button_of_another_app_decides_nothing(app: App) -> None:
    message = (await app.ask()).as_seen()
    for element in message.blocks[-2]["elements"]:
        element["action_id"] = "other_app_approve"

    click = await app.server.click(message, "Approve", user="U0ANNA")

    assert click.status == 200
    assert app.desk.decided == []


def test_a_name_is_never_an_identity() -> None:
    payload = {
        "type": "block_actions",
        "user": {"id": "U0EVIL", "name": "U0ANNA", "username": "slack:U0ANNA"},
        "actions": [{"action_id": "remediator_approve", "value": "a-1", "text": {"text": "Deny"}}],
    }

    click = interactions.read(payloads.form(payload))

    assert click == interactions.Press("remediator_approve", "a-1", "slack:U0EVIL")


@given(st.binary(max_size=300))
def test_no_body_makes_the_parser_break(body: bytes) -> None:
    assert not isinstance(_read(body), interactions.Press)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "user", "id", "actions", "action_id", "value"]), inner
            )
        ),
        max_leaves=15,
    )
)
def test_no_payload_makes_the_parser_break(payload: object) -> None:
    read = _read(b"payload=" + json.dumps(payload).encode())
    assert read is None or isinstance(read, interactions.Malformed)


@given(st.text(max_size=40), st.text(max_size=80))
def test_no_header_makes_the_signature_check_break(timestamp: str, signature: str) -> None:
    assert not signed(b"", timestamp=timestamp, signature=signature, secret="s", now=T0)


def test_slacks_published_example_verifies() -> None:
    """The example of Slack's «Verifying requests from Slack»."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
        b"G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
        b"collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F39770"
        b"0885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d"
        b"2c447fce8b6703c"
    )
    timestamp = "1531420618"
    now = T0.fromtimestamp(int(timestamp) + 60, T0.tzinfo)

    assert signed(
        body,
        timestamp=timestamp,
        signature="v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        secret="8f742231b10e8888abcd99yyyzzz85a5",
        now=now,
    )


def _read(body: bytes) -> object:
    try:
        return interactions.read(body)
    except interactions.Malformed as error:
        return error
