"""What is asked and changed: one section for each system that actions reach."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from remediator.model.quantities import Duration
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


Namespace = Annotated[
    str, StringConstraints(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
]


class ResourcesSettings(Section):
    """Runbooks and policies that are kept in the cluster, as custom resources."""

    enabled: bool = False
    """Whether they are watched. Apply deploy/crds first; `remediator rbac` prints the rights."""
    watch: Literal["all"] | Annotated[tuple[Namespace, ...], Field(min_length=1, max_length=20)] = (
        "all"
    )
    """`all` namespaces, or a list of at most 20: each is a watch of its own."""
    unconfined: tuple[Namespace, ...] = ()
    """Namespaces whose runbooks may act anywhere and see every alert, as those in files may. Any
    other namespace's act, and see alerts, in that namespace only."""
    most: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Of each kind, so many are taken up, the oldest first; the others are not accepted."""
    status_every: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(hours=1))] = (
        timedelta(seconds=15)
    )
    """How often it is looked at what a resource's status should say; only what differs is
    written."""
