"""What is asked and changed: one section for each system that actions reach."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from remediator.settings.section import Section


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
