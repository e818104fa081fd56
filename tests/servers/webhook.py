"""A webhook receiver: it keeps what Alertmanager sends, and answers as it is told."""

import json
from typing import Any

from .endpoint import Endpoint, QuietHandler
from .waiting import eventually


class WebhookReceiver(Endpoint):
    """For tests that look at what a sender sends."""

    def __init__(self) -> None:
        self.status = 200
        """What the next requests are answered with."""
        self.notifications: list[dict[str, Any]] = []
        """The bodies, in the order of their arrival, whatever they were answered with."""
        receiver = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:  # noqa: N802 - the base calls it so
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.notifications.append(json.loads(body))
                self.answer(receiver.status)

        super().__init__(Handler)

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://{self.address}/"

    def wait(self, count: int = 1, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """The notifications, once there are at least `count`."""
        return eventually(
            lambda: self.notifications[:] if len(self.notifications) >= count else [],
            timeout_s,
            what=f"{count} notifications",
        )
