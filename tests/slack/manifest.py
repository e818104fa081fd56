"""App manifests: what Slack would find wrong with one, and what an app made from it may do.

Source: Slack's «App manifest reference», the limits of its fields, «Using Socket Mode», and the
scopes that the features and events named need. `install` makes the loopback app exactly what a user
gets from the file, so that tests can't use a right that users don't have.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.slack.app import App
from tests.slack.fields import Check, flag, one_of, string, whole

SCOPES = frozenset(
    {
        "app_mentions:read",
        "channels:history",
        "channels:join",
        "channels:manage",
        "channels:read",
        "chat:write",
        "chat:write.customize",
        "chat:write.public",
        "commands",
        "emoji:read",
        "files:read",
        "files:write",
        "groups:history",
        "groups:read",
        "groups:write",
        "im:history",
        "im:read",
        "im:write",
        "incoming-webhook",
        "links:read",
        "links:write",
        "metadata.message:read",
        "mpim:history",
        "mpim:read",
        "mpim:write",
        "pins:read",
        "pins:write",
        "reactions:read",
        "reactions:write",
        "reminders:read",
        "reminders:write",
        "team:read",
        "usergroups:read",
        "usergroups:write",
        "users.profile:read",
        "users:read",
        "users:read.email",
        "users:write",
    }
)
"""The bot token's scopes; one that is none makes the manifest invalid."""

EVENTS: Mapping[str, str] = {
    "app_home_opened": "",
    "app_mention": "app_mentions:read",
    "app_uninstalled": "",
    "channel_archive": "channels:read",
    "channel_deleted": "channels:read",
    "channel_rename": "channels:read",
    "channel_unarchive": "channels:read",
    "member_joined_channel": "channels:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "reaction_added": "reactions:read",
    "subteam_members_changed": "usergroups:read",
    "subteam_updated": "usergroups:read",
    "tokens_revoked": "",
    "user_change": "users:read",
}
"""Events for the bot, and the scope that each needs."""

_URL = re.compile(r"https://[^\s/]+(/\S*)?")
_COLOUR = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def load(path: Path) -> Any:
    """Read a manifest."""
    return YAML(typ="safe", pure=True).load(path)


def faults(manifest: Any) -> list[str]:
    """Return what Slack would find wrong with it, in the order of the file's sections."""
    if not isinstance(manifest, Mapping):
        return ["the manifest must be a mapping"]
    found = _section(manifest, "", _SECTIONS, required="display_information")
    return found or _together(manifest)


def install(app: App, manifest: Any) -> None:
    """Make the app what this manifest says; URLs stay as the test has them."""
    found = faults(manifest)
    assert not found, found
    features, settings = manifest.get("features", {}), manifest.get("settings", {})
    app.name = features.get("bot_user", {}).get("display_name", app.name)
    app.scopes.clear()
    app.scopes.update(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ()))
    app.socket_mode = settings.get("socket_mode_enabled", False)
    app.interactivity = settings.get("interactivity", {}).get("is_enabled", False)
    app.home_tab = features.get("app_home", {}).get("home_tab_enabled", False)
    commands = features.get("slash_commands", ())
    app.commands = {one["command"]: one.get("should_escape", False) for one in commands}
    shortcuts = features.get("shortcuts", ())
    app.shortcuts = {one["callback_id"]: one["type"] for one in shortcuts}
    app.events = set(settings.get("event_subscriptions", {}).get("bot_events", ()))


def urls(manifest: Any) -> dict[str, str]:
    """Return the addresses that Slack would post to, by what they are for."""
    settings = manifest.get("settings", {})
    found = {
        "interactivity": settings.get("interactivity", {}).get("request_url"),
        "events": settings.get("event_subscriptions", {}).get("request_url"),
    }
    for command in manifest.get("features", {}).get("slash_commands", ()):
        found[command["command"]] = command.get("url")
    return {name: url for name, url in found.items() if url}


