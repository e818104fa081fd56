"""Proves that a manifest which Slack would refuse is refused here, and that an app made from one
may do what the file says and nothing else.
"""

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.slack import manifest
from tests.slack.fixtures import CHANNEL
from tests.slack.server import Slack
from tests.slack.test_server import client, error_of

OURS = Path(__file__).parents[2] / "deploy/slack/manifest.yaml"

GOOD: dict[str, Any] = {
    "_metadata": {"major_version": 1, "minor_version": 1},
    "display_information": {"name": "robot", "description": "x", "background_color": "#1d3557"},
    "features": {
        "bot_user": {"display_name": "robot", "always_online": True},
        "app_home": {"home_tab_enabled": True, "messages_tab_enabled": False},
        "slash_commands": [
            {"command": "/robot", "description": "talk", "should_escape": True, "usage_hint": "x"}
        ],
        "shortcuts": [
            {"name": "Status", "type": "global", "callback_id": "status", "description": "x"}
        ],
    },
    "oauth_config": {"scopes": {"bot": ["chat:write", "commands"]}},
    "settings": {
        "event_subscriptions": {"bot_events": ["app_home_opened"]},
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good manifest with one thing changed; None takes it away."""
    made = copy.deepcopy(GOOD)
    *way, last = path.split("/")
    inner: Any = made
    for step in way:
        inner = inner[int(step) if step.isdigit() else step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return made


def test_our_own_manifest_and_the_good_one_have_no_fault() -> None:
    assert manifest.faults(GOOD) == []
    assert manifest.faults(manifest.load(OURS)) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("display_information", None, "/display_information: is required"),
        ("display_information/name", "x" * 36, "less than 36 characters"),
        ("display_information/description", "x" * 141, "less than 141 characters"),
        ("display_information/long_description", "x" * 174, "more than 174 characters"),
        ("display_information/background_color", "navy", "must be a colour"),
        ("display_information/icon", "x.png", "/display_information/icon: unknown property"),
        ("features/bot_user/display_name", "x" * 81, "less than 81 characters"),
        ("features/bot_user", None, "/features/bot_user: is required"),
        ("features/app_home/home_tab_enabled", "yes", "must be a boolean"),
        ("features/slash_commands/0/command", "robot", "must begin with /"),
        ("features/slash_commands/0/command", "/" + "x" * 32, "less than 33 characters"),
        ("features/slash_commands/0/url", "http://plain", "must be an https URL"),
        ("features/slash_commands/0/description", None, "description: is required"),
        ("features/slash_commands", [], "must be a list of 1 to 50"),
        ("features/shortcuts/0/name", "x" * 25, "less than 25 characters"),
        ("features/shortcuts/0/type", "local", "must be one of: global, message"),
        ("features/shortcuts/0/description", "x" * 151, "less than 151 characters"),
        ("oauth_config/scopes/bot", ["chat:write"], "commands is needed"),
        ("oauth_config/scopes/bot", ["chat:writes", "commands"], "chat:writes is unknown"),
        ("oauth_config/scopes/bot", ["commands"] * 2, "stands there twice"),
        ("settings/event_subscriptions/bot_events", ["app_mention"], "app_mentions:read is needed"),
        ("settings/event_subscriptions/bot_events", ["coffee"], "coffee is unknown"),
        ("settings/interactivity", {}, "/settings/interactivity/is_enabled: is required"),
        ("settings/interactivity", {"is_enabled": False}, "must be enabled for shortcuts"),
        ("settings/socket_mode", True, "/settings/socket_mode: unknown property"),
        ("settings/socket_mode_enabled", False, "request_url: is required without Socket Mode"),
        ("settings/socket_mode_enabled", False, "slash_commands/0/url: is required without"),
    ],
)
def test_what_slack_would_refuse_is_a_fault(path: str, value: Any, fault: str) -> None:
    assert fault in "\n".join(manifest.faults(changed(path, value)))


async def test_an_installed_app_has_what_the_manifest_grants_and_no_more(slack: Slack) -> None:
    manifest.install(slack.app, GOOD)
    anna = slack.person("U0ANNA")

    assert slack.socket_mode
    assert slack.app.events == {"app_home_opened"}
    await client(slack).chat_postMessage(channel=CHANNEL, text="x")
    history = client(slack).conversations_history(channel=CHANNEL)
    assert await error_of(history) == "missing_scope"
    with pytest.raises(AssertionError, match="/other is no command"):
        await anna.command("/other")
    with pytest.raises(AssertionError, match="no such shortcut"):
        await anna.shortcut("other")


async def test_a_manifest_with_a_fault_installs_nothing(slack: Slack) -> None:
    before = set(slack.scopes)
    with pytest.raises(AssertionError, match="is required"):
        manifest.install(slack.app, {"settings": {}})

    assert slack.scopes == before


def test_the_addresses_that_slack_would_post_to_are_listed() -> None:
    url = "https://remediator.example.com/slack/commands"
    made = changed("features/slash_commands/0/url", url)

    assert manifest.urls(made) == {"/robot": url}
