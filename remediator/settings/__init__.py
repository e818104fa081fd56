"""The settings: one YAML file, every key also an environment variable `REMEDIATOR_…`.

Nested keys join with two underscores: `REMEDIATOR_KUBERNETES__CONTEXT`. A secret may also be read
from a file: `token_file` beside `token`. An unknown key is an error that names the nearest right
one. Read once at start by `app` and `cli`; everything else is handed its own section.
"""

import difflib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from remediator.model import complaints
from remediator.model.escalation import Calls
from remediator.model.policy import Policy
from remediator.model.quantities import Duration, format_duration
from remediator.settings.access import Api, ApiToken, Http, Role, Roles, Schedule, Sender, Tls
from remediator.settings.daemon import (
    MIN_RETENTION,
    Audit,
    Log,
    LogFormat,
    PostgresSettings,
    Worker,
)
from remediator.settings.notify import (
    AppriseSettings,
    EmailSecurity,
    EmailSettings,
    GrafanaSettings,
    OpsgenieSettings,
    PagerDutySettings,
    TeamsSettings,
    Wanted,
    WebhookSettings,
)
from remediator.settings.section import LinkTemplate, Pattern, Section
from remediator.settings.slack import SlackRoute, SlackSettings
from remediator.settings.systems import (
    ExecSettings,
    KubernetesSettings,
    PrometheusSettings,
    ResourcesSettings,
)

__all__ = [
    "MIN_RETENTION",
    "Api",
    "ApiToken",
    "AppriseSettings",
    "Audit",
    "EmailSecurity",
    "EmailSettings",
    "ExecSettings",
    "GrafanaSettings",
    "Http",
    "KubernetesSettings",
    "Log",
    "LogFormat",
    "OpsgenieSettings",
    "PagerDutySettings",
    "PostgresSettings",
    "PrometheusSettings",
    "ResourcesSettings",
    "Role",
    "Roles",
    "Schedule",
    "Section",
    "Sender",
    "Settings",
    "SettingsError",
    "SlackRoute",
    "SlackSettings",
    "TeamsSettings",
    "Tls",
    "Wanted",
    "WebhookSettings",
    "Worker",
    "doubts",
    "explain",
    "load",
]

ENV_PREFIX = "REMEDIATOR_"


class SettingsError(Exception):
    """The settings can't be used; the text lists each fault with its key and what to do."""


class Settings(BaseSettings):
    """All settings, with their defaults."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    listen: str = "127.0.0.1:9095"
    """Address and port; port 0 takes a free one and prints it."""
    external_url: str = ""
    """Where people reach this daemon, for links; default: from `listen`."""
    journal: str = "sqlite:///var/remediator.db"
    """`sqlite:///relative/path` or `sqlite:////absolute/path`; or, for several replicas,
    `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`."""
    runbooks: tuple[Path, ...] = (Path("runbooks"),)
    """Folders and files."""
    reload_every: Annotated[Duration, Field(ge=timedelta(milliseconds=100))] = timedelta(seconds=2)
    """How often the runbooks are looked at for changes."""
    reconcile_every: Annotated[Duration, Field(ge=timedelta(seconds=5))] = timedelta(minutes=1)
    """How often Alertmanager is asked which open incidents still fire."""
    retention: Duration = timedelta(days=90)
    """How long notifications, ended runs and resolved incidents are kept; at least 7d. Where a
    limit looks further back (a rate of 3/180d), all is kept as long as that limit looks back."""
    policy: Policy = Policy()
    policy_file: Path | None = None
    """A file that holds the policy, in place of `policy`. Looked at for changes and reloaded with
    the runbooks, all or nothing."""
    groups: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Approver groups: name → who is in it: people (`alice`), identities (`slack:U0123`,
    `api:alice`), Slack user groups (`slack-group:S0123`), whoever is on call (`schedule:sre`)."""
    schedules: Mapping[str, Schedule] = Field(default_factory=dict)
    """Who is on call: name → a file or a PagerDuty schedule."""
    people: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Identities of the same person: `alice: [slack:U0123, api:alice]`. Two yes of one person are
    one, whichever way they come."""
    roles: Roles = Roles()
    default_approvers: tuple[str, ...] = ("local",)
    """Groups or identities that may decide where a runbook names none. `local` is whoever uses the
    API or CLI on this machine while no API token is configured."""
    escalate_to: Calls = ()
    """Who is called where a runbook names nobody: notifiers, at once or later, like
    `[slack, {after: 10m, to: pagerduty}, {after: 30m, to: [opsgenie, email]}]`."""
    links: Mapping[str, LinkTemplate] = Field(default_factory=dict)
    """Links that are shown with every run, name → URL with `${{ labels.NAME }}` in it; left out
    where the alert has no such label."""
    mask: tuple[Pattern, ...] = ()
    """Regular expressions (RE2); what they match in alerts, plans and outputs is shown to people as
    `***`. Tokens, keys and passwords that look like some always are."""
    senders: Mapping[str, Sender] = Field(default_factory=lambda: {"default": Sender()})
    """Who may post notifications; `default` is the one without a name in the path."""
    api: Api = Api()
    tls: Tls | None = None
    http: Http = Http()
    kubernetes: KubernetesSettings = KubernetesSettings()
    resources: ResourcesSettings = ResourcesSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    slack: SlackSettings = SlackSettings()
    pagerduty: PagerDutySettings = PagerDutySettings()
    opsgenie: OpsgenieSettings = OpsgenieSettings()
    teams: TeamsSettings = TeamsSettings()
    email: EmailSettings = EmailSettings()
    webhooks: Mapping[
        Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$", max_length=40)], WebhookSettings
    ] = Field(default_factory=dict)
    """Endpoints that are told in signed JSON; each is a notifier `webhook:NAME`."""
    apprise: Mapping[
        Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$", max_length=40)], AppriseSettings
    ] = Field(default_factory=dict)
    """Any other service, through Apprise (`pip install 'remediator[apprise]'`); each is a notifier
    `apprise:NAME`."""
    grafana: GrafanaSettings = GrafanaSettings()
    exec: ExecSettings = ExecSettings()
    postgres: PostgresSettings = PostgresSettings()
    audit: Audit = Audit()
    worker: Worker = Worker()
    log: Log = Log()

    @model_validator(mode="after")
    def _senders_can_be_satisfied(self) -> "Settings":
        """A sender that nobody can be would be answered 401, which Alertmanager takes as final."""
        checks_certificates = self.tls is not None and self.tls.client_ca_file is not None
        for name, sender in self.senders.items():
            if sender.client_names and not checks_certificates:
                raise ValueError(
                    f"senders.{name}.client_names needs tls.client_ca_file: without it no client "
                    "certificate is asked for"
                )
        return self

    @model_validator(mode="after")
    def _rung_are_known(self) -> "Settings":
        """A misspelt group would ring nobody, and nobody would notice before it matters."""
        for mention in (self.slack.mention, *(route.mention for route in self.slack.routes)):
            for name in mention:
                kind, colon, _ = name.partition(":")
                if colon and kind not in ("slack", "slack-group", "schedule"):
                    raise ValueError(f"slack: {name!r} can't be mentioned in Slack")
                known = [*self.groups, *self.people]
                if not colon and name not in known:
                    near = difflib.get_close_matches(name, known, n=1)
                    hint = f"; did you mean {near[0]}?" if near else ""
                    raise ValueError(f"slack: mention: there is no group or person {name!r}{hint}")
        return self

    @model_validator(mode="after")
    def _one_policy(self) -> "Settings":
        if self.policy_file is not None and "policy" in self.model_fields_set:
            raise ValueError("give policy or policy_file, not both: one of them would not hold")
        return self

    @field_validator("retention")
    @classmethod
    def _keeps_enough(cls, given: timedelta) -> timedelta:
        if given < MIN_RETENTION:
            raise ValueError(f"must be {format_duration(MIN_RETENTION)} or longer")
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, as operators of containers expect."""
        return env_settings, init_settings


