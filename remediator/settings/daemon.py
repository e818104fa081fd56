"""How this daemon keeps its journal, works and logs."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from remediator.model.quantities import Duration, format_duration
from remediator.settings.section import Section

# What is kept tells a late or doubled notification from a new one; peers may be days behind.
MIN_RETENTION = timedelta(days=7)


class PostgresSettings(Section):
    """How a journal on PostgreSQL is used; `journal` says where it is."""

    password: SecretStr | None = None
    """In place of one in the URL."""
    isolation: Literal["read committed", "serializable"] = "read committed"
    """`serializable` for engines that speak PostgreSQL's protocol and have nothing else; slower."""
    listen_notify: bool = True
    """Whether replicas wake each other. Without it they look every two seconds."""
    lease: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(minutes=1))] = timedelta(
        seconds=3
    )
    """A replica that was not seen for so long is declared dead, and others take up its runs within
    two more seconds. A pause of the process that is longer makes it start anew."""


class Audit(Section):
    """Signing of the audit chain's heads."""

    signing_key_file: Path | None = None
    """An Ed25519 private key (PEM). Default: made beside the journal at first start; on PostgreSQL
    in `var/`, each replica its own, so give all the same file there."""
    anchor_file: Path | None = None
    """Signed heads are appended here as JSON lines; keep it on another disk or machine."""
    anchor_every: Duration = timedelta(minutes=1)
    retention: Duration | None = None
    """How long audit records are kept, at least 7d; all of them unless this is set. The chain stays
    provable from where it then begins; run `remediator audit export` before they go."""

    @field_validator("retention")
    @classmethod
    def _keeps_enough(cls, given: timedelta | None) -> timedelta | None:
        if given is not None and given < MIN_RETENTION:
            raise ValueError(f"must be {format_duration(MIN_RETENTION)} or longer")
        return given


class Worker(Section):
    """How runs are carried on."""

    concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    """Runs in hand at once; a run that waits for a person or a time is not in hand."""
    poll: Duration = timedelta(seconds=2)
    """How often a settling target, and the alert during verify, are looked at."""
    hold: Duration = timedelta(seconds=15)
    """How long to wait before asking again: Alertmanager out of reach, target busy."""
    give_up: Duration = timedelta(minutes=30)
    """How long a run may be held before anything was changed; then it fails and escalates."""


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"  # console on a terminal, JSON otherwise
    JSON = "json"
    CONSOLE = "console"


class Log(Section):
    """The daemon's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: LogFormat = LogFormat.AUTO
