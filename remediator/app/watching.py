"""What the cluster holds of our resources: listed, watched, and listed anew when that is needed.

Owns a copy of every `Runbook` and `RemediationPolicy` in the namespaces that the settings name, and
pokes whoever acts on them. Bounded in number and size; a watch that ends begins again, later and
later while it fails, and never twice. Decides nothing about what the resources say. Called by
`daemon`; read by `rulebook` and `reporting`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from remediator.clients.errors import Missing, Refused, Unavailable
from remediator.clients.kubernetes.resources import POLICIES, RUNBOOKS, Object, Resource
from remediator.clients.kubernetes.watching import Event, Gone, Kind, Listing
from remediator.model import canonical
from remediator.model.clock import Clock
from remediator.observe import logs, metrics
from remediator.runbook.manifests import Home
from remediator.settings import ResourcesSettings

log = logs.get(__name__)

# As large as a file may be, with room to spare for one that a thousand of could be held.
LARGEST_SPEC_BYTES = 256 * 1024
# Above the settings' `most`: what is beyond that is told why it is not taken up. Beyond this it is
# not even held.
_MOST_HELD = 20_000
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 30.0
# A definition that is not installed, a role that is missing: somebody must act.
_REFUSED_AGAIN_S = 30.0


class Cluster(Protocol):
    """The part of a client that watching needs."""

    async def listing(self, resource: Resource, namespace: str | None, *, most: int) -> Listing:
        """Read all objects, and the version to watch on from."""
        ...

    def watch(
        self, resource: Resource, namespace: str | None, *, since: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Open a watch from a version."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """One resource as the cluster holds it.

    Args:
        spec: None where it is larger than we hold.
        status: what it says of itself now, by whoever wrote it.
    """

    resource: Resource
    home: Home
    uid: str
    generation: int
    created: str
    spec: Any
    status: Mapping[str, Any] = field(default_factory=dict, compare=False)


def held(resource: Resource, given: Object) -> Held:
    """Return what is kept of an object; its managed fields and annotations are not."""
    metadata = given["metadata"]
    spec = given.get("spec")
    if len(canonical.dumps(spec).encode("utf-8", "replace")) > LARGEST_SPEC_BYTES:
        metrics.LIMIT_HIT.labels(limit="resource_size").inc()
        spec = None
    return Held(
        resource,
        Home(metadata["namespace"], metadata["name"]),
        metadata["uid"],
        int(metadata.get("generation", 0)),
        metadata.get("creationTimestamp", ""),
        spec,
        given.get("status") or {},
    )


class Feed:
    """One kind of resource in one namespace, or in all (None)."""

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespace: str | None,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.objects: dict[Home, Held] = {}
        self.known = False
        """Whether it was ever told what there is."""
        self.trouble = ""
        """What keeps it from watching now, for people; empty while it does."""
        self.settled = asyncio.Event()
        """Set when it has listed once, or knows why it can't."""
        self._cluster = cluster
        self._clock = clock
        self._on_change = on_change
        self._version = ""
        self._failures = 0

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                self._count("ended")
            except Gone as error:
                # What happened meanwhile is lost to us; what there is now is not.
                self._version = ""
                self._count("gone")
                await self._pause(str(error))
            except Missing:
                self._count("missing")
                self._replace({}, known=True)
                await self._stand_still(
                    f"the cluster does not know {self.resource.plural}.{self.resource.group}: "
                    "kubectl apply -f deploy/crds (or `remediator schema --crd`)"
                )
            except Refused as error:
                self._count("refused")
                await self._stand_still(str(error))
            except Unavailable as error:
                self._count("unavailable")
                await self._pause(str(error))

    async def _list(self) -> None:
        listing = await self._cluster.listing(self.resource, self.namespace, most=_MOST_HELD)
        found = [held(self.resource, one) for one in listing.items]
        self._count("listed")
        self._version = listing.version
        self._replace({one.home: one for one in found}, known=True)
        self._well()

    async def _watch(self) -> None:
        begun_s = self._clock.monotonic()
        async with self._cluster.watch(
            self.resource, self.namespace, since=self._version
        ) as events:
            self._well()
            async for event in events:
                self._failures = 0  # not before: to be let in is not yet to be told anything
                self._take(event)
                self._version = event.version
        if self._clock.monotonic() - begun_s < _FIRST_RETRY_S:
            # A server that ends every watch at once would be asked without a pause.
            raise Unavailable("the API server ended a watch at once")
        self._failures = 0

    def _take(self, event: Event) -> None:
        if event.kind is Kind.BOOKMARK:
            return
        one = held(self.resource, event.object)
        before = self.objects.get(one.home)
        if event.kind is Kind.DELETED:
            self.objects.pop(one.home, None)
        elif before is None and len(self.objects) >= _MOST_HELD:
            metrics.LIMIT_HIT.labels(limit="resources_held").inc()
            return
        else:
            self.objects[one.home] = one
        # What we write into a status comes back as an event, and is no news.
        if event.kind is Kind.DELETED or before != one:
            self._on_change()

    def _replace(self, objects: dict[Home, Held], *, known: bool) -> None:
        changed = objects != self.objects or known != self.known
        self.objects, self.known = objects, known
        if changed:
            self._on_change()

    def _well(self) -> None:
        if self.trouble:
            log.info("custom resources are watched again", resource=self.resource.plural)
        self.trouble = ""
        metrics.RESOURCE_FEED_UP.labels(self.resource.kind, self.namespace or "*").set(1)
        self.settled.set()

    async def _pause(self, why: str) -> None:
        """Wait longer and longer, and not as long as others do, before the next try."""
        self._failures += 1
        longest_s = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2 ** min(self._failures - 1, 10))
        await self._trouble(why, random.uniform(longest_s / 2, longest_s))  # noqa: S311 - a delay

    async def _stand_still(self, why: str) -> None:
        self._version = ""
        await self._trouble(why, _REFUSED_AGAIN_S)

    async def _trouble(self, why: str, wait_s: float) -> None:
        if why != self.trouble:
            log.warning("custom resources are not watched", resource=self.resource.plural, why=why)
        self.trouble = why
        metrics.RESOURCE_FEED_UP.labels(self.resource.kind, self.namespace or "*").set(0)
        self.settled.set()
        await self._clock.sleep(wait_s)

    def _count(self, result: str) -> None:
        metrics.RESOURCE_FEEDS.labels(self.resource.kind, result).inc()