def reach(app: App, manifest: Any, host: str) -> None:
    """Let what the manifest sends to its own host go to this one."""
    found = {
        name: host + re.sub(r"^https://[^/]+", "", url) for name, url in urls(manifest).items()
    }
    app.interactivity_url = found.pop("interactivity", "")
    app.events_url = found.pop("events", "")
    app.commands_url = next(iter(found.values()), "")


def _section(value: Any, at: str, parts: Mapping[str, Check], *, required: str = "") -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{at}: must be a mapping"]
    found = [f"{at}/{key}: unknown property" for key in value if key not in parts]
    found += [f"{at}/{key}: is required" for key in required.split() if key not in value]
    for key, check in parts.items():
        if key in value:
            found += check(value, at)
    return found


def _mapping(key: str, parts: Mapping[str, Check], required: str = "") -> Check:
    return lambda v, at: _section(v[key], f"{at}/{key}", parts, required=required)


def _text(key: str, least: int, most: int) -> Check:
    return lambda v, at: string(v, key, most, at, least=least)


def _flag(key: str) -> Check:
    return lambda v, at: flag(v, key, at)


def _url(key: str, most: int) -> Check:
    def check(value: Any, at: str) -> list[str]:
        found = string(value, key, most, at)
        if not found and not _URL.fullmatch(value[key]):
            found.append(f"{at}/{key}: must be an https URL")
        return found

    return check


def _colour(value: Any, at: str) -> list[str]:
    good = _COLOUR.fullmatch(str(value["background_color"]))
    return [] if good else [f"{at}/background_color: must be a colour such as #1d3557"]


def _command(value: Any, at: str) -> list[str]:
    good = str(value["command"]).startswith("/") and " " not in str(value["command"])
    wrong = [] if good else [f"{at}/command: must begin with / and have no spaces"]
    return wrong + string(value, "command", 32, at, least=2)


def _listed(key: str, most: int, parts: Mapping[str, Check], required: str) -> Check:
    def check(value: Any, at: str) -> list[str]:
        given = value[key]
        if not isinstance(given, list) or not 1 <= len(given) <= most:
            return [f"{at}/{key}: must be a list of 1 to {most}"]
        return [
            fault
            for number, one in enumerate(given)
            for fault in _section(one, f"{at}/{key}/{number}", parts, required=required)
        ]

    return check


def _words(key: str, most: int, known: frozenset[str] | None) -> Check:
    def check(value: Any, at: str) -> list[str]:
        given = value[key]
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            return [f"{at}/{key}: must be a list of words"]
        found = [f"{at}/{key}: no more than {most}"] if len(given) > most else []
        if len(set(given)) != len(given):
            found.append(f"{at}/{key}: an entry stands there twice")
        if known is not None:
            found += [f"{at}/{key}: {one} is unknown" for one in given if one not in known]
        return found

    return check


