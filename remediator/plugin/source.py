"""The contract of sources: one sender's payload dialect → a `Notification`. Pure, no I/O."""

from abc import ABC, abstractmethod
from typing import ClassVar

from remediator.model.alerts import Notification


class Rejected(Exception):
    """The body can never be accepted; answered with 4xx, which senders do not try again.

    `field` is a path into the body, `alerts[3].startsAt`, empty for the body as a whole.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class Source(ABC):
    """Served at `POST /webhook/<name>[/SENDER]`."""

    name: ClassVar[str]

    @abstractmethod
    def parse(self, body: bytes) -> Notification:
        """Parse one request body.

        Raises:
            Rejected: it is not a document of this dialect.
        """
