"""Proves what people do beside Approve: deny with a reason, read the whole plan, snooze, cancel,
start a runbook, look at what waits, type commands. Over HTTP and Socket Mode alike, each time with
the user's id, and each time with an answer that only they see.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.clients.slack.client import SlackClient
from remediator.model.approvals import Answer, DecisionOutcome
from remediator.model.plans import Change
from remediator.model.runs import Run, RunState
from remediator.model.storms import Storm
from remediator.model.views import Acknowledgement
from remediator.notify.slack import home, modals
from remediator.plugin.notifier import Answered, Standing
from tests.notify.views import APPROVAL_ID, RUN_ID, T0, approval, approved, plan, step, view
from tests.servers.waiting import eventually_async
from tests.slack import views
from tests.slack.conftest import App, settings
from tests.slack.person import Person

ANNA, EVIL = "U0ANNA", "U0EVIL"


async def shown(person: Person, *words: str) -> str:
    """Wait until a person's modal shows these words, and return all that it shows."""

    def there() -> bool:
        return person.modal is not None and all(w in person.shown(person.modal) for w in words)

    await eventually_async(there, 5, what=f"a modal with {words}")
    assert person.faults == []
    return person.shown(person.modal)


async def told(person: Person, count: int = 1) -> list[str]:
    """Wait for so many answers that only this person sees, and return them."""
    await eventually_async(lambda: len(person.private) >= count, 5, what=f"{count} private answers")
    return [one.text for one in person.private]


async def asked(app: App) -> None:
    """Let a run ask, which the desk knows."""
    app.desk.views[APPROVAL_ID] = view()
    await app.ask()


async def test_deny_asks_why_and_hands_the_reason_in(anyway: App) -> None:
    await asked(anyway)
    anna = anyway.server.person(ANNA)
    await anna.press(anyway.message, "Deny")
    await shown(anna, "Why not?", "deployment shop/api: replicas 4 → 6")

    anna.fill("Why not?", "we are deploying")
    click = await anna.submit()

    assert click is not None
    assert click.acknowledged
    assert anyway.desk.decided == [(APPROVAL_ID, "slack:U0ANNA", Answer.DENY, "slack")]
    assert "denied." in await shown(anna, "denied.")


async def test_a_deny_that_lacks_a_reason_stays_open(anyway: App) -> None:
    await asked(anyway)
    anyway.desk.instead = Answered(DecisionOutcome.NEEDS_REASON, "Say more.")
    anna = anyway.server.person(ANNA)
    await anna.press(anyway.message, "Deny")
    await shown(anna, "Why not?")
    anna.fill("Why not?", "no")
    await anna.submit()

    assert await shown(anna, "Say more.")
    assert anyway.desk.decided == []


@pytest.mark.parametrize("label", ["Deny", "Snooze", "Show plan"])
async def test_who_may_not_is_told_so_in_the_modal(anyway: App, label: str) -> None:
    await asked(anyway)
    evil = anyway.server.person(EVIL)
    await evil.press(anyway.message, label)

    assert "slack:U0EVIL may not" in await shown(evil, "may not")
    assert anyway.desk.did == []


@pytest.mark.parametrize("label", ["Deny", "Snooze", "Show plan"])
async def test_a_question_that_is_gone_is_said_to_be(app: App, label: str) -> None:
    await app.ask()
    anna = app.server.person(ANNA)
    await anna.press(app.message, label)

    assert await shown(anna, "This question no longer stands.")


async def test_a_modal_is_opened_at_once_and_filled_when_the_journal_answers(app: App) -> None:
    await asked(app)
    app.desk.broken = RuntimeError("the journal can't be read")
    anna = app.server.person(ANNA)
    click = await anna.press(app.message, "Show plan")

    assert click is not None
    assert click.acknowledged
    text = await shown(anna, "can't be read just now")
    assert "journal" not in text
    assert [c for c in app.server.calls if c.startswith("views")] == ["views.open", "views.update"]


