"""Whom the daemon talks to: a Slack channel and a pager, both on loopback.

For tests whose waiting blocks: the two servers' event loop runs in a thread of its own.
"""

from collections.abc import Sequence
from typing import Any

from tests.notify.pagerduty_server import PagerDuty
from tests.servers.loop import Loop
from tests.servers.process import Server
from tests.servers.waiting import eventually
from tests.slack.delivery import Click
from tests.slack.fixtures import CHANNEL, workspace
from tests.slack.server import Outage
from tests.slack.workspace import Message

ALICE = "U0ALICE01"
"""She may decide."""
MALLORY = "U0MALLORY"
"""She may not."""


class People(Server):
    """A workspace with one channel, which the daemon writes to and people click in; a pager."""

    def __init__(self) -> None:
        self.slack = workspace()
        self.pager = PagerDuty()
        self._loop = Loop()

    def start(self) -> None:
        """Starts both."""
        self._loop.start()
        self._loop.call(self.slack.start())
        self._loop.call(self.pager.start())

    def stop(self) -> None:
        """Stops both."""
        if self._loop.running:
            self._loop.call(self.pager.stop())
            self._loop.call(self.slack.stop())
        self._loop.stop()

    def settings(self) -> dict[str, Any]:
        """What the daemon's settings say of them."""
        return {
            "pagerduty": {"routing_key": self.pager.routing_key, "api_url": self.pager.url},
            "slack": {
                "bot_token": self.slack.token,
                "signing_secret": self.slack.signing_secret,
                "channel": CHANNEL,
                "api_url": self.slack.api_url,
            },
            "groups": {"sre-oncall": [f"slack:{ALICE}"]},
            "default_approvers": ["sre-oncall"],
        }

    def answer_to(self, url: str) -> None:
        """Clicks go to the daemon at this base URL."""
        self.slack.app_url = f"{url}/slack/interactions"

    def slack_breaks(self, kind: Outage) -> None:
        """Slack refuses connections, answers 500, or takes requests and never answers."""
        self._loop.call(self.slack.outage(kind))

    def slack_recovers(self) -> None:
        """Slack works again."""
        self._loop.call(self.slack.recover())

    def slack_is_slow(self, slow: bool) -> None:
        """Slack posts what it is asked to, and answers that only when it is no longer slow."""

        async def change() -> None:
            if slow:
                self.slack.hold_answers("chat.postMessage")
            else:
                self.slack.answer()

        self._loop.call(change())

    def click(self, message: Message, label: str, *, user: str = ALICE) -> Click:
        """A person presses a button."""
        return self._loop.call(self.slack.click(message, label, user=user))

    @property
    def messages(self) -> list[Message]:
        """What the channel shows, without threads; a broadcast reply is shown too."""
        return list(self.slack.channel(CHANNEL).messages)

    def asked(self, timeout_s: float = 30.0) -> Message:
        """The message with the buttons, once there is one."""
        return eventually(
            lambda: [one for one in self.messages if one.buttons],
            timeout_s,
            what="a message with buttons",
        )[0]

    def thread(self, message: Message) -> list[str]:
        """What stands in a message's thread, a line for each reply; what the daemon was killed in
        telling may stand there twice, and is one line here.
        """
        lines = [one.words for one in self.slack.channel(CHANNEL).thread(message.ts)]
        return [line for number, line in enumerate(lines) if lines[:number][-1:] != [line]]

    def read(self, message: Message, *lines: str) -> None:
        """Waits until the message's thread says just this, line by line."""

        def look() -> bool:
            found = self.thread(message)
            assert found == list(lines), f"it says {found}"
            return True

        eventually(look, 20.0, what=f"the thread to say {lines}")

    def told(
        self, message: Message, *words: str, buttons: Sequence[str] = (), timeout_s: float = 20.0
    ) -> str:
        """What the message says, once it has all of these words and no buttons but these."""

        def look() -> bool:
            left = [button["text"]["text"] for button in message.buttons]
            assert left == list(buttons), f"there are the buttons {left}"
            assert all(word in message.words for word in words), f"it says {message.words}"
            return True

        eventually(look, timeout_s, what=f"the message to say {words}")
        return message.words
