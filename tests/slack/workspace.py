"""What a Slack workspace holds, as a person reads it: channels, messages, threads, private words.

No HTTP in here; `server` fills it.
"""

import copy
import html
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.slack import blockkit

_CONTROL = re.compile(r"<([^<>]*)>")


@dataclass
class Message:
    """One message. `edits` counts how often it was changed in place."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str | None = None
    broadcast: bool = False
    edits: int = 0

    @property
    def raw(self) -> str:
        """All text of the blocks (of `text` where there are none), unparsed."""
        return "\n".join(blockkit.texts(self.blocks)) if self.blocks else self.text

    @property
    def words(self) -> str:
        """What a person reads: entities decoded, links and dates as they are shown."""
        return html.unescape(_CONTROL.sub(_shown, self.raw))

    @property
    def mentions(self) -> list[str]:
        """Whom it rings, in blocks and in the notification's text: `!channel`, `@U123`."""
        found = _CONTROL.findall(f"{self.raw}\n{self.text}")
        rings = [one for one in found if one.startswith(("@", "!")) and not one.startswith("!date")]
        return sorted(set(rings))

    @property
    def links(self) -> list[str]:
        """Where a click on the text may lead."""
        found = _CONTROL.findall(f"{self.raw}\n{self.text}")
        return [one.split("|")[0] for one in found if not one.startswith(("@", "!", "#"))]

    @property
    def buttons(self) -> list[dict[str, Any]]:
        """The buttons that can be pressed."""
        return [
            element | {"block_id": block.get("block_id", "")}
            for block in self.blocks
            if block["type"] == "actions"
            for element in block["elements"]
        ]

    def button(self, label: str) -> dict[str, Any]:
        """Return the button with this label."""
        labels = [one["text"]["text"] for one in self.buttons]
        assert label in labels, f"there is no button {label!r}, only {labels}"
        return self.buttons[labels.index(label)]

    def as_seen(self) -> "Message":
        """Return the message as a screen shows it that was not refreshed since."""
        return copy.deepcopy(self)


def _shown(match: re.Match[str]) -> str:
    target, _, label = match[1].partition("|")
    return label or target


@dataclass
class Channel:
    """A channel; `invited` says whether the app is in it."""

    id: str
    invited: bool = True
    archived: bool = False
    everything: list[Message] = field(default_factory=list)

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


@dataclass(frozen=True)
class Private:
    """Words that only one user sees."""

    channel: str
    user: str
    text: str


@dataclass
class ResponseUrl:
    """Where an app may answer one click: 5 times within 30 minutes."""

    channel: str
    message_ts: str
    user: str
    expires_at: float
    uses: int = 0


@dataclass(frozen=True)
class Click:
    """What became of one press of a button."""

    status: int
    took_s: float
    body: bytes
    response_url: str

    @property
    def acknowledged(self) -> bool:
        """Whether Slack would show no warning: a 200 with no body to speak of within 3 seconds."""
        return self.status == 200 and self.took_s < 3.0


@dataclass
class Bucket:
    """A token bucket: `burst` at once, then `per_s` each second."""

    burst: float
    per_s: float
    level: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level, self.at = self.burst, time.monotonic()

    def take(self) -> float:
        """Take one; returns how many seconds to wait where there is none."""
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.at) * self.per_s)
        self.at = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.per_s


def message_json(message: Message) -> Mapping[str, Any]:
    """Return a message as the API shows it."""
    shown: dict[str, Any] = {
        "type": "message",
        "user": message.user,
        "bot_id": "B0REMEDI8",
        "ts": message.ts,
        "text": message.text,
        "blocks": message.blocks,
    }
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
    return shown


def page(messages: Sequence[Message], limit: int) -> list[Mapping[str, Any]]:
    """Return messages as the API lists them."""
    return [message_json(one) for one in messages[:limit]]