async def test_the_plan_is_shown_whole_by_pages(anyway: App) -> None:
    changes = tuple(
        Change(f"spec.field{n}", f"old-{n}-" + "a" * 400, f"new-{n}") for n in range(60)
    )
    long = view(steps=(step(plan=plan(changes=changes)),))
    anyway.desk.views[APPROVAL_ID] = long
    await anyway.ask(steps=long.steps)
    anna = anyway.server.person(ANNA)
    await anna.press(anyway.message, "Show plan")
    pages = [await shown(anna, "page 1 of")]
    for number in range(2, 9):
        assert anna.modal is not None
        if "Next →" not in pages[-1]:
            break
        await anna.press(anna.modal, "Next →")
        pages.append(await shown(anna, f"page {number} of {pages[0].split(' of ')[1][0]}"))

    whole = "\n".join(pages)
    assert len(pages) >= 3
    for n in range(60):
        assert f"- spec.field{n}: old-{n}-{'a' * 400}" in whole
        assert f"+ spec.field{n}: new-{n}" in whole
    assert anna.modal is not None
    await anna.press(anna.modal, "← Previous")
    await shown(anna, f"page {len(pages) - 1} of")
    await anna.press(anna.modal, "Approve")
    await shown(anna, "approved.")
    assert [d[:3] for d in anyway.desk.decided] == [(APPROVAL_ID, "slack:U0ANNA", Answer.APPROVE)]


async def test_snooze_asks_for_how_long(anyway: App) -> None:
    await asked(anyway)
    anna = anyway.server.person(ANNA)
    await anna.press(anyway.message, "Snooze")
    await shown(anna, "For how long?")
    anna.fill("For how long?", "4h")
    anna.fill("Why?", "at lunch")
    await anna.submit()

    await shown(anna, "snooze by slack:U0ANNA.")
    assert anyway.desk.did == [
        ("snooze", "slack:U0ANNA", APPROVAL_ID, timedelta(hours=4), "at lunch", "slack")
    ]


async def test_cancel_stops_the_run_after_one_more_question(anyway: App) -> None:
    await anyway.tell(approved())
    anna, evil = anyway.server.person(ANNA), anyway.server.person(EVIL)
    assert await anna.press(anyway.message, "Cancel", sure=False) is None
    assert anyway.desk.did == []

    await evil.press(anyway.message, "Cancel")
    assert "may not do this" in (await told(evil))[0]
    await anna.press(anyway.message, "Cancel")
    assert await told(anna) == ["cancel by <@U0ANNA>."]
    assert anyway.desk.did == [("cancel", "slack:U0ANNA", RUN_ID, "cancelled in Slack", "slack")]


async def test_whoever_is_called_says_that_they_are_on_it(anyway: App) -> None:
    called = replace(approved(), called_at=T0)
    await anyway.tell(called)
    anna, evil = anyway.server.person(ANNA), anyway.server.person(EVIL)
    await evil.press(anyway.message, "I am on it")
    assert "may not do this" in (await told(evil))[0]
    await anna.press(anyway.message, "I am on it")
    await anna.command("/remediator", f"ack {RUN_ID} at my desk")
    assert await told(anna, 2) == ["acknowledge by <@U0ANNA>."] * 2
    assert anyway.desk.did == [
        ("acknowledge", "slack:U0ANNA", RUN_ID, "", "slack"),
        ("acknowledge", "slack:U0ANNA", RUN_ID, "at my desk", "slack"),
    ]

    await anyway.tell(replace(called, acknowledged=Acknowledgement("slack:U0ANNA", T0)))
    labels = [one["text"]["text"] for one in anyway.message.buttons]
    assert "I am on it" not in labels


async def test_the_plan_of_a_run_under_way_can_be_read(app: App) -> None:
    app.desk.views["x"] = approved()
    await app.tell(approved())
    anna = app.server.person(ANNA)
    await anna.press(app.message, "Show plan")

    text = await shown(anna, "+ spec.replicas: 6")
    assert "Approve" not in text


async def test_a_runbook_is_started_from_a_shortcut(anyway: App) -> None:
    anna = anyway.server.person(ANNA)
    await anna.shortcut("remediator_start")
    await shown(anna, "Runbook")
    anna.fill("Runbook", "restart")
    anna.fill("Labels, one a line", "namespace=shop\n\nnot a label")
    await anna.submit()
    assert await shown(anna, "“not a label” is no label; write key=value.")

    anna.fill("Labels, one a line", "namespace=shop\ndeployment=api")
    anna.fill("Parameters, one a line", "max")
    await anna.submit()
    assert await shown(anna, "“max” is no parameter; write key=value.")

    anna.fill("Parameters, one a line", "max=20")
    await anna.submit()
    await shown(anna, "start by slack:U0ANNA.")
    labels = {"namespace": "shop", "deployment": "api"}
    given = {"max": "20"}
    assert anyway.desk.did == [("start", "slack:U0ANNA", "restart", labels, given, "slack")]


