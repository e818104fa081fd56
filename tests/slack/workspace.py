"""What a Slack workspace holds, as a person reads it: channels, messages, threads, private words,
user groups, what rings.

No HTTP in here; `web_api` fills it on behalf of the app, `person` on behalf of people.
"""

import copy
import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tests.slack import blockkit, mrkdwn
from tests.slack.views import View

BOT_USER = "U0REMEDI8"
BOT_ID = "B0REMEDI8"
TEAM_ID = "T01"

_CONTROL = re.compile(r"<([^<>]*)>")


def _nobody() -> mrkdwn.Reader:
    return mrkdwn.Reader({}, datetime(1970, 1, 1, tzinfo=UTC))


@dataclass
class Readable:
    """Text and blocks, as they are read."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[dict[str, Any]]
    reader: Callable[[], mrkdwn.Reader] = field(
        default=_nobody, kw_only=True, repr=False, compare=False
    )

    @property
    def at(self) -> datetime:
        """When it was posted."""
        return datetime.fromtimestamp(float(self.ts), UTC)

    @property
    def raw(self) -> str:
        """All text of the blocks (of `text` where there are none), unparsed."""
        return "\n".join(blockkit.texts(self.blocks)) if self.blocks else self.text

    @property
    def words(self) -> str:
        """What is written: entities decoded, links and dates by their labels, styles unread."""
        return html.unescape(_CONTROL.sub(_label, self.raw))

    @property
    def shown(self) -> str:
        """What a person sees: styles done, mentions by name, dates in UTC, a line for each text."""
        reader = self.reader()
        if not self.blocks:
            return mrkdwn.plain(mrkdwn.parse(self.text), reader)
        return "\n".join(_lines(self.blocks, reader))

    @property
    def notification(self) -> str:
        """What a phone shows."""
        if self.text:
            return mrkdwn.plain(mrkdwn.parse(self.text), self.reader())
        return self.shown

    @property
    def mentions(self) -> list[str]:
        """Whom it rings, in blocks and in the notification's text: `!channel`, `@U123`."""
        found = _CONTROL.findall(f"{self.raw}\n{self.text}")
        rings = [one for one in found if one.startswith(("@", "!")) and not one.startswith("!date")]
        for one in _texts(self.blocks):
            if one["type"] == "mrkdwn" and not one.get("verbatim"):
                rings += mrkdwn.bare_mentions(one["text"])
        return sorted(set(rings))

    @property
    def links(self) -> list[str]:
        """Where a click on the text may lead."""
        found = _CONTROL.findall(f"{self.raw}\n{self.text}")
        return [one.split("|")[0] for one in found if not one.startswith(("@", "!", "#"))]

    @property
    def buttons(self) -> list[dict[str, Any]]:
        """The buttons that can be pressed."""
        return [one for one in elements(self.blocks) if one["type"] == "button"]

    def button(self, label: str) -> dict[str, Any]:
        """Return the button with this label."""
        labels = [one["text"]["text"] for one in self.buttons]
        assert label in labels, f"there is no button {label!r}, only {labels}"
        return self.buttons[labels.index(label)]


@dataclass
class Message(Readable):
    """One message. `edits` counts how often it was changed in place."""

    thread_ts: str | None = None
    broadcast: bool = False
    edits: int = 0
    metadata: dict[str, Any] | None = None
    client_msg_id: str | None = None
    edited_ts: str = ""

    def as_seen(self) -> "Message":
        """Return the message as a screen shows it that was not refreshed since."""
        return replace(self, blocks=copy.deepcopy(self.blocks))


@dataclass
class Private(Readable):
    """Words that only one user sees; `user` is who sees them."""

    thread_ts: str | None = None


@dataclass(frozen=True)
class Notification:
    """Something that rings on a person's phone."""

    user: str
    channel: str
    ts: str
    text: str


@dataclass
class Channel:
    """A channel; `invited`: the app is in it. A direct one is with one person, `dm_with`."""

    id: str
    invited: bool = True
    archived: bool = False
    everything: list[Message] = field(default_factory=list)
    name: str = ""
    private: bool = False
    dm_with: str = ""

    @property
    def messages(self) -> list[Message]:
        """What the channel shows: no replies, unless they were sent to the channel as well."""
        return [m for m in self.everything if m.thread_ts is None or m.broadcast]

    def thread(self, ts: str) -> list[Message]:
        """Return the replies to a message."""
        return [m for m in self.everything if m.thread_ts == ts]

    def find(self, ts: str) -> Message | None:
        """Return the message of this time stamp."""
        return next((m for m in self.everything if m.ts == ts), None)

    def delete(self, message: Message) -> None:
        """Delete a message, as its author or an administrator may."""
        self.everything.remove(message)


@dataclass
class User:
    """A member of the workspace."""

    id: str
    name: str
    is_bot: bool = False


@dataclass
class UserGroup:
    """A user group: `@sre-oncall` rings its members."""

    id: str
    handle: str
    users: list[str] = field(default_factory=list)
    disabled: bool = False


