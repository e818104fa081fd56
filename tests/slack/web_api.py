"""The Web API's methods: messages, conversations, users, user groups. Views are in `view_api`.

Each refuses what the real one refuses, by the errors on its reference page. Called by `server`,
which has checked the token and the pace; scopes are checked here, as they depend on the channel.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from tests.slack.app import App
from tests.slack.arguments import (
    LONGEST_EDIT,
    Arguments,
    content,
    flag,
    metadata,
    page,
)
from tests.slack.errors import ApiError
from tests.slack.workspace import (
    BOT_ID,
    BOT_USER,
    TEAM_ID,
    Channel,
    Message,
    Private,
    User,
    UserGroup,
    Workspace,
    message_json,
)

Method = Callable[[Arguments], Mapping[str, Any]]


class WebApi:
    """What the bot token may call."""

    def __init__(self, workspace: Workspace, app: App) -> None:
        self._workspace = workspace
        self._app = app
        self.methods: Mapping[str, Method] = {
            "auth.test": self._auth_test,
            "chat.delete": self._delete,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.info": self._info,
            "conversations.open": self._open,
            "conversations.replies": self._replies,
            "usergroups.list": self._groups,
            "usergroups.users.list": self._group_members,
            "users.info": self._user,
        }

    def need(self, scope: str) -> None:
        """Refuse unless the bot token has this scope."""
        if scope not in self._app.scopes:
            provided = ",".join(sorted(self._app.scopes))
            raise ApiError("missing_scope", needed=scope, provided=provided)

    def edit(self, channel: str, ts: str, arguments: Arguments) -> Message:
        """Change one of the app's messages in place; blocks that are not given stay."""
        message = self._own(channel, ts, "cant_update_message")
        kept = {} if "blocks" in arguments else {"blocks": message.blocks}
        message.text, message.blocks = content({**arguments, **kept}, longest=LONGEST_EDIT)
        if "metadata" in arguments:
            message.metadata = metadata(arguments)
        message.edits += 1
        message.edited_ts = self._workspace.stamp()
        return message

    # -- who

    def _auth_test(self, _: Arguments) -> Mapping[str, Any]:
        return {
            "url": "https://loopback.slack.com/",
            "team": "loopback",
            "user": self._app.name,
            "team_id": TEAM_ID,
            "user_id": BOT_USER,
            "bot_id": BOT_ID,
            "is_enterprise_install": False,
        }

    def _user(self, arguments: Arguments) -> Mapping[str, Any]:
        self.need("users:read")
        return {"user": user_json(self._known(str(arguments.get("user", ""))))}

    def _known(self, user: str) -> User:
        if user not in self._workspace.users:
            raise ApiError("user_not_found")
        return self._workspace.users[user]

    def _groups(self, arguments: Arguments) -> Mapping[str, Any]:
        self.need("usergroups:read")
        shown = [
            group_json(one, with_users=flag(arguments, "include_users"))
            for one in self._workspace.groups.values()
            if not one.disabled or flag(arguments, "include_disabled")
        ]
        return {"usergroups": shown}

    def _group_members(self, arguments: Arguments) -> Mapping[str, Any]:
        self.need("usergroups:read")
        group = self._workspace.groups.get(str(arguments.get("usergroup", "")))
        if group is None or (group.disabled and not flag(arguments, "include_disabled")):
            raise ApiError("no_such_subteam")
        return {"users": list(group.users)}

    # -- messages

    def _post(self, arguments: Arguments) -> Mapping[str, Any]:
        self.need("chat:write")
        channel = self._writable(arguments)
        text, blocks = content(arguments)
        under, broadcast = arguments.get("thread_ts"), flag(arguments, "reply_broadcast")
        if under is not None:
            parent = channel.find(str(under))
            if parent is None:
                raise ApiError("thread_not_found")
            if parent.thread_ts is not None:
                raise ApiError("cannot_reply_to_message")
        message = Message(
            channel.id,
            self._workspace.stamp(),
            BOT_USER,
            text,
            copy.deepcopy(blocks),
            thread_ts=str(under) if under is not None else None,
            broadcast=under is not None and broadcast,
            metadata=metadata(arguments),
            client_msg_id=arguments.get("client_msg_id"),
            reader=self._workspace.reader,
        )
        self._workspace.post(message)
        return {
            "channel": channel.id,
            "ts": message.ts,
            "message": message_json(message, metadata=True),
        }

    def _update(self, arguments: Arguments) -> Mapping[str, Any]:
        self.need("chat:write")
        channel = self._writable(arguments)
        message = self.edit(channel.id, str(arguments.get("ts", "")), arguments)
        return {
            "channel": channel.id,
            "ts": message.ts,
            "text": message.text,
            "message": message_json(message),
        }

    def _delete(self, arguments: Arguments) -> Mapping[str, Any]:
        self.need("chat:write")
        channel = self._writable(arguments)
        message = self._own(channel.id, str(arguments.get("ts", "")), "cant_delete_message")
        channel.delete(message)
        return {"channel": channel.id, "ts": message.ts}

    def _post_ephemeral(self, arguments: Arguments) -> Mapping[str, Any]:
        self.need("chat:write")
        channel = self._writable(arguments)
        user = str(arguments.get("user", ""))
        if user not in self._workspace.users:
            raise ApiError("user_not_in_channel")
        text, blocks = content(arguments)
        private = Private(
            channel.id,
            self._workspace.stamp(),
            user,
            text,
            copy.deepcopy(blocks),
            thread_ts=arguments.get("thread_ts"),
            reader=self._workspace.reader,
        )
        self._workspace.private.append(private)
        return {"message_ts": private.ts}

    def _own(self, channel: str, ts: str, refusal: str) -> Message:
        message = self._workspace.channels[channel].find(ts)
        if message is None:
            raise ApiError("message_not_found")
        if message.user != BOT_USER:
            raise ApiError(refusal)
        return message

    # -- conversations

    def _history(self, arguments: Arguments) -> Mapping[str, Any]:
        channel = self._readable(arguments, "history")
        oldest = float(arguments.get("oldest") or 0)
        latest = float(arguments.get("latest") or "inf")
        inclusive = flag(arguments, "inclusive")
        newest_first = [
            one
            for one in reversed(channel.messages)
            if oldest < float(one.ts) < latest or (inclusive and float(one.ts) in (oldest, latest))
        ]
        messages, about = page(newest_first, arguments, 999)
        return {"messages": self._shown(channel, messages, arguments), **about}

    def _replies(self, arguments: Arguments) -> Mapping[str, Any]:
        channel = self._readable(arguments, "history")
        parent = channel.find(str(arguments.get("ts", "")))
        if parent is None:
            raise ApiError("thread_not_found")
        root = parent.thread_ts or parent.ts
        oldest = float(arguments.get("oldest") or 0)
        whole = [m for m in channel.everything if root in (m.ts, m.thread_ts)]
        whole = [m for m in whole if m.ts == root or float(m.ts) > oldest]
        messages, about = page(whole, {"limit": 1000, **arguments}, 1000)
        return {"messages": self._shown(channel, messages, arguments), **about}

    def _shown(
        self, channel: Channel, messages: list[Message], arguments: Arguments
    ) -> list[dict[str, Any]]:
        shown = []
        for one in messages:
            body = message_json(one, metadata=flag(arguments, "include_all_metadata"))
            replies = channel.thread(one.ts)
            if replies:
                body |= {
                    "thread_ts": one.ts,
                    "reply_count": len(replies),
                    "latest_reply": replies[-1].ts,
                    "reply_users": sorted({reply.user for reply in replies}),
                }
            shown.append(body)
        return shown

    def _info(self, arguments: Arguments) -> Mapping[str, Any]:
        channel = self._readable(arguments, "read")
        return {
            "channel": {
                "id": channel.id,
                "name": channel.name,
                "is_channel": not channel.dm_with,
                "is_im": bool(channel.dm_with),
                "is_private": channel.private,
                "is_archived": channel.archived,
                "is_member": channel.invited,
            }
        }

    def _open(self, arguments: Arguments) -> Mapping[str, Any]:
        self.need("im:write")
        self._known(str(arguments.get("users", "")))
        return {"channel": {"id": self._workspace.direct(str(arguments["users"])).id}}

    def _found(self, arguments: Arguments) -> Channel:
        """The channel that is named; a private one that the app is not in might as well not be."""
        name = str(arguments.get("channel", ""))
        channel = self._workspace.channels.get(name)
        if channel is None or (channel.private and not channel.invited):
            raise ApiError("channel_not_found")
        return channel

    def _readable(self, arguments: Arguments, right: str) -> Channel:
        channel = self._found(arguments)
        family = "im" if channel.dm_with else "groups" if channel.private else "channels"
        self.need(f"{family}:{right}")
        if not channel.invited and right == "history":
            raise ApiError("not_in_channel")
        return channel

    def _writable(self, arguments: Arguments) -> Channel:
        name = str(arguments.get("channel", ""))
        if name in self._workspace.users and name != BOT_USER:
            return self._workspace.direct(name)
        channel = self._found(arguments)
        if channel.archived:
            raise ApiError("is_archived")
        if not channel.invited and "chat:write.public" not in self._app.scopes:
            raise ApiError("not_in_channel")
        return channel


def user_json(user: User) -> dict[str, Any]:
    """Return a member as the API shows one."""
    return {
        "id": user.id,
        "team_id": TEAM_ID,
        "name": user.name,
        "deleted": False,
        "is_bot": user.is_bot,
        "tz": "Etc/UTC",
        "profile": {"display_name": user.name, "real_name": user.name},
    }


def group_json(group: UserGroup, *, with_users: bool) -> dict[str, Any]:
    """Return a user group as the API shows one."""
    shown: dict[str, Any] = {
        "id": group.id,
        "team_id": TEAM_ID,
        "is_usergroup": True,
        "handle": group.handle,
        "name": group.handle,
        "date_delete": int(group.disabled),
        "user_count": len(group.users),
    }
    return shown | ({"users": list(group.users)} if with_users else {})
