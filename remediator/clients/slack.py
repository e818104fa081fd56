"""The Slack app: post, edit, answer a click; and the check that a request really is Slack's.

Must not decide what people read: text and blocks come from `notify.slack`. Tries nothing twice:
the outbox keeps what was not delivered, in order, across a restart, and a second retry policy in
here could only post twice or sleep through a long `Retry-After` while other notes wait. So
slack_sdk's retry handlers are off, and `Unavailable.after` carries Slack's wish to the outbox.

slack_sdk is imported when the first message goes out: commands that never talk to Slack, and
daemons without it, start without its cost.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp

from remediator.clients.errors import ClientError, Missing, Refused, Unavailable, retry_after
from remediator.model.canonical import JSONObject
from remediator.model.clock import aware
from remediator.observe import logs
from remediator.settings import SlackSettings

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

log = logs.get(__name__)

SIGNATURE_WINDOW = timedelta(minutes=5)
"""Slack's own advice; an older request may be a replay."""

# Two calls fit into the time that the outbox gives one delivery.
_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 5.0
# Answers to clicks that are on their way; people can't click faster, an attacker must not fill us.
_MOST_ANSWERS = 100
_LONGEST_REASON = 300
# What an operator must repair: asked again soon after it was, and until then nobody is disturbed.
_REPAIRED_AFTER = timedelta(minutes=1)

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
_PERMIT = "the workspace's settings keep the app out; ask its administrators"
# What an operator can repair, and how.
_ADVICE = {
    "not_authed": _TOKEN,
    "invalid_auth": _TOKEN,
    "account_inactive": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
    "missing_scope": "give the app the scope chat:write and install it again",
    "channel_not_found": "slack.channel must be the channel's id (C…); invite the app if it is "
    "private",
    "not_in_channel": "invite the app to the channel: /invite @remediator",
    "is_archived": "the channel is archived; set slack.channel to another",
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
_NOT_THERE = frozenset({"channel_not_found", "not_in_channel", "is_archived"})


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message is: what `update` and replies need."""

    channel: str
    ts: str


class SlackClient:
    """One Slack app in one workspace. Connects when first used."""

    def __init__(self, settings: SlackSettings, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._web: AsyncWebClient | None = None
        self._answers: set[asyncio.Task[None]] = set()

    @property
    def channel(self) -> str:
        """The id of the channel that new messages go to."""
        return self._settings.channel

    async def close(self) -> None:
        """Drop the answers that are on their way, let the connections go. Idempotent."""
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)
        session, self._session, self._web = self._session, None, None
        if session is not None:
            await session.close()

    async def post(
        self,
        text: str,
        blocks: Sequence[JSONObject],
        *,
        under: Posted | None = None,
        broadcast: bool = False,
    ) -> Posted:
        """Post a message to the channel, or a reply into a thread.

        Args:
            text: what phones show in a notification; mrkdwn, already escaped.
            blocks: what people read.
            under: the message whose thread it goes into.
            broadcast: show the reply in the channel as well.

        Raises:
            Unavailable, Refused: as for every call.
            Missing: the message it was to go under is gone.
        """
        arguments: dict[str, Any] = {}
        if under is not None:
            arguments = {"thread_ts": under.ts, "reply_broadcast": broadcast}
        answer = await self._call(
            "chat.postMessage",
            {
                "channel": under.channel if under else self.channel,
                "text": text,
                "blocks": list(blocks),
                # Alert text must not become links, previews or mentions by itself.
                "parse": "none",
                "link_names": False,
                "unfurl_links": False,
                "unfurl_media": False,
                **arguments,
            },
        )
        return Posted(str(answer["channel"]), str(answer["ts"]))

    async def update(self, posted: Posted, text: str, blocks: Sequence[JSONObject]) -> None:
        """Edit a message in place.

        Raises:
            Unavailable, Refused: as for every call.
            Missing: the message is gone, or can't be edited any more.
        """
        await self._call(
            "chat.update",
            {
                "channel": posted.channel,
                "ts": posted.ts,
                "text": text,
                "blocks": list(blocks),
                "parse": "none",
                "link_names": False,
            },
        )

    def answer_later(self, response_url: str, text: str) -> None:
        """Tell the person who clicked, and nobody else; returns at once.

        The click must be acknowledged within three seconds whatever becomes of this. A
        `response_url` dies after 30 minutes or 5 uses, so failing is harmless and only logged.
        """
        if not response_url or len(self._answers) >= _MOST_ANSWERS:
            log.warning("no answer to a click", pending=len(self._answers))
            return
        task = asyncio.create_task(self._answer(response_url, text))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    def verified(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> bool:
        """Whether a request is signed with our signing secret, and fresh.

        Args:
            body: the exact bytes.
            headers: names in lower case.
            now: the time to measure the request's age by.
        """
        secret = self._settings.signing_secret
        if not secret:
            log.warning("a Slack request was refused: set slack.signing_secret")
            return False
        return signed(
            body,
            timestamp=headers.get("x-slack-request-timestamp", ""),
            signature=headers.get("x-slack-signature", ""),
            secret=secret.get_secret_value(),
            now=now,
        )

    async def _answer(self, response_url: str, text: str) -> None:
        body = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            async with self._opened().post(
                response_url, json=body, timeout=aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
            ) as response:
                if response.status != 200:
                    log.info("a click's answer was not taken", status=response.status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.info("a click's answer was not delivered", error=type(error).__name__)

    async def _call(self, method: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call one method of the Web API.

        Raises:
            Unavailable: no answer, a throttle (`after` says how long), a fault at Slack; or
                something that an operator must repair: the text says what to do.
            Missing: the message is gone.
            Refused: Slack will never take this message.
        """
        from slack_sdk.errors import SlackApiError  # noqa: PLC0415 - see the module's docstring

        send = self._method(method)
        try:
            answer = (await send(**arguments)).data
        except SlackApiError as error:
            elsewhere = arguments["channel"] != self.channel
            raise _failure(method, error.response, elsewhere=elsewhere) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise Unavailable(
                "Slack: slack.api_url is no http or https URL", _REPAIRED_AFTER
            ) from None
        except TimeoutError:
            raise Unavailable(f"Slack {method}: no answer within {self._timeout_s:g}s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"Slack {method}: {type(error).__name__}") from None
        if not isinstance(answer, dict):
            raise Unavailable(f"Slack {method}: the answer is not Slack's")
        return answer

    def _method(self, method: str) -> Callable[..., Awaitable[Any]]:
        if self._web is None:
            from slack_sdk.web.async_client import AsyncWebClient  # noqa: PLC0415 - likewise

            token = self._settings.bot_token
            if token is None:
                raise Unavailable("no Slack app is known: set slack.bot_token", _REPAIRED_AFTER)
            self._web = AsyncWebClient(
                token=token.get_secret_value(),
                base_url=self._settings.api_url,
                session=self._opened(),
                retry_handlers=[],
            )
            # slack_sdk takes HTTPS_PROXY and passes over NO_PROXY; our session obeys both.
            self._web.proxy = None
        known: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "chat.postMessage": self._web.chat_postMessage,
            "chat.update": self._web.chat_update,
        }
        return known[method]

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session


def signed(body: bytes, *, timestamp: str, signature: str, secret: str, now: datetime) -> bool:
    """Whether `signature` is Slack's for this body, and `timestamp` is within five minutes of now.

    Source: Slack's «Verifying requests from Slack», version v0: HMAC-SHA256 of
    `v0:timestamp:body`. Our own rather than slack_sdk's verifier, which raises on a timestamp that
    is no number and on a signature beyond ASCII, and reads the clock by itself.
    """
    # Ten digits last until 2286; more would only make the arithmetic overflow.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 10):
        return False
    age_s = abs(aware(now).timestamp() - int(timestamp))
    if age_s > SIGNATURE_WINDOW.total_seconds():
        return False
    signed_part = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed_part, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))


