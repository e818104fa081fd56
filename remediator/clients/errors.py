"""What a client raises, whatever the vendor's SDK raised: four outcomes, each with a sentence.

Clients stand below the plugins, so these are not the plugins' errors; each family of plugins
maps them in one place. The text is for people and holds no secret.
"""

from datetime import timedelta

RETRY_AT_MOST = timedelta(minutes=5)
"""The longest wait that a server's Retry-After may ask for; beyond, we look for ourselves."""


# More digits than this are far beyond the longest wait, and need not be read.
_MOST_DIGITS = 9


class ClientError(Exception):
    """The base of what a client raises."""


class Unavailable(ClientError):
    """It may work later: no answer, a throttle, a fault on the other side."""

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after
        """When the other side said to try again."""


class Refused(ClientError):
    """It will not work by trying again: forbidden, invalid, badly configured."""


class Forbidden(Refused):
    """An operator must repair it: a credential, a permission, an address. Then it will work."""


class Missing(ClientError):
    """What was asked for does not exist."""


class Conflict(ClientError):
    """A precondition of the request does not hold: read again before deciding anything."""


def retry_after(said: object) -> timedelta | None:
    """Read a `Retry-After` in seconds, up to `RETRY_AT_MOST`; None where nothing useful is said.

    The other form, a date, is not sent by the services that are asked here.
    """
    text = str(said).strip()
    if not (text.isascii() and text.isdigit()) or not int(text[:_MOST_DIGITS]):
        return None
    return min(timedelta(seconds=int(text[:_MOST_DIGITS])), RETRY_AT_MOST)
