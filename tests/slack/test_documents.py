"""Proves that the app manifests and docs/slack.md agree with the code: the paths that are served,
the scopes that are used, settings and their names, commands, buttons, the advice in the log.
"""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from remediator.clients.slack import faults as client
from remediator.notify.slack import answering, buttons, commands, storm
from remediator.notify.slack.notifier import Slack as Notifier
from remediator.settings import Settings, SlackSettings
from tests.slack import manifest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/slack.md").read_text(encoding="utf-8")
SOCKET = manifest.load(ROOT / "deploy/slack/manifest.yaml")
HTTP = manifest.load(ROOT / "deploy/slack/manifest-http.yaml")


@pytest.mark.parametrize("made", [SOCKET, HTTP])
def test_slack_takes_the_manifests(made: Any) -> None:
    assert manifest.faults(made) == []


def test_the_manifests_differ_in_the_way_to_us_alone() -> None:
    plain = YAML(typ="safe", pure=True)
    text = (ROOT / "deploy/slack/manifest-http.yaml").read_text(encoding="utf-8")
    without = plain.load(re.sub(r".*https://remediator\.example\.com.*\n", "", text))
    without["settings"]["socket_mode_enabled"] = True

    assert without == SOCKET
    assert manifest.urls(SOCKET) == {}


def test_the_addresses_are_the_paths_that_we_serve() -> None:
    host = "https://remediator.example.com"

    assert {url.removeprefix(host) for url in manifest.urls(HTTP).values()} == set(
        Notifier.callback_paths
    )


def test_the_scopes_are_those_that_are_used_and_no_more() -> None:
    scopes = SOCKET["oauth_config"]["scopes"]["bot"]

    assert set(scopes) == {
        "chat:write",
        "commands",
        "channels:history",
        "groups:history",
        "usergroups:read",
    }
    assert set(client._SCOPES.values()) <= set(scopes)
    assert "user" not in SOCKET["oauth_config"]["scopes"]


def test_the_shortcut_is_the_one_that_is_answered() -> None:
    (shortcut,) = SOCKET["features"]["shortcuts"]

    assert (shortcut["callback_id"], shortcut["type"]) == (answering.START, "global")


def test_the_page_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"`slack\.(\w+)`", PAGE))
    files = {"bot_token_file", "app_token_file", "signing_secret_file"}

    assert named - files == set(SlackSettings.model_fields)


def test_the_pages_examples_are_valid(tmp_path: Path) -> None:
    examples = re.findall(r"^( *)```yaml\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(examples) == 2
    for name in ("slack-bot-token", "slack-app-token"):
        (tmp_path / name).write_text("secret")
    for _, example in examples:
        text = example.replace("/run/secrets", str(tmp_path))

        loaded = Settings(**YAML(typ="safe", pure=True).load(text))

        assert loaded.slack.channel == "C0123456789"
        assert loaded.slack.app_token is not None


def test_the_page_tells_every_button_and_command() -> None:
    source = inspect.getsource(buttons) + inspect.getsource(storm)
    labels = set(re.findall(r'button\([\w.]+, "([^"]+)"', source))
    told = set(re.findall(r"^\| ([A-Z][\w ]+) \|", PAGE, re.MULTILINE))
    told |= set(re.findall(r"\*([A-Z][\w ]+)\*", PAGE))
    verbs = set(re.findall(r"`/remediator (\w+)", commands.HELP))

    assert {"Approve", "Deny", "Show what waits"} <= labels
    assert labels <= told
    assert verbs
    assert verbs <= set(re.findall(r"`(\w+)[ `]", PAGE))


def test_the_page_explains_the_codes_that_the_log_gives_advice_for() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", PAGE.split("## When something is wrong")[1]))
    common = {"invalid_auth", "channel_not_found", "not_in_channel", "missing_scope"}

    assert common <= explained
    assert common <= set(client.ADVICE)


def test_the_picture_shows_what_is_posted_and_is_small() -> None:
    picture = ROOT / "docs/images/slack-run.png"

    assert "(images/slack-run.png)" in PAGE
    assert picture.stat().st_size < 100_000