async def test_a_form_by_somebody_who_may_not_does_nothing(anyway: App) -> None:
    evil = anyway.server.person(EVIL)
    await evil.shortcut("remediator_start")
    await shown(evil, "Runbook")
    evil.fill("Runbook", "restart")
    await evil.submit()

    assert await shown(evil, "slack:U0EVIL may not do this")
    assert anyway.desk.did == []


async def test_a_form_that_could_not_be_stored_says_so_and_can_be_sent_again(anyway: App) -> None:
    anna = anyway.server.person(ANNA)
    await anna.shortcut("remediator_start")
    await shown(anna, "Runbook")
    anna.fill("Runbook", "restart")
    anyway.desk.broken = RuntimeError("the journal can't be written")
    if anyway.server.socket_mode:
        anyway.server.clock.advance(3)
    click = await anna.submit()
    assert click is not None
    assert not click.acknowledged
    anyway.desk.broken = None
    await anna.submit()

    assert [did[0] for did in anyway.desk.did] == ["start"]


async def test_commands_are_answered_privately(anyway: App) -> None:
    run: Run = view().run
    anyway.desk.stands = Standing((run,), 1, 2, ("everything, by api:bob: <!channel> deploy",))
    anna = anyway.server.person(ANNA)
    for typed in ("status", "runs", "help", "pause scope:shop for 2h a “big” deploy", "resume all"):
        click = await anna.command("/remediator", typed)
        assert click.acknowledged, typed

    status, runs, help_, paused, resumed = await told(anna, 5)
    assert "1 run under way, 1 waiting for a person, 2 open incidents." in status
    assert "everything, by api:bob: &lt;!channel&gt; deploy" in status
    assert f"`{RUN_ID}`" in runs
    assert "/remediator pause" in help_
    assert (paused, resumed) == ("pause by <@U0ANNA>.", "unpause by <@U0ANNA>.")
    assert anyway.desk.did == [
        ("pause", "slack:U0ANNA", "scope:shop", "a big deploy", timedelta(hours=2), "slack"),
        ("unpause", "slack:U0ANNA", "*", "slack"),
    ]
    assert anna.faults == []


async def test_a_run_is_started_shown_and_cancelled_by_command(anyway: App) -> None:
    anyway.desk.views[APPROVAL_ID] = view()
    anna = anyway.server.person(ANNA)
    await anna.command("/remediator", 'run restart namespace=shop note="a b"')
    await anna.command("/remediator", f"show {RUN_ID}")
    await anna.command("/remediator", f"cancel {RUN_ID} not now")
    await anna.command("/remediator", "waiting")

    started, run, cancelled, waiting = await told(anna, 4)
    assert started == "start by <@U0ANNA>."
    assert "deployment shop/api: replicas 4 → 6" in run
    assert cancelled == "cancel by <@U0ANNA>."
    assert RUN_ID in waiting
    assert [did[:4] for did in anyway.desk.did] == [
        ("start", "slack:U0ANNA", "restart", {"namespace": "shop", "note": "a b"}),
        ("cancel", "slack:U0ANNA", RUN_ID, "not now"),
    ]


@pytest.mark.parametrize("typed", ["status", "runs", "run restart", "pause all x", "resume all"])
async def test_commands_of_somebody_who_may_not_are_refused(app: App, typed: str) -> None:
    evil = app.server.person(EVIL)
    await evil.command("/remediator", typed)

    (said,) = await told(evil)
    assert said.startswith("Not done: slack:U0EVIL may not")
    assert app.desk.did == []


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("frobnicate", "I do not know “frobnicate”"),
        ("run", "Write /remediator run NAME key=value"),
        ("run restart shop", "“shop” is no label"),
        ("pause", "Write /remediator pause SCOPE"),
        ("pause all", "Say why"),
        ("pause all for ever reason", "ever"),
        ('run "x', "A quote is not closed."),
        ("show", "Write /remediator show RUN."),
        ("<!channel>", "&lt;!channel&gt;"),
    ],
)
async def test_what_is_no_command_is_explained(app: App, typed: str, says: str) -> None:
    anna = app.server.person(ANNA)
    await anna.command("/remediator", typed)

    (said,) = await told(anna)
    assert says in said
    assert "/remediator help" in said or "`/remediator status`" in said
    assert app.desk.did == []


