"""Proves that nothing that an alert, a plan, an output or a person's words hold can ring somebody,
lead somewhere, or give a secret away, in whatever of Slack's places it is shown: messages and their
fallback, thread lines, storms, modals, Home, answers to commands.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.model.runs import RunState
from remediator.model.storms import Storm, StormRun
from remediator.model.views import NoteKind, RunView
from remediator.notify.slack import blocks, commands, home, modals, storm, text
from remediator.plugin.notifier import Standing
from tests.notify.views import APPROVAL_ID, T0, approval, note, view
from tests.slack import mrkdwn
from tests.slack.test_blocks import hostile

# What the runs below link to by themselves; everything else is a forgery.
_OURS = ("http://prometheus.example/graph", "https://x.example/")
_PIECES = st.sampled_from(
    [
        *("<!channel>", "<!here>", "<!everyone|x>", "<@U0ANNA>", "<@U0ANNA|anna>", "<#C01>"),
        *("<!subteam^S01>", "<http://evil.example|click>", "<mailto:a@b|x>", "<!date^1^x|y>"),
        *("<", ">", "&", "&lt;", "&amp;lt;", "|", "`", "```", "*", "_", "~", "\n", "\r", "\u2028"),
        *(
            "@channel",
            "@here",
            "http://evil.example",
            "U0ANNA",
            "!channel",
            "slack:U0ANNA ",
            "\u202e",
        ),
    ]
)
_WORDS = st.lists(_PIECES | st.text(max_size=6), max_size=12).map("".join)


def every_text(value: Any) -> Iterator[str]:
    """Yield every mrkdwn text in blocks or a view."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            assert value.get("verbatim") is True, value
            yield value["text"]
        for inner in value.values():
            yield from every_text(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from every_text(inner)


def effects(shown: str) -> Iterator[str]:
    """Yield what Slack would make of a text beside words: mentions and links."""

    def walk(nodes: Any) -> Iterator[str]:
        for one in nodes:
            if one.kind in ("mention", "link"):
                yield one.target
            yield from walk(one.inner)

    yield from walk(mrkdwn.parse(shown))


def everything(words: str) -> Iterator[str]:
    """Yield every text that people are shown of a run in which others wrote these words."""
    given: RunView = replace(
        hostile(words), approval=approval(asked_because=words, approvers=(words,), differs=(words,))
    )
    failed = replace(given, run=replace(given.run, state=RunState.FAILED, ended_at=T0))
    urgent = note(NoteKind.ESCALATION, words)
    messages = [
        blocks.run(given, urgent),
        blocks.run(failed),
        blocks.note(urgent, given, late=True),
        blocks.note(note(NoteKind.STATE, words), given, late=False),
    ]
    one = StormRun("r-1", words, words, RunState.FAILED)
    weather = Storm("s-1", "C01", T0, T0, {RunState.FAILED: 9}, {words: 9}, (one,))
    messages += [storm.message(weather), storm.called(weather, "")]
    for message in messages:
        yield message.text
        yield from every_text(message.blocks)
    standing = Standing((given.run,), 1, 1, (words,))
    views = [
        modals.plan(given),
        modals.deny(given, APPROVAL_ID),
        modals.snooze(given, APPROVAL_ID),
        modals.said("Plan", words),
        modals.waiting([given], words),
        home.page([given], standing, words),
    ]
    for shown in views:
        yield from every_text(shown)
    yield commands.standing(standing, runs=True)
    yield commands.shown(given)
    try:
        commands.parse(words)
    except commands.NotUnderstood as error:
        yield text.cut(str(error), 500)


@given(_WORDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_others_write_rings_nobody_and_leads_nowhere(words: str) -> None:
    for shown in everything(words):
        for effect in effects(shown):
            assert effect.startswith(_OURS), f"{effect!r} in {shown!r}"


@given(st.text(max_size=80))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_at_all_rings_nobody_and_leads_nowhere(words: str) -> None:
    test_whatever_others_write_rings_nobody_and_leads_nowhere.hypothesis.inner_test(words)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "secret",
    [
        "xoxb-123456789012-abcdefghijkl",
        "password=hunter2-and-more",
        "postgres://app:hunter2-and-more@db/shop",
        "Authorization: Bearer abcdef0123456789abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF-123",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_secrets_in_what_others_write_are_masked_everywhere(secret: str) -> None:
    hidden = [
        part
        for part in ("hunter2", "MIIEabc", secret.rsplit("=", maxsplit=1)[-1])
        if part in secret
    ]
    for shown in everything(f"look: {secret} there"):
        for part in hidden:
            assert part not in shown


def test_a_label_whose_name_says_so_is_masked() -> None:
    shown = blocks.run(view(labels={"alertname": "x", "db_password": "swordfish"}))

    assert "swordfish" not in str(shown)
    assert "`***`" in str(shown)


def test_only_the_settings_ids_ring() -> None:
    assert text.ring(["U0ANNA", "S0ONCALL", "!channel", "C01", "U0>x<!here"]) == (
        "<@U0ANNA> <!subteam^S0ONCALL>"
    )
