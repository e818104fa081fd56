"""What a plugin may use while it works: clients by type, the time, what was learned, a log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

Client = TypeVar("Client")


class Log(Protocol):
    """A structured log; run, incident and runbook are already bound."""

    def info(self, event: str, **values: object) -> object:
        """Log an ordinary event."""
        ...

    def warning(self, event: str, **values: object) -> object:
        """Log what an operator should look at."""
        ...


class Context(Protocol):
    """Handed to every call of a plugin."""

    @property
    def run_id(self) -> str:
        """The run on whose behalf the plugin works; names field managers and labels."""
        ...

    @property
    def log(self) -> Log:
        """The log with the run's names bound."""
        ...

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that nobody sets, to measure how long something takes."""
        ...

    def client(self, kind: type[Client]) -> Client:
        """Return the daemon's client of this class.

        Raises:
            Permanent: the settings configure no such client; the message names the setting.
        """
        ...

    async def prove_alive(self) -> None:
        """Return once it is certain that this run is still this daemon's to change the world for.

        An action calls this right before each request that changes something, after it has read
        what that request's precondition compares: a daemon that stood still in between may have
        been replaced, and the change made and taken back meanwhile. What is raised here is not for
        actions to catch.
        """

    async def facts(self, kind: str, subject: str) -> Sequence[str]:
        """Return what earlier results recorded as facts of this kind about this subject."""
        ...
