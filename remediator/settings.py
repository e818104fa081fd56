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
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from remediator.model.policy import Policy
from remediator.model.quantities import Duration, format_duration

ENV_PREFIX = "REMEDIATOR_"
# What is kept tells a late or doubled notification from a new one; peers may be days behind.
MIN_RETENTION = timedelta(days=7)


class SettingsError(Exception):
    """The settings can't be used; the text lists each fault with its key and what to do."""


class Section(BaseModel):
    """A part of the settings. Secrets given as `<name>_file` are read from that file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        values = dict(given)
        for name, field in cls.model_fields.items():
            path = values.get(f"{name}_file")
            if (
                path is None
                or f"{name}_file" in cls.model_fields
                or not _is_secret(field.annotation)
            ):
                continue
            if values.get(name) is not None:
                raise ValueError(f"give {name} or {name}_file, not both")
            try:
                values[name] = Path(str(path)).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"{name}_file: cannot read {path}: {error.strerror}") from None
            if not values[name]:
                raise ValueError(f"{name}_file: {path} is empty")
            del values[f"{name}_file"]
        for name, field in cls.model_fields.items():
            # A variable that is set to nothing, as Compose does it: everybody knows that secret.
            found = values.get(name)
            if isinstance(found, SecretStr):
                found = found.get_secret_value()
            if isinstance(found, str) and not found.strip() and _is_secret(field.annotation):
                raise ValueError(f"{name} is empty: give it a value, or leave it out")
        return values


def _is_secret(annotation: object) -> bool:
    return "SecretStr" in str(annotation)


class Role(StrEnum):
    """What the holder of an API token may do; each includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"  # decide, cancel, run by hand, pause
    ADMIN = "admin"  # reload, resume interrupted runs


class ApiToken(Section):
    """One bearer token of the API; its name is the identity `api:<name>` in approvals and audit."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$")]
    token: SecretStr
    role: Role = Role.VIEWER


class Api(Section):
    """Who may use the API, the CLI and /metrics. Without tokens only loopback is served."""

    tokens: tuple[ApiToken, ...] = ()


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


class KubernetesSettings(Section):
    """How to reach the API server; in a cluster the service account is found by itself."""

    kubeconfig: Path | None = None
    """Default: $KUBECONFIG, then ~/.kube/config, then the in-cluster service account."""
    context: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """For one request."""


class PrometheusSettings(Section):
    """Where `prometheus.query` asks."""

    url: str | None = None
    bearer_token: SecretStr | None = None
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0


class SlackSettings(Section):
    """The Slack app. Notes go to `channel`; buttons come back to POST /slack/interactions."""

    bot_token: SecretStr | None = None
    signing_secret: SecretStr | None = None
    channel: str = ""
    """The channel's id, C0123456789."""
    api_url: str = "https://slack.com/api/"


class PagerDutySettings(Section):
    """Events API v2."""

    routing_key: SecretStr | None = None
    api_url: str = "https://events.pagerduty.com"


class ExecSettings(Section):
    """The local commands that `exec` may start. Empty: none."""

    allow: tuple[str, ...] = ()
    """Absolute paths of programs."""
    environment: tuple[str, ...] = ("PATH", "HOME", "LANG")
    """Variables of the daemon that a command sees; nothing else leaks into it. In what is kept of
    its output their values are masked, apart from names that say where something is (PATH,
    CACHE_HOST, TOKEN_FILE, AWS_REGION) and values under 8 characters; passwords in URLs always
    are."""
    host: str | None = None
    """What targets call this machine, in locks, limits and scopes. Default: its host name; a fixed
    name where that changes, as a pod's does."""


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


class Http(Section):
    """Bounds of the listener."""

    max_body_mib: Annotated[int, Field(ge=1, le=1024)] = 64
    """One notification. 20,000 alerts in one body are about 20 MiB; a larger body answers 413,
    which Alertmanager does not try again, so be generous."""
    write_queue: Annotated[int, Field(ge=1, le=100_000)] = 4096
    """Journal operations that may wait; beyond it a notification is answered 503 and comes back."""


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
    groups: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Approver groups: name → identities such as `slack:U0123` and `api:alice`."""
    default_approvers: tuple[str, ...] = ("local",)
    """Groups or identities that may decide where a runbook names none. `local` is whoever uses the
    API or CLI on this machine while no API token is configured."""
    escalate_to: tuple[str, ...] = ()
    """Notifiers that are paged where a runbook names none: slack, pagerduty."""
    senders: Mapping[str, Sender] = Field(default_factory=lambda: {"default": Sender()})
    """Who may post notifications; `default` is the one without a name in the path."""
    api: Api = Api()
    tls: Tls | None = None
    http: Http = Http()
    kubernetes: KubernetesSettings = KubernetesSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    slack: SlackSettings = SlackSettings()
    pagerduty: PagerDutySettings = PagerDutySettings()
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
            lines.append(f"{key}: {fault['msg'].removeprefix('Value error, ')}")
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
