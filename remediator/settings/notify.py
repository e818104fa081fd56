"""Who is told, and how: one section for each notifier."""

from base64 import b64decode
from binascii import Error as BinasciiError
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from remediator.settings.section import Section


class PagerDutySettings(Section):
    """Events API v2: an escalation opens an alert, the run's end resolves it."""

    routing_key: SecretStr | None = None
    """The integration key of one service's «Events API v2» integration."""
    change_events: bool = False
    """Also tell the service's list of recent changes of every change that is applied."""
    api_token: SecretStr | None = None
    """A read-only REST API key, for schedules that approvers are taken from."""
    api_url: str = "https://events.pagerduty.com"
    """`https://events.eu.pagerduty.com` for accounts in the EU region."""
    rest_url: str = "https://api.pagerduty.com"
    """`https://api.eu.pagerduty.com` for accounts in the EU region."""

    @property
    def configured(self) -> bool:
        """Whether anybody can be paged."""
        return self.routing_key is not None


class OpsgenieSettings(Section):
    """Alert API v2: an escalation opens an alert, the run's end closes it."""

    api_key: SecretStr | None = None
    """The key of an API integration that may create and update alerts."""
    region: Literal["us", "eu"] = "us"
    api_url: str = ""
    """In place of the region's address."""
    teams: tuple[str, ...] = ()
    """Names of teams that respond. Empty: whom the integration names."""
    priority: Literal["P1", "P2", "P3", "P4", "P5"] = "P1"

    @property
    def configured(self) -> bool:
        """Whether anybody can be paged."""
        return self.api_key is not None

    @property
    def address(self) -> str:
        """Where the API is."""
        host = {"us": "https://api.opsgenie.com", "eu": "https://api.eu.opsgenie.com"}[self.region]
        return (self.api_url or host).rstrip("/")


class TeamsSettings(Section):
    """A Microsoft Teams channel, through the workflow «Post to a channel when a webhook request is
    received»."""

    url: SecretStr | None = None
    """The workflow's address. Whoever knows it can post: it is a secret."""

    @property
    def configured(self) -> bool:
        """Whether there is a channel."""
        return self.url is not None


# What Standard Webhooks demands of a symmetric key.
_KEY_BYTES = (24, 64)


class Wanted(StrEnum):
    """Which notes an endpoint gets."""

    ALL = "all"
    ESCALATIONS = "escalations"  # and what becomes of the runs that escalated, like a pager


class WebhookSettings(Section):
    """One endpoint that is told in JSON, signed as Standard Webhooks has it."""

    url: SecretStr
    """Where to post: http or https. A secret, since many hold a token."""
    secret: SecretStr
    """The signing key: `whsec_` and 24 to 64 bytes in base64. Several with a space between: each
    signs, so that a key can be replaced without a gap."""
    notes: Wanted = Wanted.ALL
    """`all`, or `escalations`: like a pager, only what calls a person and what becomes of it."""

    @field_validator("secret")
    @classmethod
    def _is_a_key(cls, given: SecretStr) -> SecretStr:
        for one in given.get_secret_value().split():
            try:
                key = b64decode(one.removeprefix("whsec_"), validate=True)
            except BinasciiError:
                key = b""
            if not _KEY_BYTES[0] <= len(key) <= _KEY_BYTES[1]:
                raise ValueError(
                    "a key is `whsec_` and 24 to 64 random bytes in base64: "
                    "echo whsec_$(openssl rand -base64 32)"
                )
        return given


class EmailSecurity(StrEnum):
    """How the connection to the mail server is secured."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class EmailSettings(Section):
    """Mail; each run is one conversation."""

    host: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Default: 587 for starttls, 465 for tls, 25 for none."""
    security: EmailSecurity = EmailSecurity.STARTTLS
    """`starttls` and `tls` demand a certificate that is valid for `host`; `none` only where nobody
    listens, and never with a password."""
    ca_file: Path | None = None
    """Certificates to trust in place of the system's."""
    username: str = ""
    password: SecretStr | None = None
    from_address: str = ""
    """remediator@example.com."""
    to: tuple[str, ...] = ()
    """Addresses; all stand in To."""

    @property
    def configured(self) -> bool:
        """Whether there is a server and somebody to write to."""
        return bool(self.host and self.from_address and self.to)

    @model_validator(mode="after")
    def _whole(self) -> "EmailSettings":
        given = {"host": self.host, "from_address": self.from_address, "to": self.to}
        missing = [name for name, value in given.items() if not value]
        if missing and len(missing) < len(given):
            raise ValueError(f"{', '.join(missing)} is missing")
        if (self.password is None) != (not self.username):
            raise ValueError("username and password go together")
        if self.password is not None and self.security is EmailSecurity.NONE:
            raise ValueError("a password is sent over starttls or tls only; set security")
        for address in (*self.to, *([self.from_address] if self.from_address else [])):
            if not _is_address(address):
                raise ValueError(f"{address!r} is no mail address")
        return self


class GrafanaSettings(Section):
    """Annotations on Grafana's graphs: from when to when each change was made."""

    url: str = ""
    """https://grafana.example.com; with the path under which it is served, if any."""
    token: SecretStr | None = None
    """A service account's token with the permissions `annotations:create`, `annotations:read` and
    `annotations:write`."""
    dashboard_uid: str = ""
    """Only on this dashboard. Empty: everywhere; panels choose by the tag `remediator`."""

    @property
    def configured(self) -> bool:
        """Whether there is a Grafana."""
        return bool(self.url) and self.token is not None


class AppriseSettings(Section):
    """One service that Apprise knows."""

    url: SecretStr
    """An Apprise URL, `ntfys://host/topic` or `tgram://…`. A secret, since most hold a token."""


def _is_address(text: str) -> bool:
    name, at, domain = text.rpartition("@")
    plain = text.isascii() and text.isprintable() and not set(text) & set(' ,;:<>()[]"\\')
    return bool(at and name and domain) and plain
