"""Proves what the client makes of real refusals, lost servers, renewed credentials and long lists.

Where a real API server can't be brought to misbehave, a loopback server does: it throttles, talks
nonsense, or never answers.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from remediator.actions.kubernetes.scale import Scale
from remediator.clients.errors import Conflict, Missing, Refused, Unavailable
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.kubernetes.resources import CLAIMS, DEPLOYMENTS, PODS
from remediator.plugin.action import Permanent, Temporary
from remediator.settings import KubernetesSettings
from tests.actions.contract import Bench, params_of
from tests.servers.kubernetes import ControlPlane

from .loopback import api_that, kubeconfig_for
from .worlds import deployment


@asynccontextmanager
async def client_of(kubeconfig: Path, timeout_s: float = 5.0) -> AsyncIterator[Kubernetes]:
    client = Kubernetes(KubernetesSettings(kubeconfig=kubeconfig, timeout_s=timeout_s))
    try:
        yield client
    finally:
        await client.close()


# --- refusals of a real API server ---------------------------------------------------------------


async def test_a_right_that_is_missing_is_named(
    control_plane: ControlPlane, namespace: str
) -> None:
    async with client_of(control_plane.kubeconfig("nobody")) as client:
        with pytest.raises(Refused) as refused:
            await client.get(DEPLOYMENTS, namespace, "api")
        assert str(refused.value) == (
            f"remediator may not get deployment {namespace}/api: its credentials lack get on "
            f"apps/deployments in namespace {namespace}; `remediator rbac` prints what the "
            "runbooks need"
        )


async def test_a_name_that_is_missing_is_met_with_what_is_there(
    control_plane: ControlPlane, namespace: str, client: Kubernetes
) -> None:
    with pytest.raises(Missing, match=f"{namespace}/api; namespace {namespace} has no deployments"):
        await client.get(DEPLOYMENTS, namespace, "api", suggest=True)
    control_plane.apply(
        deployment("checkout", namespace, replicas=0), deployment("api-v2", namespace, replicas=0)
    )
    with pytest.raises(Missing, match=r"did you mean checkout\?"):
        await client.get(DEPLOYMENTS, namespace, "chekout", suggest=True)
    with pytest.raises(Missing, match=r"deployments in namespace .*: api-v2, checkout"):
        await client.get(DEPLOYMENTS, namespace, "xyz", suggest=True)


async def test_a_stale_version_is_a_conflict(
    control_plane: ControlPlane, namespace: str, client: Kubernetes
) -> None:
    control_plane.apply(deployment("api", namespace, replicas=0))
    patch = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 1}}
    for sub in ("", "scale"):
        with pytest.raises(Conflict, match="has changed meanwhile"):
            await client.patch(DEPLOYMENTS, namespace, "api", patch, sub=sub)
    ops = [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}]
    with pytest.raises(Conflict):
        await client.patch(DEPLOYMENTS, namespace, "api", ops)
    with pytest.raises(Refused, match=r"refuses to patch deployment .*spec\.replicas"):
        await client.patch(DEPLOYMENTS, namespace, "api", {"spec": {"replicas": -1}})


async def test_a_list_is_read_page_by_page(
    control_plane: ControlPlane, namespace: str, client: Kubernetes
) -> None:
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    for number in range(260):  # more than one page of 250
        claim = {
            "metadata": {"name": f"claim-{number}", "labels": {"odd": str(number % 2)}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            },
        }
        assert control_plane.api("POST", path, claim).status == 201
    assert len(await client.items(CLAIMS, namespace)) == 260
    assert len(await client.items(CLAIMS, namespace, selector="odd=1")) == 130


# --- credentials ---------------------------------------------------------------------------------


async def test_expired_credentials_are_read_again(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    path = tmp_path / "renewed"
    good = control_plane.kubeconfig().read_text()
    path.write_text(good.replace(control_plane.token(), "expired"))
    async with client_of(path) as client:
        with pytest.raises(Refused, match=r"does not accept the credentials \(401\)"):
            await client.items(PODS, namespace)
        path.write_text(good)
        found = await asyncio.gather(*(client.items(PODS, namespace) for _ in range(5)))
        assert found == [[]] * 5


async def test_a_credential_plugin_is_asked_again_when_its_token_has_expired(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """As clouds' clusters do it: kubeconfig names a command that prints a token."""
    credential = tmp_path / "credential.json"

    def hand_out(token: str) -> None:
        api = "client.authentication.k8s.io/v1"
        printed = {"apiVersion": api, "kind": "ExecCredential", "status": {"token": token}}
        credential.write_text(json.dumps(printed))

    config = json.loads(control_plane.kubeconfig().read_text())
    config["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "cat",
            "args": [str(credential)],
            "interactiveMode": "Never",
        }
    }
    path = tmp_path / "exec"
    path.write_text(json.dumps(config))
    hand_out(control_plane.token())
    async with client_of(path) as client:
        assert await client.items(PODS, namespace) == []
        hand_out("expired")
        assert await client.items(PODS, namespace) == []  # the old one is kept while it works
    async with client_of(path) as client:
        with pytest.raises(Refused, match="401"):
            await client.items(PODS, namespace)
        hand_out(control_plane.token())
        assert await client.items(PODS, namespace) == []


