"""Errors of opening and using a journal, beside the outcomes in `values`."""


class CannotOpen(Exception):
    """The journal can't be opened; the text says what is wrong and what to do."""


class InUse(CannotOpen):
    """A daemon on this machine has the journal.

    Args:
        holder: its process.
    """

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


class ReadOnly(Exception):
    """A write was asked of a journal that was opened for reading."""
