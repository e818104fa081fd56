"""The client with the plugins' errors, and the one way in which a plan is carried out.

The only place that maps the clients' errors to `Temporary`, `Permanent` and `Stale`. Used by
every action of this package.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from remediator.clients.errors import Conflict, Missing, Refused, Unavailable
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.kubernetes.resources import Object, Resource
from remediator.model.plans import Target
from remediator.plugin.action import Permanent, Stale, Temporary
from remediator.plugin.context import Context

World = TypeVar("World")
Patch = Mapping[str, Any] | Sequence[Mapping[str, Any]]

# As many as client-go's RetryOnConflict makes; the pauses add up to half a second.
_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.01
# After so many conflicts in a row somebody is writing busily; let that pass first.
_AFTER_CONFLICTS = timedelta(seconds=2)


class Cluster:
    """What the actions ask of a cluster. All methods raise `Temporary` or `Permanent`."""

    def __init__(self, ctx: Context) -> None:
        self._client = ctx.client(Kubernetes)
        self._ctx = ctx

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Read an object that a runbook named.

        Raises:
            Permanent: there is none; the message names the nearest one that exists.
        """
        with _told():
            return await self._client.get(resource, namespace, name, suggest=True)

    async def find(self, target: Target, resource: Resource) -> Object | None:
        """Read a plan's target again; None when it is gone, or another has its name."""
        with _told():
            try:
                found = await self._client.get(resource, target.scope, target.name)
            except Missing:
                return None
        return found if found["metadata"]["uid"] == target.uid else None

    async def require(self, target: Target, resource: Resource) -> Object:
        """Read a plan's target again.

        Raises:
            Stale: it is gone, or another has its name.
        """
        found = await self.find(target, resource)
        if found is None:
            raise Stale(f"{target} is gone, or was deleted and made again, since it was planned")
        return found

    async def items(
        self, resource: Resource, namespace: str, *, selector: str = ""
    ) -> list[Object]:
        """Read all objects of a kind that a label selector matches."""
        with _told():
            return await self._client.items(resource, namespace, selector=selector)

    async def preview(
        self, resource: Resource, namespace: str, name: str, patch: Patch, *, sub: str = ""
    ) -> Object:
        """Return what a patch would lead to, admission included; nothing is stored.

        Raises:
            Permanent: the API server, or a policy in it, refuses the patch.
        """
        with _told():
            return await self._client.patch(resource, namespace, name, patch, sub=sub, dry_run=True)

    async def preview_delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str
    ) -> None:
        """Ask whether a deletion would be admitted; nothing is deleted.

        Raises:
            Permanent: it would not.
        """
        with _told():
            await self._client.delete(resource, namespace, name, uid=uid, dry_run=True)

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Patch, *, sub: str = ""
    ) -> Object:
        """Patch an object; only inside `carry_out`, which knows what a conflict means."""
        await self._ctx.prove_alive()
        with _told(conflicts=False):
            return await self._client.patch(resource, namespace, name, patch, sub=sub)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> bool:
        """Delete the object with this uid. Returns False when it was gone already."""
        await self._ctx.prove_alive()
        with _told():
            try:
                await self._client.delete(resource, namespace, name, uid=uid)
            except (Missing, Conflict):
                return False  # the precondition is the uid: a conflict means that it is another
        return True


async def carry_out(
    read: Callable[[], Awaitable[World]],
    done: Callable[[World], bool],
    write: Callable[[World], Awaitable[object]],
) -> bool:
    """Carry a plan out against the world as it is, under its resourceVersion.

    A conflict says that the object was written since it was read: read again and compare again.
    If what the plan is about has changed, that is the end. If only something else has, such as the
    status, which moves several times a second during a rollout, then try again, a few times.
    Nothing is ever forced.

    Args:
        read: reads the world; raises Stale where the target is gone.
        done: whether the world is as the plan leaves it; raises Stale when it is neither that nor
            as the plan found it.
        write: makes the change under the precondition of what was read.

    Returns:
        Whether this call changed anything.

    Raises:
        Temporary: conflicts without end.
    """
    conflict: Conflict | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
        world = await read()
        if done(world):
            return False
        try:
            await write(world)
        except Conflict as error:
            conflict = error
        else:
            return True
    raise Temporary(str(conflict), _AFTER_CONFLICTS)


@contextmanager
def _told(*, conflicts: bool = True) -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        raise Temporary(str(error), error.after) from error
    except Conflict as error:
        if not conflicts:
            raise
        raise Temporary(str(error), _AFTER_CONFLICTS) from error
    except (Missing, Refused) as error:
        raise Permanent(str(error)) from error
