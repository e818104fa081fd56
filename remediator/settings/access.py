"""Who may post, ask and act: senders, API tokens and roles, and the listener they come to."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from remediator.model.quantities import Duration
from remediator.settings.section import Section


class Role(StrEnum):
    """What the holder of an API token may do; each includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"  # decide, cancel, run by hand, pause
    ADMIN = "admin"  # reload, resume interrupted runs

    def includes(self, other: "Role") -> bool:
        """Whether this role may do whatever the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class ApiToken(Section):
    """One bearer token of the API; its name is the identity `api:<name>` in approvals and audit."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$")]
    token: SecretStr
    role: Role = Role.VIEWER


class Api(Section):
    """Who may use the API, the CLI and /metrics. Without tokens only loopback is served."""

    tokens: tuple[ApiToken, ...] = ()

    @model_validator(mode="after")
    def _one_holder(self) -> "Api":
        """A token is one holder's; a name may have several, while one replaces the other."""
        roles: dict[str, Role] = {}
        holders: dict[str, str] = {}
        for token in self.tokens:
            if roles.setdefault(token.name, token.role) is not token.role:
                raise ValueError(f"{token.name} has tokens of different roles; name one otherwise")
            holder = holders.setdefault(token.token.get_secret_value(), token.name)
            if holder != token.name:
                raise ValueError(f"{holder} and {token.name} have the same token")
        return self


class Roles(Section):
    """Who has which role besides API tokens, which have their own: identities (`slack:U0123`),
    people and groups of these settings, `slack-group:S…`, `schedule:NAME`."""

    viewer: tuple[str, ...] = ()
    """May look."""
    operator: tuple[str, ...] = ()
    """May also start, cancel, snooze and pause."""
    admin: tuple[str, ...] = ()
    """May do everything."""


class Schedule(Section):
    """Who is on call when, for `schedule:NAME` among approvers: from a file, or from PagerDuty."""

    file: Path | None = None
    """A YAML file with a rotation, shifts or both; read anew for each decision."""
    pagerduty: Annotated[str, Field(pattern="^[A-Z0-9]+$")] | None = None
    """The id of a PagerDuty schedule, P…; needs pagerduty.api_token."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "Schedule":
        if (self.file is None) == (self.pagerduty is None):
            raise ValueError("give file or pagerduty, one of the two")
        return self


class Sender(Section):
    """One Alertmanager, or one HA cluster of them, that may post to /webhook/<source>/<SENDER>."""

    bearer_token: SecretStr | None = None
    """The token in `Authorization: Bearer …`."""
    basic_username: str | None = None
    basic_password: SecretStr | None = None
    client_names: tuple[str, ...] = ()
    """Common or alternative names of client certificates that are let in (mTLS)."""
    alertmanager: tuple[str, ...] = ()
    """Base URLs of all its peers, asked before anything is changed whether the alert still fires.
    Without one, remediator has only the last webhook's word for it."""
    silences: bool = True
    """Whether runbooks may silence the noise of their changes there (`silence:`)."""
    alertmanager_warmup: Duration = timedelta(minutes=2)
    """An Alertmanager forgets its alerts when it restarts, and hears of them again with its
    senders' next round. Until it is this old, its silence about an alert proves nothing."""

    @model_validator(mode="after")
    def _basic_is_whole(self) -> "Sender":
        if (self.basic_username is None) != (self.basic_password is None):
            raise ValueError("basic_username and basic_password go together")
        return self

    @property
    def authenticates(self) -> bool:
        """Whether anything is asked of this sender."""
        return bool(self.bearer_token or self.basic_username or self.client_names)


class Tls(Section):
    """TLS of the listener; with `client_ca_file` client certificates are asked for and checked."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


class Http(Section):
    """Bounds of the listener."""

    max_body_mib: Annotated[int, Field(ge=1, le=1024)] = 64
    """One notification. 20,000 alerts in one body are about 20 MiB; a larger body answers 413,
    which Alertmanager does not try again, so be generous."""
    write_queue: Annotated[int, Field(ge=1, le=100_000)] = 4096
    """Journal operations that may wait; beyond it a notification is answered 503 and comes back."""