def load(path: Path | None, **overrides: Any) -> Settings:
    """Read the settings.

    Args:
        path: the YAML file, or None for defaults and environment alone.
        overrides: top-level values from the command line; they win over the file.

    Raises:
        SettingsError: the file can't be read or a key is unknown or wrong.
    """
    values = {**(_read(path) if path else {}), **overrides}
    unknown = _unknown_environment()
    if unknown:
        raise SettingsError("\n".join(unknown))
    try:
        return Settings(**values)
    except UnreadableVariable as error:
        raise SettingsError(
            f"{error}; write lists and maps in the environment as JSON, "
            f"""like {ENV_PREFIX}RUNBOOKS='["runbooks"]'"""
        ) from None
    except ValidationError as error:
        where = str(path) if path else "settings"
        raise SettingsError("\n".join(f"{where}: {line}" for line in explain(error))) from None


def doubts(settings: Settings) -> list[tuple[str, str]]:
    """Return what is allowed and hardly meant, as key and sentence; for the log and `check`."""
    found = []
    slack = settings.slack
    if slack.bot_token is not None and not slack.answers:
        why = "neither app_token nor signing_secret is set: nobody can answer there"
        found.append(("slack", f"slack: {why}, so its messages have no buttons"))
    if slack.bot_token is not None and not slack.channel:
        found.append(("slack", "slack: without a channel nothing is told there"))
    if slack.routes and slack.bot_token is None:
        found.append(("slack", "slack: routes are of no use without a bot_token"))
    return found


def explain(error: ValidationError) -> list[str]:
    """Return one line for each fault: its key, what is wrong, the nearest right name."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in fault["loc"]) or "settings"
        if fault["type"] == "extra_forbidden":
            *parents, wrong = fault["loc"]
            near = difflib.get_close_matches(str(wrong), _names_at(parents), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            lines.append(f"{key}: unknown key{hint}")
        else:
            lines.append(f"{key}: {complaints.plain(fault['msg'])}")
    return lines


def _names_at(path: list[int | str]) -> list[str]:
    model: Any = Settings
    for part in path:
        fields = getattr(model, "model_fields", None)
        if fields is not None and part in fields:
            model = _model_in(fields[part].annotation)
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    """Find the settings model in an annotation such as `tuple[ApiToken, ...]`."""
    if hasattr(annotation, "model_fields"):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        value = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read it: {error.strerror}") from None
    except (MarkedYAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not UTF-8 text"
        raise SettingsError(f"{path}{where}: {problem}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: the settings must be a mapping of keys")
    return value


def _unknown_environment() -> list[str]:
    """Name variables with our prefix that set nothing; pydantic-settings passes them over."""
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    # Read by the command line, the tests and the demo, not part of the settings.
    other = ("CONFIG", "URL", "TOKEN", "TOKEN_FILE")
    # Kubernetes sets these for a Service called `remediator` in every pod of its namespace.
    of_a_service = re.compile(
        ENV_PREFIX + r"(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)"
    )
    lines = []
    for name in sorted(os.environ):
        upper = name.upper()
        if not upper.startswith(ENV_PREFIX) or upper.startswith(ENV_PREFIX + "TEST_"):
            continue
        top = upper.split("__", 1)[0]
        if top in known or top.removeprefix(ENV_PREFIX) in other or of_a_service.fullmatch(upper):
            continue
        near = difflib.get_close_matches(top, known, n=1)
        lines.append(f"{name}: unknown variable" + (f"; did you mean {near[0]}?" if near else ""))
    return lines
