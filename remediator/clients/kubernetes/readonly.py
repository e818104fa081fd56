"""A link to the API server over which nothing but reads go.

Plans ask admission by a dry run, which is a write in the eyes of the server. Here a dry run is
answered on this side: the object is read, and the patch laid over it. So admission is not asked,
and credentials that may only read are enough.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from remediator.clients import inside
from remediator.clients.kubernetes import connection, patches
from remediator.clients.kubernetes.client import Connect
from remediator.clients.kubernetes.connection import Answer, Link
from remediator.clients.readonly import Ledger
from remediator.settings import KubernetesSettings

_JSON = "application/json"
# To read these is to do something: run a command, open a tunnel, call what listens in a pod.
_ACTING = frozenset({"exec", "attach", "portforward", "proxy"})


def connecting(ledger: Ledger, connect: Connect = connection.connect) -> Connect:
    """Return what connects like `connect`, and gives a link that only reads."""

    async def connected(settings: KubernetesSettings) -> Link:
        with inside.let():  # a credential plugin of the kubeconfig is the operator's own
            return ReadOnlyLink(await connect(settings), ledger)

    return connected


class ReadOnlyLink:
    """Lets GET through; answers dry runs itself; refuses all else."""

    def __init__(self, link: Link, ledger: Ledger) -> None:
        self._link = link
        self._ledger = ledger

    async def retire(self) -> None:
        """See `Link.retire`."""
        await self._link.retire()

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        *,
        accept: str,
        content_type: str | None,
        body: object,
    ) -> Answer:
        """See `Link.send`.

        Raises:
            NotHere: it is no request that only reads.
        """
        verb = method.upper()
        if verb != "GET":
            if ("dryRun", "All") in query and verb in ("PATCH", "DELETE"):
                return await self._dry(verb, path, body)
            raise self._ledger.withhold(f"{verb} {path}", "it changes the cluster")
        if body is not None:
            raise self._ledger.withhold(f"GET {path} with a body", "a read has none")
        if _acts(path):
            raise self._ledger.withhold(f"GET {path}", "it does more than to read")
        self._ledger.of_today += 1
        plain = [(str(name), str(value)) for name, value in query]
        with inside.let():
            return await self._link.send(
                "GET", str(path), plain, accept=str(accept), content_type=None, body=None
            )

    async def _dry(self, verb: str, path: str, body: object) -> Answer:
        """Answer what a change would lead to from what is there now."""
        found = await self.send("GET", path, (), accept=_JSON, content_type=None, body=None)
        if not 200 <= found.status < 300:
            return found
        held: dict[str, Any] = json.loads(found.body)
        if verb == "DELETE":
            return self._deleted(held, body, found)
        try:
            after = (
                patches.merge(held, body)
                if isinstance(body, Mapping)
                else patches.json_patch(held, body if isinstance(body, Sequence) else ())
            )
        except patches.BadPatch as error:
            return _status(422, f"the patch does not fit: {error}")
        wanted = (after.get("metadata") or {}).get("resourceVersion")
        if wanted != held["metadata"].get("resourceVersion"):
            return _status(409, "the object has been modified")
        return Answer(200, json.dumps(after).encode(), None)

    def _deleted(self, held: Mapping[str, Any], body: object, found: Answer) -> Answer:
        options = body if isinstance(body, Mapping) else {}
        uid = (options.get("preconditions") or {}).get("uid")
        if uid is not None and uid != held["metadata"].get("uid"):
            return _status(409, f"the UID in the precondition ({uid}) is not the object's")
        return found


def _acts(path: str) -> bool:
    """Whether to read this path is to do something; so is what is no plain path.

    Taken apart as the API server does it: decoded first. An object may be called `proxy`; only
    what comes after its name counts.
    """
    plain, question, _ = path.partition("?")
    parts = unquote(plain).split("/")[1:]
    if question or not parts or any(part in ("", ".", "..") for part in parts):
        return True
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return not _ACTING.isdisjoint(part.lower() for part in rest[2:]) or rest[:1] == ["proxy"]


def _status(code: int, message: str) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message}
    return Answer(code, json.dumps({**body, "code": code}).encode(), None)
