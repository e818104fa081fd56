"""Errors of opening and using a journal, beside the outcomes in `protocol`."""


class CannotOpen(Exception):
    """The journal can't be opened; the text says what is wrong and what to do."""


class ReadOnly(Exception):
    """A write was asked of a journal that was opened for reading."""
