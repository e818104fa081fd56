"""What a notifier makes of its client's errors, in one place. Used by the plugins in `notify`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from remediator.clients import errors
from remediator.model.views import Note, NoteKind
from remediator.plugin.notifier import Refused, Undelivered

UNTIL_REPAIRED = timedelta(minutes=1)
"""What an operator can repair is tried again so often."""


@contextmanager
def telling(note: Note | None) -> Iterator[None]:
    """Turn a client's errors into a notifier's; without a note, those of a storm's message.

    What an operator can repair waits for it; an escalation does not, so that the next of the chain
    is called at once.
    """
    try:
        yield
    except errors.Unavailable as error:
        raise Undelivered(str(error), error.after) from None
    except errors.Forbidden as error:
        if note is not None and note.kind is NoteKind.ESCALATION:
            raise Refused(str(error)) from None
        raise Undelivered(str(error), UNTIL_REPAIRED) from None
    except errors.ClientError as error:
        raise Refused(str(error)) from None