async def test_home_shows_what_waits_and_takes_the_answer(anyway: App) -> None:
    anyway.desk.views[APPROVAL_ID] = view()
    anna = anyway.server.person(ANNA)
    await anna.open_home()
    await eventually_async(lambda: anna.home is not None, 5, what="a Home")
    assert "deployment shop/api: replicas 4 → 6" in anna.shown(anna.home)

    assert anna.home is not None
    await anna.press(anna.home, "Approve")
    await eventually_async(lambda: "approved." in anna.shown(anna.home), 5, what="the answer")
    anyway.desk.views.clear()
    await anna.press(anna.home, "Look again")
    await eventually_async(
        lambda: "Nothing waits for you." in anna.shown(anna.home), 5, what="an empty Home"
    )
    assert anyway.desk.decided == [(APPROVAL_ID, "slack:U0ANNA", Answer.APPROVE, "slack")]


async def test_home_of_somebody_without_a_role_says_nothing_of_others(app: App) -> None:
    app.desk.views[APPROVAL_ID] = view()
    evil = app.server.person(EVIL)
    await evil.open_home()
    await eventually_async(lambda: evil.home is not None, 5, what="a Home")

    text = evil.shown(evil.home)
    assert "Nothing waits for you." in text
    assert "under way" not in text
    assert "shop" not in text


async def test_home_is_shown_anew_when_something_changes_and_not_otherwise(app: App) -> None:
    anna = app.server.person(ANNA)
    await anna.open_home()
    await eventually_async(lambda: anna.home is not None, 5, what="a Home")
    homes = app.notifier._homes
    await homes.refresh(app.desk, app.context)
    assert app.server.calls.count("views.publish") == 1

    app.desk.views[APPROVAL_ID] = view()
    await homes.refresh(app.desk, app.context)
    assert app.server.calls.count("views.publish") == 2
    assert "deployment shop/api" in anna.shown(anna.home)

    app.context.at = T0 + timedelta(hours=2)
    app.desk.views.clear()
    await homes.refresh(app.desk, app.context)
    assert app.server.calls.count("views.publish") == 2, "nobody looks any more"


async def test_what_waits_in_a_storm_is_listed_and_decided(anyway: App) -> None:
    anyway.desk.views[APPROVAL_ID] = view()
    storm = Storm(
        "storm-1", "C0123456789", T0, None, {RunState.AWAITING_APPROVAL: 12}, {"scale": 12}, ()
    )
    await anyway.notifier.announce_storm(storm, None, anyway.context)
    anna = anyway.server.person(ANNA)
    await anna.press(anyway.message, "Show what waits")
    await shown(anna, "deployment shop/api: replicas 4 → 6")
    assert anna.modal is not None
    await anna.press(anna.modal, "Show plan")
    await shown(anna, "+ spec.replicas: 6")
    await anna.close()
    assert anna.modal is not None
    await anna.press(anna.modal, "Approve")

    await shown(anna, "approved.", "What waits for you")
    assert [d[1] for d in anyway.desk.decided] == ["slack:U0ANNA"]


async def test_without_a_way_for_answers_there_are_no_buttons(app: App) -> None:
    await app.client.close()
    app.client = SlackClient(settings(app.server, signing_secret=None))
    app.context.clients = {SlackClient: app.client}
    await app.ask()

    assert app.message.buttons == []


def test_a_modal_never_goes_over_slacks_limits() -> None:
    words = "<&>" * 3000 + "👩‍🚒" * 900
    bad = plan(changes=tuple(Change(words, words, {words: [words]}) for _ in range(20)))
    steps = tuple(step(n, plan=bad, message=words, step_id=words) for n in range(5))
    given = view(steps=steps, run={"runbook": words, "target": words}, description=words)
    many = [replace(given, run=replace(given.run, id=f"run-{n}")) for n in range(30)]
    shown = [
        modals.said("Plan", words),
        modals.deny(given, APPROVAL_ID),
        modals.snooze(given, APPROVAL_ID),
        modals.start(),
        modals.waiting(many, words),
        *(modals.plan(given, page) for page in range(0, 60, 7)),
    ]
    for one in shown:
        assert views.faults(one, "modal") == []
        assert not views.too_large(one)
    waiting = [replace(one, approval=approval()) for one in many]
    standing = Standing([one.run for one in many], 30, 30, [words] * 9)
    assert views.faults(home.page(waiting, standing, words), "home") == []