class Workspace:
    """Everything that people and the app have made."""

    def __init__(self, channels: tuple[str, ...], now: Callable[[], datetime]) -> None:
        self.now = now
        self.channels = {name: Channel(name, name="oncall") for name in channels}
        self.users = {BOT_USER: User(BOT_USER, "remediator", is_bot=True)}
        self.groups: dict[str, UserGroup] = {}
        self.private: list[Private] = []
        self.rung: list[Notification] = []
        self.modals: dict[str, list[View]] = {}
        """The modals that are open before each person, the topmost last."""
        self.homes: dict[str, View] = {}
        self._last_us = 0

    def reader(self) -> mrkdwn.Reader:
        """How ids are called here, and what time it is."""
        names = {one.id: one.name for one in self.users.values()}
        names |= {one.id: one.handle for one in self.groups.values()}
        names |= {one.id: one.name for one in self.channels.values()}
        return mrkdwn.Reader(names, self.now())

    def person(self, user: str) -> User:
        """Return a member; one who is not known yet joins, and is called as the id says."""
        name = user.removeprefix("U0").removeprefix("U").lower()
        return self.users.setdefault(user, User(user, name))

    def direct(self, user: str) -> Channel:
        """Return the direct channel of the app and this person."""
        made = Channel(f"D{user[1:]}", name=self.person(user).name, private=True, dm_with=user)
        return self.channels.setdefault(made.id, made)

    def stamp(self) -> str:
        """Return a time stamp that no message has."""
        self._last_us = max(self._last_us + 1, round(self.now().timestamp() * 1_000_000))
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def post(self, message: Message) -> None:
        """Put a message into its channel and ring whom it concerns; an edit rings nobody."""
        channel = self.channels[message.channel]
        channel.everything.append(message)
        for user in sorted(self._rings(message, channel) - {message.user}):
            self.rung.append(Notification(user, channel.id, message.ts, message.notification))

    def open_views(self) -> Iterator[View]:
        """Every modal and Home tab there is."""
        for stack in self.modals.values():
            yield from stack
        yield from self.homes.values()

    def _rings(self, message: Message, channel: Channel) -> set[str]:
        people = {one.id for one in self.users.values() if not one.is_bot}
        rung = {channel.dm_with} if channel.dm_with else set()
        for mention in message.mentions:
            target = mention.split("|")[0]
            if target in ("!here", "!channel", "!everyone"):
                rung |= people
            elif target.startswith("!subteam^"):
                group = self.groups.get(target.removeprefix("!subteam^"))
                rung |= set(group.users) if group and not group.disabled else set()
            elif target.startswith("@") and target[1:] in people:
                rung.add(target[1:])
        if message.thread_ts:
            parent = channel.find(message.thread_ts)
            wrote = [*channel.thread(message.thread_ts), *([parent] if parent else [])]
            rung |= {one.user for one in wrote} & people
        return rung


def elements(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what can be pressed or chosen, each with its `block_id`, in reading order."""
    return [
        one | {"block_id": block.get("block_id", "")}
        for block in blocks
        for one in (
            *([block["accessory"]] if "accessory" in block else []),
            *(block["elements"] if block["type"] == "actions" else []),
        )
        if one["type"] != "image"
    ]


def message_json(message: Message, *, metadata: bool = False) -> dict[str, Any]:
    """Return a message as the API shows it."""
    shown: dict[str, Any] = {
        "type": "message",
        "user": message.user,
        "ts": message.ts,
        "text": message.text,
        "blocks": message.blocks,
        "team": TEAM_ID,
    }
    if message.user == BOT_USER:
        shown |= {"bot_id": BOT_ID, "app_id": "A01"}
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
        if message.broadcast:
            shown["subtype"] = "thread_broadcast"
    if message.edits:
        shown["edited"] = {"user": BOT_ID, "ts": message.edited_ts}
    if message.client_msg_id:
        shown["client_msg_id"] = message.client_msg_id
    if metadata and message.metadata:
        shown["metadata"] = message.metadata
    return copy.deepcopy(shown)


def _label(match: re.Match[str]) -> str:
    target, _, label = match[1].partition("|")
    return label or target


def _texts(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if value.get("type") in ("mrkdwn", "plain_text"):
            yield value
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _lines(blocks: list[dict[str, Any]], reader: mrkdwn.Reader) -> Iterator[str]:
    for block in blocks:
        if block["type"] == "divider":
            yield "———"
            continue
        if block["type"] == "image":
            yield f"[{block['alt_text']}]"
            continue
        remarks = [
            one
            for one in block.get("elements", ())
            if one["type"] in ("mrkdwn", "plain_text", "image")
        ]
        own = [block[key] for key in ("text", "label", "hint") if key in block]
        for one in (*own, *block.get("fields", ()), *remarks):
            yield f"[{one['alt_text']}]" if one["type"] == "image" else shown_text(one, reader)
        pressed = [e for e in elements([block]) if e["type"] == "button"]
        if pressed:
            yield " ".join(f"[{shown_text(e['text'], reader)}]" for e in pressed)


def shown_text(value: Mapping[str, Any], reader: mrkdwn.Reader) -> str:
    """Return a text object as it is seen."""
    if value["type"] == "mrkdwn":
        nodes = mrkdwn.parse(value["text"], verbatim=bool(value.get("verbatim")))
        return mrkdwn.plain(nodes, reader)
    text = str(value["text"])
    return mrkdwn.emoji(text) if value.get("emoji", True) else text


def view_shown(view: View, reader: mrkdwn.Reader) -> str:
    """Return a view as it is seen: its title, its blocks, what the app found wrong."""
    wrong = [f"! {text}" for text in view.errors.values()]
    return "\n".join([*([view.title] if view.title else []), *_lines(view.blocks, reader), *wrong])