_SECTIONS: Mapping[str, Check] = {
    "_metadata": _mapping(
        "_metadata",
        {
            "major_version": lambda v, at: whole(v, "major_version", 1, 2, at),
            "minor_version": lambda v, at: whole(v, "minor_version", 0, 99, at),
        },
    ),
    "display_information": _mapping(
        "display_information",
        {
            "name": _text("name", 1, 35),
            "description": _text("description", 1, 140),
            "long_description": _text("long_description", 175, 4000),
            "background_color": _colour,
        },
        required="name",
    ),
    "features": _mapping(
        "features",
        {
            "app_home": _mapping(
                "app_home",
                {
                    "home_tab_enabled": _flag("home_tab_enabled"),
                    "messages_tab_enabled": _flag("messages_tab_enabled"),
                    "messages_tab_read_only_enabled": _flag("messages_tab_read_only_enabled"),
                },
            ),
            "bot_user": _mapping(
                "bot_user",
                {
                    "display_name": _text("display_name", 1, 80),
                    "always_online": _flag("always_online"),
                },
                required="display_name",
            ),
            "slash_commands": _listed(
                "slash_commands",
                50,
                {
                    "command": _command,
                    "url": _url("url", 3000),
                    "description": _text("description", 1, 2000),
                    "usage_hint": _text("usage_hint", 1, 1000),
                    "should_escape": _flag("should_escape"),
                },
                required="command description",
            ),
            "shortcuts": _listed(
                "shortcuts",
                10,
                {
                    "name": _text("name", 1, 24),
                    "type": lambda v, at: one_of(v, "type", ("global", "message"), at),
                    "callback_id": _text("callback_id", 1, 255),
                    "description": _text("description", 1, 150),
                },
                required="name type callback_id description",
            ),
        },
    ),
    "oauth_config": _mapping(
        "oauth_config",
        {
            "redirect_urls": _words("redirect_urls", 1000, None),
            "scopes": _mapping(
                "scopes",
                {"bot": _words("bot", 255, SCOPES), "user": _words("user", 255, None)},
            ),
            "pkce_enabled": _flag("pkce_enabled"),
        },
    ),
    "settings": _mapping(
        "settings",
        {
            "event_subscriptions": _mapping(
                "event_subscriptions",
                {
                    "request_url": _url("request_url", 3500),
                    "bot_events": _words("bot_events", 100, frozenset(EVENTS)),
                    "user_events": _words("user_events", 100, None),
                },
            ),
            "interactivity": _mapping(
                "interactivity",
                {
                    "is_enabled": _flag("is_enabled"),
                    "request_url": _url("request_url", 3500),
                    "message_menu_options_url": _url("message_menu_options_url", 3500),
                },
                required="is_enabled",
            ),
            "org_deploy_enabled": _flag("org_deploy_enabled"),
            "socket_mode_enabled": _flag("socket_mode_enabled"),
            "token_rotation_enabled": _flag("token_rotation_enabled"),
            "is_hosted": _flag("is_hosted"),
            "allowed_ip_address_ranges": _words("allowed_ip_address_ranges", 10, None),
        },
    ),
}


def _together(manifest: Any) -> list[str]:
    """What is wrong between the sections, each of which is right by itself."""
    features, settings = manifest.get("features", {}), manifest.get("settings", {})
    scopes = set(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ()))
    commands, shortcuts = features.get("slash_commands", ()), features.get("shortcuts", ())
    events = settings.get("event_subscriptions", {})
    interactivity = settings.get("interactivity", {})
    found = []
    if scopes and "bot_user" not in features:
        found.append("/features/bot_user: is required for a bot token's scopes")
    if (commands or shortcuts) and "commands" not in scopes:
        found.append("/oauth_config/scopes/bot: commands is needed by commands and shortcuts")
    found += [
        f"/oauth_config/scopes/bot: {EVENTS[event]} is needed by {event}"
        for event in events.get("bot_events", ())
        if EVENTS[event] and EVENTS[event] not in scopes
    ]
    if shortcuts and not interactivity.get("is_enabled"):
        found.append("/settings/interactivity: must be enabled for shortcuts")
    if not settings.get("socket_mode_enabled"):
        if interactivity.get("is_enabled") and "request_url" not in interactivity:
            found.append("/settings/interactivity/request_url: is required without Socket Mode")
        if events.get("bot_events") and "request_url" not in events:
            found.append(
                "/settings/event_subscriptions/request_url: is required without Socket Mode"
            )
        found += [
            f"/features/slash_commands/{number}/url: is required without Socket Mode"
            for number, one in enumerate(commands)
            if "url" not in one
        ]
    names = [one["command"] for one in commands]
    ids = [one["callback_id"] for one in shortcuts]
    if len(set(names)) != len(names) or len(set(ids)) != len(ids):
        found.append("/features: a command or a callback_id stands there twice")
    return found
