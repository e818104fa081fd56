"""The Slack app's calls: messages, modals, App Home, user groups; whether a request is Slack's.

Must not decide what people read: text and blocks come from `notify.slack`. Tries nothing twice:
the outbox keeps what was not delivered, in order, across a restart, and a second retry policy in
here could only post twice or sleep through a long `Retry-After` while other notes wait. So
slack_sdk's retry handlers are off, and `Unavailable.after` carries Slack's wish to the outbox.

slack_sdk is imported when the first message goes out: commands that never talk to Slack, and
daemons without it, start without its cost.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aiohttp

from remediator.clients.errors import ClientError, Refused, Unavailable
from remediator.clients.slack import faults, routing, signing
from remediator.clients.slack.pace import Pace
from remediator.clients.slack.routing import Route
from remediator.clients.slack.socket import Handle, Socket
from remediator.model.canonical import JSONObject
from remediator.model.clock import aware
from remediator.observe import logs, metrics
from remediator.settings import SlackSettings

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

log = logs.get(__name__)

# Three calls fit into the time that the outbox gives one delivery.
_TIMEOUT_S = 9.0
_ANSWER_TIMEOUT_S = 5.0
# Answers to clicks that are on their way; people can't click faster, an attacker must not fill us.
_MOST_ANSWERS = 100
_EVENT = "remediator_note"
# Pages of a channel that are looked through for one message; 200 is what Slack advises for a page.
_PAGE = 200
_MOST_PAGES = 3
_MOST_MEMBERS_PAGES = 20


OnCall = Callable[[Sequence[str]], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message is: what `update` and replies need."""

    channel: str
    ts: str


