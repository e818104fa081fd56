"""What a test asks pytest for. Loaded by `pytest_plugins = ["tests.servers.fixtures"]`.

The control plane and PostgreSQL take seconds to start, so the session shares them, and each test
gets a namespace or a database of its own. Alertmanager and Prometheus start in a moment and hold
state that a test must not inherit, so each test starts its own.
"""

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from .alertmanager import Alertmanager, AlertmanagerCluster
from .exporter import Exporter
from .kubernetes import ControlPlane
from .postgres import Postgres
from .process import Server
from .prometheus import Prometheus
from .webhook import WebhookReceiver

P = ParamSpec("P")
S = TypeVar("S", bound=Server)

USERS = ("nobody", "remediator")
"""Users of the shared control plane, without any rights until a test binds a role to them."""

AlertmanagerFactory = Callable[..., Alertmanager]
AlertmanagerClusterFactory = Callable[..., AlertmanagerCluster]
PrometheusFactory = Callable[..., Prometheus]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A Kubernetes control plane with two nodes, for the whole session."""
    with ControlPlane(tmp_path_factory.mktemp("kubernetes"), users=USERS) as started:
        for name in ("node-1", "node-2"):
            started.add_node(name)
        yield started


@contextmanager
def new_namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace, deleted at the end with all that is in it."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own."""
    with new_namespace(control_plane) as name:
        yield name


@pytest.fixture
def alertmanager_factory(tmp_path: Path) -> Iterator[AlertmanagerFactory]:
    """`alertmanager_factory(config_text, ...)` starts one, and it is stopped after the test."""
    with ExitStack() as stack:
        yield _starter(Alertmanager, tmp_path / "alertmanager", stack)


@pytest.fixture
def alertmanager_cluster_factory(tmp_path: Path) -> Iterator[AlertmanagerClusterFactory]:
    """`alertmanager_cluster_factory(config_text)` starts a pair, stopped after the test."""
    with ExitStack() as stack:
        yield _starter(AlertmanagerCluster, tmp_path / "cluster", stack)


@pytest.fixture
def prometheus_factory(tmp_path: Path) -> Iterator[PrometheusFactory]:
    """`prometheus_factory(config_text, rules_text)` starts one, stopped after the test."""
    with ExitStack() as stack:
        yield _starter(Prometheus, tmp_path / "prometheus", stack)


@pytest.fixture
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """A receiver that keeps what Alertmanager sends."""
    with WebhookReceiver() as listening:
        yield listening


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """A scrape target whose values the test sets."""
    with Exporter() as listening:
        yield listening


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the whole session."""
    with Postgres() as started:
        yield started


@pytest.fixture
def postgres_dsn(postgres: Postgres) -> str:
    """A database of this test's own."""
    return postgres.create_database()


def _starter(
    make: Callable[Concatenate[Path, P], S], folder: Path, stack: ExitStack
) -> Callable[P, S]:
    """A function that makes a server in a folder of its own, starts it, and has it stopped."""
    numbers = itertools.count(1)

    def start(*arguments: P.args, **options: P.kwargs) -> S:
        server = make(folder / str(next(numbers)), *arguments, **options)
        stack.enter_context(server)
        return server

    return start
