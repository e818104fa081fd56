"""What Alertmanager says when it is asked whether an alert fires right now."""

from enum import StrEnum


class Signal(StrEnum):
    """The answer of all peers of one sender, taken together."""

    FIRING = "firing"  # at least one peer says so
    RESOLVED = "resolved"  # at least one peer answers, and none says that it fires
    UNKNOWN = "unknown"  # no peer answers; whoever asks must not act on a guess
    NOT_CONFIGURED = "not_configured"  # the sender has no address to ask