class SlackClient:
    """One Slack app in one workspace. Connects when first used.

    Args:
        settings: the app's.
        groups: the settings' groups, for whom a route rings.
        people: the settings' people, likewise.
        timeout_s: for one call.
        monotonic: the clock that the pace is measured by.
    """

    def __init__(
        self,
        settings: SlackSettings,
        groups: Mapping[str, Sequence[str]] | None = None,
        people: Mapping[str, Sequence[str]] | None = None,
        *,
        timeout_s: float = _TIMEOUT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._web: AsyncWebClient | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self._pace = Pace(monotonic)
        self._may_read = True
        self.routes: tuple[Route, ...] = tuple(
            routing.of_settings(settings, groups or {}, people or {})
        )
        """The last one matches every run."""
        self.on_call: OnCall | None = None
        """Who is on call by the schedules of these names, as identities; `app` sets it."""
        self._channels = frozenset(route.channel for route in self.routes)

    @property
    def channel(self) -> str:
        """The id of the channel that messages go to which no route sends elsewhere."""
        return self._settings.channel

    @property
    def takes_answers(self) -> bool:
        """Whether a press of a button can reach us; else there are none."""
        return self._settings.answers

    async def close(self) -> None:
        """Drop the answers that are on their way, let the connections go. Idempotent."""
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)
        session, self._session, self._web = self._session, None, None
        if session is not None:
            await session.close()

    async def rung_by(self, routes: Sequence[Route]) -> list[str]:
        """Return the ids of all whom these routes ring, and of whoever is on call by them now."""
        ids = [one for route in routes for one in route.mention]
        schedules = [one for route in routes for one in route.schedules]
        on_call = await self.on_call(schedules) if self.on_call and schedules else ()
        return [*ids, *(one.removeprefix("slack:") for one in on_call)]

    # --- messages

    async def post(
        self,
        text: str,
        blocks: Sequence[JSONObject],
        *,
        channel: str = "",
        under: Posted | None = None,
        broadcast: bool = False,
        key: str = "",
    ) -> Posted:
        """Post a message to a channel, or a reply into a thread.

        Args:
            text: what phones show in a notification; mrkdwn, already escaped.
            blocks: what people read.
            channel: where; the settings' one unless told otherwise.
            under: the message whose thread it goes into.
            broadcast: show the reply in the channel as well.
            key: by what `find` knows it again.

        Raises:
            Unavailable, Refused: as for every call.
            Missing: the message it was to go under is gone.
        """
        arguments: dict[str, Any] = {}
        if under is not None:
            arguments = {"thread_ts": under.ts, "reply_broadcast": broadcast}
        if key:
            arguments["metadata"] = {"event_type": _EVENT, "event_payload": {"key": key}}
        answer = await self._call(
            "chat.postMessage",
            {
                "channel": under.channel if under else channel or self.channel,
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

    async def find(
        self, key: str, *, since: datetime, channel: str = "", under: Posted | None = None
    ) -> Posted | None:
        """Look for a message that an earlier attempt may have posted with this key.

        None also where the app may not read the channel: Slack's scopes channels:history and
        groups:history are for the operator to give or not.

        Args:
            key: what it was posted with.
            since: it is no older.
            channel: where it would be; the settings' one unless told otherwise.
            under: the message whose thread it would be in.

        Raises:
            Unavailable, Refused: as for every call.
            Missing: the message it would be under is gone.
        """
        if not self._may_read:
            return None
        where = under.channel if under else channel or self.channel
        arguments: dict[str, Any] = {
            "channel": where,
            "oldest": f"{aware(since).timestamp():.6f}",
            "limit": _PAGE,
            "include_all_metadata": True,
        }
        method = "conversations.history"
        if under is not None:
            method, arguments["ts"] = "conversations.replies", under.ts
        cursor = ""
        for _ in range(_MOST_PAGES):
            try:
                answer = await self._call(
                    method, arguments | ({"cursor": cursor} if cursor else {})
                )
            except faults.NotAllowed as error:
                self._may_read = False
                log.info(
                    "the app may not read its channels, so after a crash one line may be told "
                    "twice; give it channels:history and groups:history to prevent that",
                    error=str(error),
                )
                return None
            for message in answer.get("messages", ()):
                if _key_of(message) == key:
                    return Posted(where, str(message["ts"]))
            cursor = _cursor(answer)
            if not cursor:
                return None
        return None

    # --- modals, and App Home

    async def open_view(self, trigger_id: str, view: JSONObject) -> str:
        """Open a modal for whoever has just clicked, within Slack's 3 seconds; returns its id.

        Raises:
            Unavailable, Refused: as for every call.
        """
        answer = await self._call("views.open", {"trigger_id": trigger_id, "view": view})
        return _view_id(answer)

    async def push_view(self, trigger_id: str, view: JSONObject) -> str:
        """Put a modal on top of the one that was clicked in; returns its id.

        Raises:
            Unavailable, Refused: as for every call.
        """
        answer = await self._call("views.push", {"trigger_id": trigger_id, "view": view})
        return _view_id(answer)

    async def update_view(self, view_id: str, view: JSONObject) -> None:
        """Show something else in an open modal.

        Raises:
            Unavailable, Refused: as for every call; it may have been closed.
        """
        await self._call("views.update", {"view_id": view_id, "view": view})

    async def publish_home(self, user_id: str, view: JSONObject) -> None:
        """Show this as one person's App Home.

        Raises:
            Unavailable, Refused: as for every call.
        """
        await self._call("views.publish", {"user_id": user_id, "view": view})

    # --- people

    async def group_members(self, group_id: str) -> frozenset[str]:
        """Return the ids of the users in a user group.

        Raises:
            Unavailable, Refused: as for every call; the group may be switched off. Whoever asks
                lets nobody in then.
        """
        members: set[str] = set()
        cursor = ""
        for _ in range(_MOST_MEMBERS_PAGES):
            arguments = {"usergroup": group_id, "include_disabled": False}
            answer = await self._call(
                "usergroups.users.list", arguments | ({"cursor": cursor} if cursor else {})
            )
            members.update(str(user) for user in answer.get("users", ()))
            cursor = _cursor(answer)
            if not cursor:
                return frozenset(members)
        raise Refused(f"Slack usergroups.users.list: {group_id[:40]} has too many members")

    # --- what people do

    async def listen(self, handle: Handle, stopping: asyncio.Event) -> None:
        """Take clicks and commands over Socket Mode until told to stop.

        Returns at once where no `app_token` is set.
        """
        token = self._settings.app_token
        if token is None:
            return
        socket = Socket(self._settings.api_url, token.get_secret_value(), handle)
        await socket.run(stopping)

    def answer_later(self, response_url: str, text: str) -> None:
        """Tell the person who clicked, and nobody else; returns at once.

        The click must be acknowledged within three seconds whatever becomes of this. A
        `response_url` dies after 30 minutes or 5 uses, so failing is harmless and only logged.
        """
        if not response_url:
            log.warning("no answer to a click: Slack gave no address for one")
            return
        self.soon(self._answer(response_url, text))

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this after the click was acknowledged; returns at once.

        Failing, or too much at once, is harmless: people press again.
        """
        if len(self._answers) >= _MOST_ANSWERS:
            work.close()
            metrics.LIMIT_HIT.labels(limit="slack_answers").inc()
            log.warning("no answer to a click", pending=len(self._answers))
            return
        task = asyncio.create_task(work)
        self._answers.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: "asyncio.Task[None]") -> None:
        self._answers.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ClientError):
            log.info("an answer to a click was not shown", error=str(error))
        elif error is not None:
            log.error("an answer to a click broke", exc_info=error)

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
        return signing.signed(
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
        channel = str(arguments.get("channel", ""))
        if wait_s := self._pace.wait_s(method, channel):
            metrics.LIMIT_HIT.labels(limit="slack_pace").inc()
            raise faults.throttled(f"Slack {method}: at our own pace", wait_s, channel)
        try:
            answer = (await send(**arguments)).data
        except SlackApiError as error:
            known = not channel or channel in self._channels
            fault = faults.of(method, error.response, channel=channel, known=known)
            self._mind(method, channel, fault)
            raise fault from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise Unavailable(
                "Slack: slack.api_url is no http or https URL", faults.REPAIRED_AFTER
            ) from None
        except TimeoutError:
            raise Unavailable(f"Slack {method}: no answer within {self._timeout_s:g}s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"Slack {method}: {type(error).__name__}") from None
        if not isinstance(answer, dict):
            raise Unavailable(f"Slack {method}: the answer is not Slack's")
        return answer

    def _mind(self, method: str, channel: str, fault: ClientError) -> None:
        if isinstance(fault, faults.Throttled) and fault.after is not None:
            metrics.LIMIT_HIT.labels(limit="slack_throttled").inc()
            self._pace.close(method, channel, fault.after.total_seconds())

    def _method(self, method: str) -> Callable[..., Awaitable[Any]]:
        if self._web is None:
            from slack_sdk.web.async_client import AsyncWebClient  # noqa: PLC0415 - likewise

            token = self._settings.bot_token
            if token is None:
                raise Unavailable(
                    "no Slack app is known: set slack.bot_token", faults.REPAIRED_AFTER
                )
            self._web = AsyncWebClient(
                token=token.get_secret_value(),
                base_url=self._settings.api_url,
                session=self._opened(),
                retry_handlers=[],
            )
            # slack_sdk takes HTTPS_PROXY and passes over NO_PROXY; our session obeys both.
            self._web.proxy = None
        web = self._web
        known: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "chat.postMessage": web.chat_postMessage,
            "chat.update": web.chat_update,
            "conversations.history": web.conversations_history,
            "conversations.replies": web.conversations_replies,
            "usergroups.users.list": web.usergroups_users_list,
            "views.open": web.views_open,
            "views.push": web.views_push,
            "views.update": web.views_update,
            "views.publish": web.views_publish,
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


def _key_of(message: Any) -> str:
    metadata = message.get("metadata") if isinstance(message, dict) else None
    if not isinstance(metadata, dict) or metadata.get("event_type") != _EVENT:
        return ""
    payload = metadata.get("event_payload")
    return str(payload.get("key", "")) if isinstance(payload, dict) else ""


def _cursor(answer: Mapping[str, Any]) -> str:
    more = answer.get("response_metadata")
    return str(more.get("next_cursor") or "") if isinstance(more, dict) else ""


def _view_id(answer: Mapping[str, Any]) -> str:
    view = answer.get("view")
    return str(view.get("id", "")) if isinstance(view, dict) else ""
