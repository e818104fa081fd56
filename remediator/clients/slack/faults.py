"""What an answer of Slack's that is no success means: later, gone, never, or for an operator.

Pure. Used by `client` and `socket`.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from remediator.clients.errors import ClientError, Missing, Refused, Unavailable, retry_after

REPAIRED_AFTER = timedelta(minutes=1)
"""What an operator must repair: asked again soon after it was, and until then nobody is
disturbed."""

_LONGEST_REASON = 300
_LATER = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "message_limit_exceeded",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
    }
)
_GONE = frozenset(
    {"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"}
)
_TOKEN = "check slack.bot_token; the app must be installed in the workspace"  # noqa: S105 - advice
_APP_TOKEN = "check slack.app_token, xapp-…, with the scope connections:write"  # noqa: S105 - advice
_PERMIT = "the workspace's settings keep the app out; ask its administrators"
# What an operator can repair, and how.
ADVICE: Mapping[str, str] = {
    "not_authed": _TOKEN,
    "invalid_auth": _TOKEN,
    "account_inactive": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
    "missing_scope": "give the app the scope {scope} and install it again",
    "channel_not_found": "a channel is named by its id (C…); invite the app if it is private",
    "not_in_channel": "invite the app to the channel: /invite @remediator",
    "is_archived": "the channel is archived; name another in slack.channel or slack.routes",
    "not_allowed_token_type": "slack.bot_token must be the bot's token, xoxb-…",
    "access_denied": _PERMIT,
    "accesslimited": _PERMIT,
    "ekm_access_denied": _PERMIT,
    "enterprise_is_restricted": _PERMIT,
    "no_permission": _PERMIT,
    "org_login_required": _PERMIT,
    "restricted_action": _PERMIT,
    "team_access_not_granted": _PERMIT,
    "team_added_to_org": _PERMIT,
}
_APP_ADVICE: Mapping[str, str] = {
    **dict.fromkeys(("not_authed", "invalid_auth", "token_revoked", "token_expired"), _APP_TOKEN),
    "account_inactive": _APP_TOKEN,
    "not_allowed_token_type": "slack.app_token must be the app-level token, xapp-…",
    "missing_scope": "the app-level token needs the scope connections:write",
    "forbidden_team": _PERMIT,
}
# These speak of one channel; whatever goes to another is not concerned.
_OF_CHANNEL = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action"})
_NOT_THERE = frozenset({"channel_not_found", "not_in_channel", "is_archived"})
_SCOPES: Mapping[str, str] = {
    "chat": "chat:write",
    "conversations": "channels:history",
    "usergroups": "usergroups:read",
}


class InChannel(Unavailable):
    """Later, and only in this channel."""

    def __init__(self, message: str, after: timedelta | None, channel: str) -> None:
        super().__init__(message, after)
        self.channel = channel


class Throttled(InChannel):
    """Slack, or our own pace, asks for patience."""


class NotAllowed(Unavailable):
    """The app lacks a scope for it."""


def throttled(what: str, wait_s: float, channel: str) -> Throttled:
    """Return what is raised for a call that must wait."""
    return Throttled(what, timedelta(seconds=wait_s), channel)


def of(method: str, response: Any, *, channel: str = "", known: bool = True) -> ClientError:
    """Return what an answer that is no success means.

    Args:
        method: what was called.
        response: slack_sdk's, or aiohttp's where the body was no JSON.
        channel: the channel that it was about.
        known: that channel is one of the settings'; one that was left behind is followed, not
            repaired.
    """
    status: Any = getattr(response, "status_code", None) or getattr(response, "status", 0)
    body = getattr(response, "data", None)
    code = str(body.get("error", "")) if isinstance(body, dict) else ""
    what = f"Slack {method}: {code or f'HTTP {status}'}"
    if status == 429 or code in _LATER:
        after = retry_after(getattr(response, "headers", {}).get("Retry-After"))
        if status == 429 or after is not None:
            return Throttled(what, after, channel)
        return Unavailable(what)
    if code in _GONE or (not known and code in _NOT_THERE):
        return Missing(what)
    if code in ADVICE:
        return _repair(what, method, code, body, channel)
    if status >= 500 or status == 408 or (status == 200 and not code):
        return Unavailable(what)
    if not code:  # not Slack's words: a proxy on the way, or the wrong address
        return Unavailable(f"{what}: check slack.api_url and the proxy", REPAIRED_AFTER)
    details = body.get("response_metadata") if isinstance(body, dict) else None
    messages = details.get("messages", ()) if isinstance(details, dict) else ()
    reason = "; ".join(str(m) for m in messages)[:_LONGEST_REASON]
    return Refused(f"{what}: {reason}" if reason else what)


def of_app(code: str, what: str) -> Unavailable:
    """Return what is wrong where Slack gives no Socket Mode connection: all of it may be mended."""
    advice = _APP_ADVICE.get(code)
    return Unavailable(f"{what}: {advice}", REPAIRED_AFTER) if advice else Unavailable(what)


def _repair(what: str, method: str, code: str, body: Any, channel: str) -> ClientError:
    needed = body.get("needed") if isinstance(body, dict) else None
    scope = str(needed or _SCOPES.get(method.split(".", maxsplit=1)[0], "that it lacks"))[:100]
    said = f"{what}: {ADVICE[code].format(scope=scope)}"
    if code == "missing_scope":
        return NotAllowed(said, REPAIRED_AFTER)
    if code in _OF_CHANNEL and channel:
        return InChannel(said, REPAIRED_AFTER, channel)
    return Unavailable(said, REPAIRED_AFTER)
