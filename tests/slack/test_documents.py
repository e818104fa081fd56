"""Proves that the app manifest and docs/slack.md agree with the code: the path that is served, the
scopes that are used, the settings and their names, the advice in the log.
"""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from remediator.clients.slack import faults as client
from remediator.notify.slack.notifier import Slack as Notifier
from remediator.settings import Settings, SlackSettings
from tests.slack.server import Slack

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/slack.md").read_text(encoding="utf-8")


def manifest() -> Any:
    return YAML(typ="safe", pure=True).load(ROOT / "deploy/slack/manifest.yaml")


def test_the_manifest_sends_clicks_to_the_path_that_we_serve() -> None:
    interactivity = manifest()["settings"]["interactivity"]

    assert interactivity["is_enabled"]
    assert interactivity["request_url"].endswith(tuple(Notifier.callback_paths))
    assert interactivity["request_url"].startswith("https://")


async def test_the_manifest_asks_for_the_scopes_that_the_app_was_tested_with() -> None:
    assert set(manifest()["oauth_config"]["scopes"]["bot"]) == Slack().scopes


def test_the_page_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"`slack\.(\w+)`", PAGE))

    assert named - {"bot_token_file", "signing_secret_file"} == set(SlackSettings.model_fields)


def test_the_pages_example_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for name in ("slack-bot-token", "slack-signing-secret"):
        (tmp_path / name).write_text("secret")
    text = example.replace("/run/secrets", str(tmp_path))

    loaded = Settings(**YAML(typ="safe", pure=True).load(text))

    assert loaded.slack.channel == "C0123456789"
    assert loaded.slack.bot_token is not None


def test_the_page_explains_the_codes_that_the_log_gives_advice_for() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", PAGE.split("## When something is wrong")[1]))

    assert {"invalid_auth", "channel_not_found", "not_in_channel", "missing_scope"} <= explained
    assert {"invalid_auth", "channel_not_found", "not_in_channel", "missing_scope"} <= set(
        client.ADVICE
    )