def _failure(method: str, response: Any, *, elsewhere: bool) -> ClientError:
    """Return what an answer that is no success means.

    Args:
        method: what was called.
        response: slack_sdk's, or aiohttp's where the body was no JSON.
        elsewhere: it was about a message in another channel than the one that is configured.
    """
    status: Any = getattr(response, "status_code", None) or getattr(response, "status", 0)
    body = getattr(response, "data", None)
    code = str(body.get("error", "")) if isinstance(body, dict) else ""
    what = f"Slack {method}: {code or f'HTTP {status}'}"
    if status == 429 or code in _LATER:
        return Unavailable(what, retry_after(getattr(response, "headers", {}).get("Retry-After")))
    # A channel that was left behind when another was configured is not repaired, but followed.
    if code in _GONE or (elsewhere and code in _NOT_THERE):
        return Missing(what)
    if code in _ADVICE:
        return Unavailable(f"{what}: {_ADVICE[code]}", _REPAIRED_AFTER)
    if status >= 500 or status == 408 or (status == 200 and not code):
        return Unavailable(what)
    if not code:  # not Slack's words: a proxy on the way, or the wrong address
        return Unavailable(f"{what}: check slack.api_url and the proxy", _REPAIRED_AFTER)
    details = body.get("response_metadata") if isinstance(body, dict) else None
    messages = details.get("messages", ()) if isinstance(details, dict) else ()
    reason = "; ".join(str(m) for m in messages)[:_LONGEST_REASON]
    return Refused(f"{what}: {reason}" if reason else what)
