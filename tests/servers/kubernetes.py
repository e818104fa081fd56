"""A real Kubernetes control plane: etcd, API server, controllers, scheduler; kwok is the kubelet.

Rollouts, scaling, eviction under disruption budgets and garbage collection are the real
controllers' doing. `kubectl` is the oracle.
"""

import base64
import json
import secrets
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .binaries import find
from .process import Process, Server, free_port, launch
from .rest import Response, answers, request
from .waiting import eventually

ADMIN = "admin"
AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")
POD_STAGES = Path(__file__).with_name("pod-stages.yaml")
"""What kwok does with pods: see its first lines for the image and annotations that misbehave."""

_FRUGAL = {"GOGC": "40"}
"""Half the memory for a little more processor time: several of these run side by side."""


class KubectlFailed(AssertionError):
    """kubectl ended with an error; `stderr` is what it said."""

    def __init__(self, arguments: tuple[str, ...], code: int, stdout: str, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)} ended with {code}:\n{stderr}{stdout}")
        self.code = code
        self.stdout = stdout
        self.stderr = stderr


class ControlPlane(Server):
    """RBAC is on; besides the admin there are `users`, who may do nothing until a role says so."""

    def __init__(
        self, folder: Path, *, users: Iterable[str] = (), stages: Path | None = POD_STAGES
    ) -> None:
        """Data, logs and kubeconfigs go below `folder`; no `stages` means kwok's own."""
        self.folder = folder
        self._stages = stages
        self._tokens = {user: secrets.token_hex(16) for user in (ADMIN, *users)}
        self._ports: dict[str, int] = {}
        self._running: dict[str, Process] = {}

    # --- start and stop -------------------------------------------------------------------

    def start(self) -> None:
        """Starts all five processes and returns when the controllers answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_keys()
        self._running["etcd"] = launch(self._etcd)
        self._running["kube-apiserver"] = launch(self._apiserver)
        for user, token in self._tokens.items():
            self._write_kubeconfig(user, token)
        self._running["kube-controller-manager"] = launch(self._controller_manager)
        self._running["kube-scheduler"] = launch(self._scheduler)
        self._running["kwok"] = launch(self._kwok)

    def stop(self) -> None:
        """Stops everything at once; the data is the test's and goes with its folder."""
        running = list(reversed(self._running.values()))
        self._running.clear()
        for process in running:
            process.ask_to_stop()
        for process in running:
            process.stop(grace_s=5.0)

    def stop_apiserver(self) -> None:
        """The API server is gone, as after a crash: connections are refused until it starts."""
        self._running["kube-apiserver"].kill()

    def start_apiserver(self) -> None:
        """The same API server, on the same port, over the same etcd."""
        self._running["kube-apiserver"].start()

    def process(self, name: str) -> Process:
        """One of the five, by its program's name: to freeze it, to kill it, or to read its log."""
        return self._running[name]

    # --- access ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self._ports['kube-apiserver']}"

    @property
    def ca(self) -> Path:
        """The certificate by which the API server is known."""
        return self.folder / "certs" / "apiserver.crt"

    def token(self, user: str = ADMIN) -> str:
        """The bearer token of a user named at construction."""
        return self._tokens[user]

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A kubeconfig file of a user named at construction."""
        return self.folder / f"{user}.kubeconfig"

    def service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig of a new ServiceAccount without rights, by a token as pods get it."""
        self.kubectl("create", "serviceaccount", name, "--namespace", namespace)
        token = self.kubectl("create", "token", name, "--namespace", namespace).strip()
        return self._write_kubeconfig(f"{namespace}-{name}", token)

    def api(self, method: str, path: str, body: object = None, *, user: str = ADMIN) -> Response:
        """One request to the API, for what kubectl hides: its status, or its exact answer."""
        return request(method, self.url + path, body, token=self._tokens[user], ca=self.ca)

    def writes(self, user_agent: str) -> list[tuple[str, str]]:
        """Verb and path of every request that would change something, by the client's name.

        Out of the API server's audit log, which is written before a request is carried out.
        Dry runs change nothing and are left out.
        """
        events = map(json.loads, (self.folder / "audit.jsonl").read_text().splitlines())
        return [
            (event["verb"], event["requestURI"])
            for event in events
            if event.get("userAgent", "").startswith(user_agent)
            and "dryRun=All" not in event["requestURI"]
        ]

    # --- the oracle -----------------------------------------------------------------------

    def kubectl(
        self,
        *arguments: str,
        kubeconfig: Path | None = None,
        stdin: str | None = None,
        timeout_s: float = 60.0,
    ) -> str:
        """What kubectl prints, as the admin unless a `kubeconfig` says otherwise."""
        cache = self.folder / "kubectl-cache"
        access = kubeconfig or self.kubeconfig()
        result = subprocess.run(
            [find("kubectl"), "--kubeconfig", access, "--cache-dir", cache, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if result.returncode:
            raise KubectlFailed(arguments, result.returncode, result.stdout, result.stderr)
        return result.stdout

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """`kubectl apply` of these objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(items))

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """An object as the API server holds it."""
        where = ["--namespace", namespace] if namespace else []
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, *where, "-o", "json"))
        return found

    def items(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind in a namespace, perhaps by a label selector."""
        arguments = ["get", kind, "--namespace", namespace, "--selector", selector, "-o", "json"]
        found: list[dict[str, Any]] = json.loads(self.kubectl(*arguments))["items"]
        return found

    def wait_rollout(self, workload: str, namespace: str, *, timeout_s: float = 60.0) -> None:
        """`kubectl rollout status` of `deployment/api`; its failure is `KubectlFailed`."""
        self.kubectl(
            *("rollout", "status", workload, "--namespace", namespace),
            f"--timeout={timeout_s:.0f}s",
            timeout_s=timeout_s + 10,
        )

    def add_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        cpu: str = "32",
        memory: str = "64Gi",
        pods: int = 200,
    ) -> None:
        """A node on which pods can be scheduled; returns when it is ready."""
        capacity = {"cpu": cpu, "memory": memory, "pods": str(pods)}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {"kubernetes.io/hostname": name, **(labels or {})},
            },
            "status": {"allocatable": capacity, "capacity": capacity},
        }
        answer = self.api("POST", "/api/v1/nodes", node)
        assert answer.status == 201, answer.text
        eventually(lambda: self._schedulable(name), 30.0, what=f"node {name} to become ready")

    def _schedulable(self, name: str) -> bool:
        """Ready, and free of the taint that keeps pods off a node that is not."""
        node = self.api("GET", f"/api/v1/nodes/{name}").json()
        conditions = node["status"].get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        return ready and not node["spec"].get("taints")

    # --- the five processes ---------------------------------------------------------------

    def _process(self, name: str, ready: Callable[[], bool], *flags: str) -> Process:
        return Process(
            name,
            [find(name), *flags],
            log=self.folder / f"{name}.log",
            ready=ready,
            env=_FRUGAL,
        )

    def _etcd(self) -> Process:
        port, peer_port = free_port(), free_port()
        self._ports["etcd"] = port
        client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
        return self._process(
            "etcd",
            lambda: answers(f"{client}/health"),
            f"--data-dir={self.folder / f'etcd-{port}'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )

    def _apiserver(self) -> Process:
        port = self._ports["kube-apiserver"] = free_port()
        return self._process(
            "kube-apiserver",
            lambda: answers(f"https://127.0.0.1:{port}/readyz"),
            f"--etcd-servers=http://127.0.0.1:{self._ports['etcd']}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--cert-dir={self.folder / 'certs'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'service-account.pub'}",
            f"--service-account-signing-key-file={self.folder / 'service-account.key'}",
            "--authorization-mode=RBAC",
            f"--audit-policy-file={AUDIT_POLICY}",
            f"--audit-log-path={self.folder / 'audit.jsonl'}",
            "--audit-log-mode=blocking",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--disable-admission-plugins=ServiceAccount",  # pods here need no token of their own
            "--endpoint-reconciler-type=none",
            "--profiling=false",
        )

    def _controller_manager(self) -> Process:
        port = free_port()
        return self._process(
            "kube-controller-manager",
            lambda: answers(f"https://127.0.0.1:{port}/healthz"),
            *self._controller_flags(port),
            f"--service-account-private-key-file={self.folder / 'service-account.key'}",
            "--horizontal-pod-autoscaler-sync-period=1s",
            "--horizontal-pod-autoscaler-downscale-stabilization=1s",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        )

    def _scheduler(self) -> Process:
        port = free_port()
        return self._process(
            "kube-scheduler",
            lambda: answers(f"https://127.0.0.1:{port}/healthz"),
            *self._controller_flags(port),
        )

    def _controller_flags(self, port: int) -> tuple[str, ...]:
        return (
            f"--kubeconfig={self.kubeconfig()}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={self.folder / 'certs'}",
            "--profiling=false",
        )

    def _kwok(self) -> Process:
        port = free_port()
        return self._process(
            "kwok",
            lambda: answers(f"http://127.0.0.1:{port}/healthz"),
            f"--kubeconfig={self.kubeconfig()}",
            "--manage-all-nodes=true",
            f"--server-address=127.0.0.1:{port}",
            *([f"--config={self._stages}"] if self._stages else []),
        )

    # --- files ----------------------------------------------------------------------------

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = serialization.Encoding.PEM
        (self.folder / "service-account.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (self.folder / "service-account.pub").write_bytes(
            key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        lines = [
            f"{token},{user},{user}" + (",system:masters" if user == ADMIN else "")
            for user, token in self._tokens.items()
        ]
        (self.folder / "tokens.csv").write_text("\n".join(lines) + "\n")

    def _write_kubeconfig(self, name: str, token: str) -> Path:
        ca = base64.b64encode(self.ca.read_bytes()).decode()
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": self.url, "certificate-authority-data": ca}}
            ],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(kubeconfig, indent=1))
        return path
