"""Proves that modals and the Home tab behave as Slack's do: what a trigger id pays for, what of a
view is refused, how an answer to a submission is taken, races told by the hash. Over HTTP and over
Socket Mode alike.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.slack.any_app import (
    AnyApp,
    Heard,
    actions,
    asks,
    button,
    home,
    modal,
    plain,
    section,
)
from tests.slack.fixtures import CHANNEL
from tests.slack.person import Person
from tests.slack.server import Slack
from tests.slack.test_server import error_of
from tests.slack.views import View
from tests.slack.workspace import Message


@pytest_asyncio.fixture(params=["http", "socket"])
async def app(slack: Slack, request: pytest.FixtureRequest) -> AsyncIterator[AnyApp]:
    made = AnyApp(slack)
    await (made.listen() if request.param == "http" else made.connect())
    yield made
    await made.stop()


@pytest.fixture
def anna(slack: Slack) -> Person:
    return slack.person("U0ANNA", "Anna")


async def offered(app: AnyApp) -> Message:
    """Post a message with a button."""
    blocks = [section("May I?"), actions(button("Deny", style="danger", value="q1"))]
    await app.web.chat_postMessage(channel=CHANNEL, text="May I?", blocks=blocks)
    return app.slack.channel(CHANNEL).messages[-1]


async def pressed(app: AnyApp, anna: Person) -> str:
    """Press the button, and return the trigger id that came with it."""
    click = await anna.press(await offered(app), "Deny")
    assert click is not None
    assert click.acknowledged
    return str(app.heard[-1]["trigger_id"])


async def opened(app: AnyApp, anna: Person, view: dict[str, Any]) -> View:
    """Let the app open a modal before her."""
    await app.web.views_open(trigger_id=await pressed(app, anna), view=view)
    assert anna.modal is not None
    return anna.modal


REASON = asks("Reason", "reason")


async def test_a_trigger_id_pays_for_one_modal(app: AnyApp, anna: Person) -> None:
    trigger = await pressed(app, anna)
    made = await app.web.views_open(trigger_id=trigger, view=modal(REASON))

    view = made["view"]
    assert view["state"] == {"values": {"reason": {"given": _text(None)}}}
    assert view["root_view_id"] == view["id"]
    assert anna.modal is not None
    assert anna.modal.id == view["id"]
    again = app.web.views_open(trigger_id=trigger, view=modal(REASON))
    assert await error_of(again) == "exchanged_trigger_id"
    guess = app.web.views_open(trigger_id="1.2.3", view=modal(REASON))
    assert await error_of(guess) == "invalid_trigger_id"


def _text(value: str | None) -> dict[str, Any]:
    return {"type": "plain_text_input", "value": value}


async def test_a_trigger_id_expires_after_three_seconds(app: AnyApp, anna: Person) -> None:
    trigger = await pressed(app, anna)
    app.slack.clock.advance(3.0)

    late = app.web.views_open(trigger_id=trigger, view=modal(REASON))
    assert await error_of(late) == "expired_trigger_id"
    assert anna.modal is None


@pytest.mark.parametrize(
    ("view", "fault"),
    [
        (home(section("x")), "view must be of type modal"),
        (modal(section("x"), title="x" * 25), "less than 25 characters"),
        (modal(section("x"), close=plain("x" * 25)), "less than 25 characters"),
        (modal(REASON, submit=plain("x" * 25)), "less than 25 characters"),
        ({"type": "modal", "title": plain("x"), "blocks": [REASON]}, "required field: submit"),
        (modal(*[{"type": "divider"}] * 101), "no more than 100 items"),
        (modal(section("x"), private_metadata="x" * 3001), "less than 3001 characters"),
        (modal(section("x"), callback_id="x" * 256), "less than 256 characters"),
        (modal(section("x"), size="big"), "additional property not allowed: size"),
        (modal(asks("x" * 2001, "a")), "less than 2001 characters"),
        (modal(asks("x", "a", {"type": "button"})), "unsupported element: button"),
        (modal(asks("x", "a", {"type": "plain_text_input", "max_length": 3001})), "1 to 3000"),
    ],
)
async def test_a_view_is_held_to_the_documented_limits(
    app: AnyApp, anna: Person, view: dict[str, Any], fault: str
) -> None:
    trigger = await pressed(app, anna)
    with pytest.raises(Exception, match="invalid_arguments") as caught:
        await app.web.views_open(trigger_id=trigger, view=view)

    response = getattr(caught.value, "response", {})
    assert fault in "\n".join(response["response_metadata"]["messages"])
    await app.web.views_open(trigger_id=trigger, view=modal(REASON))  # it was not used up


async def test_more_than_250_kb_is_too_large(app: AnyApp, anna: Person) -> None:
    huge = modal(*[section("x" * 2900) for _ in range(90)])
    too_large = app.web.views_open(trigger_id=await pressed(app, anna), view=huge)

    assert await error_of(too_large) == "view_too_large"


async def test_three_modals_may_lie_upon_each_other(app: AnyApp, anna: Person) -> None:
    first = await opened(app, anna, modal(REASON))
    for _ in range(2):
        await app.web.views_push(trigger_id=await pressed(app, anna), view=modal(section("x")))
    nobody = app.slack.person("U0BERT")
    blocks = [section("x"), actions(button("Push"))]
    await app.web.chat_postMessage(channel=CHANNEL, text="x", blocks=blocks)
    await nobody.press(app.slack.channel(CHANNEL).messages[-1], "Push")
    alone = app.web.views_push(trigger_id=app.heard[-1]["trigger_id"], view=modal(section("x")))
    assert await error_of(alone) == "not_found"
    fourth = app.web.views_push(trigger_id=await pressed(app, anna), view=modal(section("x")))

    assert await error_of(fourth) == "push_limit_reached"
    assert anna.modal is not None
    assert anna.modal.root_id == first.id
    await anna.close()
    await anna.close()
    assert anna.modal is first


async def test_an_update_needs_the_hash_of_what_it_replaces(app: AnyApp, anna: Person) -> None:
    view = await opened(app, anna, modal(REASON))
    anna.fill("Reason", "too risky")
    stale = view.hash
    await app.web.views_update(view_id=view.id, hash=stale, view=modal(section("More"), REASON))

    assert "More" in anna.shown(view)
    assert view.values == {"reason": {"given": _text("too risky")}}
    again = app.web.views_update(view_id=view.id, hash=stale, view=modal(REASON))
    assert await error_of(again) == "hash_conflict"
    gone = app.web.views_update(view_id="V0", view=modal(REASON))
    assert await error_of(gone) == "not_found"


async def test_an_external_id_names_one_view(app: AnyApp, anna: Person) -> None:
    await opened(app, anna, modal(REASON, external_id="mine"))
    await app.web.views_update(external_id="mine", view=modal(section("x"), external_id="mine"))
    second = app.web.views_push(
        trigger_id=await pressed(app, anna), view=modal(section("x"), external_id="mine")
    )

    assert await error_of(second) == "duplicate_external_id"


async def test_a_submission_carries_what_was_filled_in_and_closes_the_modal(
    app: AnyApp, anna: Person
) -> None:
    choice = {
        "type": "static_select",
        "options": [{"text": plain(f"{n} h"), "value": f"{n}"} for n in (1, 4)],
    }
    await opened(
        app,
        anna,
        modal(REASON, asks("How long", "long", choice), callback_id="deny", private_metadata="q1"),
    )
    anna.fill("Reason", "too risky")
    anna.fill("How long", "4 h")
    submission = await anna.submit()

    assert submission is not None
    assert submission.acknowledged
    heard = app.heard[-1]
    assert (heard["type"], heard["view"]["callback_id"]) == ("view_submission", "deny")
    assert heard["view"]["private_metadata"] == "q1"
    values = heard["view"]["state"]["values"]
    assert values["reason"]["given"]["value"] == "too risky"
    assert values["long"]["given"]["selected_option"]["value"] == "4"
    assert anna.modal is None
    assert anna.faults == []


async def test_slack_itself_finds_an_answer_missing_or_too_long(app: AnyApp, anna: Person) -> None:
    short = {"type": "plain_text_input", "max_length": 5}
    note = asks("Note", "note", optional=True)
    view = await opened(app, anna, modal(asks("Reason", "reason", short), note))
    heard = len(app.heard)

    assert await anna.submit() is None
    assert view.errors == {"reason": "Please complete this required field."}
    anna.fill("Reason", "far too long")
    assert await anna.submit() is None
    assert view.errors == {"reason": "Please use 0 to 5 characters."}
    assert len(app.heard) == heard
    anna.fill("Reason", "risky")
    assert await anna.submit() is not None


async def test_errors_are_shown_at_their_inputs_and_the_modal_stays(
    app: AnyApp, anna: Person
) -> None:
    view = await opened(app, anna, modal(REASON))
    app.answers.append({"response_action": "errors", "errors": {"reason": "Say more."}})
    anna.fill("Reason", "no")
    await anna.submit()

    assert anna.modal is view
    assert view.errors == {"reason": "Say more."}
    assert "! Say more." in anna.shown(view)


@pytest.mark.parametrize(
    ("answer", "titles"),
    [
        ({"response_action": "update", "view": modal(REASON, title="B")}, ["B"]),
        ({"response_action": "push", "view": modal(REASON, title="B")}, ["A modal", "B"]),
        ({"response_action": "clear"}, []),
        ({}, []),
    ],
)
async def test_a_submission_may_change_what_is_open(
    app: AnyApp, anna: Person, answer: Any, titles: list[str]
) -> None:
    await opened(app, anna, modal(REASON))
    app.answers.append(answer)
    anna.fill("Reason", "no")
    await anna.submit()

    assert [one.title for one in app.slack.workspace.modals["U0ANNA"]] == titles
    assert anna.faults == []


@pytest.mark.parametrize(
    "answer",
    [
        {"response_action": "errors", "errors": {}},
        {"response_action": "errors", "errors": {"elsewhere": "x"}},
        {"response_action": "vanish"},
        {"response_action": "update", "view": home(section("x"))},
        {"response_action": "update", "view": modal(section("x"), title="x" * 25)},
        {"text": "thanks"},
        "thanks",
    ],
)
async def test_an_answer_that_slack_does_not_take_leaves_the_person_puzzled(
    app: AnyApp, anna: Person, answer: Any
) -> None:
    view = await opened(app, anna, modal(REASON))
    app.answers.append(answer)
    anna.fill("Reason", "no")
    await anna.submit()

    assert anna.modal is view
    assert len(anna.faults) == 1
    assert "We had some trouble connecting" in anna.shown(view)


async def test_a_modal_that_is_closed_is_told_only_to_who_asked(app: AnyApp, anna: Person) -> None:
    await opened(app, anna, modal(REASON))
    assert await anna.close() is None
    await opened(app, anna, modal(REASON, notify_on_close=True))
    heard = await anna.close()

    assert heard is not None
    assert app.heard[-1]["type"] == "view_closed"
    assert not app.heard[-1]["is_cleared"]
    assert anna.modal is None


async def test_a_button_in_a_modal_is_an_action_of_the_view(app: AnyApp, anna: Person) -> None:
    view = await opened(app, anna, modal(section("x", accessory=button("More", value="v"))))

    async def more(heard: Heard) -> None:
        await app.web.views_update(view_id=heard["view"]["id"], view=modal(section("all of it")))

    app.does = more
    await anna.press(view, "More")

    assert app.heard[-1]["container"] == {"type": "view", "view_id": view.id}
    assert app.heard[-1]["actions"][0]["value"] == "v"
    assert "response_url" not in app.heard[-1]
    assert "all of it" in anna.shown(view)


async def test_a_home_tab_is_published_when_somebody_opens_it(app: AnyApp, anna: Person) -> None:
    async def publish(heard: Heard) -> None:
        if heard.get("type") == "event_callback":
            body = home(section("2 runs wait for you"), actions(button("Approve", value="q1")))
            await app.web.views_publish(user_id=heard["event"]["user"], view=body)

    app.does = publish
    opened_home = await anna.open_home()

    assert opened_home is not None
    assert opened_home.acknowledged
    assert app.heard[-1]["event"]["tab"] == "home"
    assert anna.shown(anna.home) == "2 runs wait for you\n[Approve]"
    assert anna.home is not None
    await anna.press(anna.home, "Approve")
    assert app.heard[-1]["view"]["type"] == "home"
    stale = app.web.views_publish(user_id="U0ANNA", view=home(section("x")), hash="guess")
    assert await error_of(stale) == "hash_conflict"
    titled = app.web.views_publish(user_id="U0ANNA", view=home(section("x"), title=plain("x")))
    assert await error_of(titled) == "invalid_arguments"
    app.slack.app.home_tab = False
    off = app.web.views_publish(user_id="U0ANNA", view=home(section("x")))
    assert await error_of(off) == "not_enabled"