class Shelf:
    """All that the cluster holds for us."""

    def __init__(
        self,
        settings: ResourcesSettings,
        cluster: Cluster,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        namespaces: Sequence[str | None] = (
            (None,) if settings.watch == "all" else tuple(dict.fromkeys(settings.watch))
        )
        self._clock = clock
        self._feeds = [
            Feed(cluster, resource, namespace, clock, on_change)
            for resource in (POLICIES, RUNBOOKS)
            for namespace in namespaces
        ]

    def held(self, resource: Resource) -> Sequence[Held]:
        """Return what there is of a kind, the oldest first."""
        return sorted(
            (one for feed in self._of(resource) for one in feed.objects.values()),
            key=lambda one: (one.created, one.home),
        )

    def find(self, one: Held) -> Held | None:
        """Return a resource as it is now; None where it is gone, or is another of its name."""
        for feed in self._of(one.resource):
            now = feed.objects.get(one.home)
            if now is not None:
                return now if now.uid == one.uid else None
        return None

    def unknown(self, resource: Resource) -> Sequence[str]:
        """Return the namespaces of which nobody has told yet what they hold; `*` for all."""
        return [feed.namespace or "*" for feed in self._of(resource) if not feed.known]

    @property
    def troubles(self) -> Sequence[str]:
        """What keeps resources from being watched now."""
        return [feed.trouble for feed in self._feeds if feed.trouble]

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for feed in self._feeds:
                group.create_task(feed.run())

    async def settled(self, at_most: timedelta) -> None:
        """Wait until everything was listed, or why it can't be is known; not for ever."""
        waiting = asyncio.gather(*(feed.settled.wait() for feed in self._feeds))
        try:
            await asyncio.wait_for(waiting, at_most.total_seconds())
        except TimeoutError:
            log.warning("the cluster has not told its resources yet; they come when it does")

    def _of(self, resource: Resource) -> Iterable[Feed]:
        return (feed for feed in self._feeds if feed.resource is resource)