async def test_a_service_account_token_works(control_plane: ControlPlane, namespace: str) -> None:
    path = control_plane.service_account(namespace, "bot")
    async with client_of(path) as client:
        with pytest.raises(Refused, match="lack list on pods"):
            await client.items(PODS, namespace)


async def test_another_certificate_than_the_trusted_one_is_refused(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    path = kubeconfig_for(tmp_path, control_plane.url)
    async with client_of(path) as client:
        with pytest.raises(Refused, match=r"shows a certificate that the kubeconfig .* not trust"):
            await client.items(PODS, "default")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "cannot be used"),
        ("{}", "cannot be used"),
        ("a: [", "cannot be used"),
        ('{"contexts": [], "current-context": "x"}', "Expected object with name x"),
    ],
)
async def test_a_faulty_kubeconfig_is_told_as_such(
    tmp_path: Path, content: str, fault: str
) -> None:
    path = tmp_path / "faulty"
    path.write_text(content)
    async with client_of(path) as client:
        with pytest.raises(Refused, match=fault):
            await client.items(PODS, "default")
    async with client_of(tmp_path / "absent") as client:
        with pytest.raises(
            Refused, match=r"kubernetes.kubeconfig names .*absent, which is no file"
        ):
            await client.items(PODS, "default")


# --- servers that fail ---------------------------------------------------------------------------


async def test_a_throttle_says_when_to_come_back(tmp_path: Path) -> None:
    async def throttled(request: web.Request) -> web.Response:
        status = {"kind": "Status", "message": "too many requests", "code": 429}
        return web.json_response(status, status=429, headers={"Retry-After": "7"})

    async with api_that(throttled) as url, client_of(kubeconfig_for(tmp_path, url)) as client:
        with pytest.raises(Temporary, match=r"\(429\): too many requests") as put_off:
            await _plan(client)
        assert put_off.value.after == timedelta(seconds=7)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_fault_of_the_server_is_temporary(tmp_path: Path, status: int) -> None:
    async def failing(request: web.Request) -> web.Response:
        return web.Response(text="<html>bad gateway</html>", status=status)

    async with api_that(failing) as url, client_of(kubeconfig_for(tmp_path, url)) as client:
        with pytest.raises(Temporary, match=rf"cannot get deployment shop/api now \({status}\)"):
            await _plan(client)


async def test_an_answer_that_is_none_is_temporary(tmp_path: Path) -> None:
    async def nonsense(request: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>")

    async with api_that(nonsense) as url, client_of(kubeconfig_for(tmp_path, url)) as client:
        with pytest.raises(Temporary, match="is this the API server"):
            await _plan(client)


async def test_silence_ends_in_time(tmp_path: Path) -> None:
    released = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async with (
        api_that(silent) as url,
        client_of(kubeconfig_for(tmp_path, url), timeout_s=0.2) as client,
    ):
        with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
            await client.items(PODS, "default")
        released.set()


async def test_nobody_there_is_temporary(tmp_path: Path) -> None:
    async with client_of(kubeconfig_for(tmp_path, "http://127.0.0.1:1")) as client:
        with pytest.raises(Temporary, match="cannot be reached"):
            await _plan(client)


async def test_a_policy_of_admission_is_not_taken_for_rbac(tmp_path: Path) -> None:
    async def quota(request: web.Request) -> web.Response:
        message = 'deployments.apps "api" is forbidden: exceeded quota: small'
        return web.json_response({"kind": "Status", "message": message}, status=403)

    async with api_that(quota) as url, client_of(kubeconfig_for(tmp_path, url)) as client:
        with pytest.raises(Permanent, match="exceeded quota: small") as refused:
            await _plan(client)
        assert "remediator rbac" not in str(refused.value)


# --- cost ----------------------------------------------------------------------------------------


def test_the_sdk_is_loaded_without_its_models_and_leaves_no_trace() -> None:
    """An idle daemon has 120 MB; the models alone take 70."""
    code = (
        "import sys\n"
        "from remediator.clients.kubernetes import sdk\n"
        "assert not any('kubernetes_asyncio' in name for name in sys.modules), 'too early'\n"
        "kit = sdk.load()\n"
        "assert kit.Configuration().verify_ssl and kit.RESTClientObject and kit.load_kube_config\n"
        "assert not any('kubernetes_asyncio' in name for name in sys.modules), 'left behind'\n"
        "import gc, types\n"
        "names = {m.__name__ for m in gc.get_objects() if isinstance(m, types.ModuleType)}\n"
        "assert not [n for n in names if n.startswith('kubernetes_asyncio.client.models')]\n"
        "import kubernetes_asyncio\n"
        "assert kubernetes_asyncio.client.CoreV1Api, 'a stranger gets all of it'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def _plan(client: Kubernetes) -> None:
    params = {"namespace": "shop", "deployment": "api", "to": 1}
    await Scale().plan(params_of(Scale(), params), Bench(client))  # type: ignore[arg-type]  # validated into Scale's own
