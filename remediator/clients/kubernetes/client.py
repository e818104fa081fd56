"""The API in raw JSON: get, list, patch, delete; connected at first use, closed by `app`.

Must not decide anything: preconditions, retries and what a conflict means are the caller's. Every
write names the field manager `remediator`, and none is ever forced.
"""

import asyncio
import difflib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from remediator.clients.errors import ClientError, Missing, Refused, Unavailable
from remediator.clients.kubernetes import answers, connection, watching
from remediator.clients.kubernetes.answers import Request
from remediator.clients.kubernetes.resources import Object, Resource
from remediator.clients.kubernetes.watching import Event, Gone, Listing
from remediator.settings import KubernetesSettings

FIELD_MANAGER = "remediator"
_PAGE = 250
"""Objects in one page of a list: small enough to answer fast, few enough round trips."""
_MOST_ITEMS = 10_000
"""More than this in one list is not what an action works on; refuse before memory does."""
_MOST_NAMES = 500
"""Names that are looked through for one that a person may have meant."""

_JSON = "application/json"
_NAMES_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


Connect = Callable[[KubernetesSettings], Awaitable[connection.Link]]


class Kubernetes:
    """A client of one cluster. Its methods raise the errors of `remediator.clients.errors`."""

    def __init__(self, settings: KubernetesSettings, connect: Connect = connection.connect) -> None:
        """Make a client; `connect` finds the cluster when it is first used."""
        self._settings = settings
        self._connect_to = connect
        self._connection: connection.Link | None = None
        self._connecting = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections; a later request would open new ones."""
        open_one, self._connection = self._connection, None
        if open_one is not None:
            await open_one.retire()

    async def get(
        self, resource: Resource, namespace: str, name: str, *, suggest: bool = False
    ) -> Object:
        """Read one object.

        Args:
            resource: what kind of object.
            namespace: where it is; not used for cluster-wide resources.
            name: its name.
            suggest: whether to name the nearest existing one when there is none of this name.

        Raises:
            Missing: there is none.
        """
        request = Request("get", resource, namespace, name)
        try:
            return await self._send("GET", request)
        except Missing as error:
            hint = await self._nearest(request) if suggest else ""
            raise Missing(f"{error}{hint}") from None

    async def items(
        self, resource: Resource, namespace: str, *, selector: str = ""
    ) -> list[Object]:
        """Read all objects that a label selector matches, page by page."""
        query = [("labelSelector", selector)] if selector else []
        return list((await self._list(resource, namespace, query)).items)

    async def listing(
        self, resource: Resource, namespace: str | None, *, most: int = _MOST_ITEMS
    ) -> Listing:
        """Read all objects of a namespace (None: of every one), and the version to watch on from.

        Raises:
            Missing: the API server knows no such resource.
            Refused: the credentials may not, or there are more than `most`.
        """
        return await self._list(resource, namespace, [], most)

    @asynccontextmanager
    async def watch(
        self, resource: Resource, namespace: str | None, *, since: str
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Open a watch, and close it when the block is left; also by cancellation.

        The events end when the server ends the watch, which it does within some minutes: begin
        anew from the version of the last one. Nothing is read ahead of who takes them.

        Args:
            resource: what kind of object.
            namespace: where; None for every namespace.
            since: the version of a listing, or of the last event.

        Raises:
            Gone: list anew; also out of the events.
            Unavailable: no answer, or it broke off: begin anew from the last event.
            Refused: the credentials may not watch it, or this connection can't.
        """
        request = Request("watch", resource, namespace or "")
        path = resource.everywhere if namespace is None else resource.path(namespace)
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", since),
            ("timeoutSeconds", str(watching.LASTS_S)),
        ]
        used = await self._connect()
        for last in (False, True):
            if not isinstance(used, connection.Streaming):
                raise Refused("nothing can be watched over this connection")
            async with used.stream(path, query, accept=_JSON, lasts_s=watching.LASTS_S) as stream:
                answer = stream.answer
                if answer.status == 200:
                    yield (watching.event(line) async for line in stream.lines)
                    return
            if answer.status == 410:
                raise Gone("the API server no longer knows what happened since then")
            if answer.status != 401 or last:
                answers.read(answer, request)
                raise Unavailable(f"a watch was answered with {answer.status}")
            used = await self._connect(instead_of=used)

    async def _list(
        self,
        resource: Resource,
        namespace: str | None,
        wanted: Sequence[tuple[str, str]],
        most: int = _MOST_ITEMS,
    ) -> Listing:
        request = Request("list", resource, namespace or "")
        path = resource.everywhere if namespace is None else resource.path(namespace)
        query = [("limit", str(_PAGE)), *wanted]
        found: list[Object] = []
        more = ""
        while True:
            page = await self._send(
                "GET", request, path=path, query=[*query, ("continue", more)] if more else query
            )
            found += page.get("items") or []
            metadata = page.get("metadata") or {}
            more = metadata.get("continue") or ""
            if not more:
                return Listing(tuple(found), str(metadata.get("resourceVersion") or ""))
            if len(found) >= most:
                where = namespace or "the cluster"
                raise Refused(f"{where} holds more than {most} {resource.plural}")

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        sub: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Patch one object and return it as it is then.

        Args:
            resource: what kind of object.
            namespace: where it is.
            name: its name.
            patch: a mapping is a merge patch (RFC 7396), a sequence a JSON patch (RFC 6902);
                `metadata.resourceVersion` in it is the precondition.
            sub: a subresource, `scale`.
            dry_run: only look what would come of it; admission runs, nothing is stored.

        Raises:
            Conflict: the precondition does not hold.
        """
        query = [("fieldManager", FIELD_MANAGER)]
        if dry_run:
            query.append(("dryRun", "All"))
        return await self._send(
            "PATCH",
            Request("patch", resource, namespace, name, sub),
            query=query,
            content_type=_MERGE_PATCH if isinstance(patch, Mapping) else _JSON_PATCH,
            body=patch,
        )

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, dry_run: bool = False
    ) -> None:
        """Delete the object that has this uid.

        Raises:
            Missing: there is none of this name.
            Conflict: the one of this name is another.
        """
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
        }
        query = []
        if dry_run:
            options["dryRun"] = ["All"]
            query = [("dryRun", "All")]  # where audit logs show it; the body is what counts
        await self._send(
            "DELETE",
            Request("delete", resource, namespace, name),
            query=query,
            content_type=_JSON,
            body=options,
        )

    async def _send(
        self,
        method: str,
        request: Request,
        *,
        query: Sequence[tuple[str, str]] = (),
        accept: str = _JSON,
        content_type: str | None = None,
        body: object = None,
        path: str | None = None,
    ) -> Object:
        if path is None:
            path = request.resource.path(request.namespace, request.name, request.sub)
        used = await self._connect()
        for last in (False, True):
            answer = await used.send(
                method, path, query, accept=accept, content_type=content_type, body=body
            )
            if answer.status != 401 or last:
                break
            # Expired credentials: nothing was done, so log in anew and ask once more.
            used = await self._connect(instead_of=used)
        return answers.read(answer, request)

    async def _connect(self, instead_of: connection.Link | None = None) -> connection.Link:
        async with self._connecting:
            if self._connection is None or self._connection is instead_of:
                self._connection = await self._connect_to(self._settings)
                if instead_of is not None:
                    await instead_of.retire()
            return self._connection

    async def _nearest(self, request: Request) -> str:
        """Return a hint at the name that was meant; nothing where listing is not permitted."""
        listing = Request("list", request.resource, request.namespace)
        query = [("limit", str(_MOST_NAMES))]
        try:
            found = await self._send("GET", listing, query=query, accept=_NAMES_ONLY)
        except ClientError:
            return ""
        names = [item["metadata"]["name"] for item in found.get("items") or []]
        plural = request.resource.plural
        where = f"namespace {request.namespace}" if request.resource.namespaced else "the cluster"
        if not names:
            return f"; {where} has no {plural}"
        near = difflib.get_close_matches(request.name, names, n=1)
        if near:
            return f"; did you mean {near[0]}?"
        return f"; {plural} in {where}: {', '.join(sorted(names)[:5])}"
