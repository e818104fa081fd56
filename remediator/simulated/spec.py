"""What a simulated world holds, as authors write it and `remediator record` writes it down.

The pydantic models of `world:` in a runbook test and of a world's own file, and how one world is
laid over another. Data only: `world` brings it to life. Used by `rehearsal`, `simulate` and
`record`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from remediator.model.limits import Frozen
from remediator.simulated.answers import AnswerSpec, CommandSpec, RequestText
from remediator.simulated.prometheus.model import PrometheusSpec

Object = Mapping[str, Any]
"""A Kubernetes object, as its manifest says it."""

MOST_OBJECTS = 5_000
"""Objects in one world: a recorded plan reads tens; thousands are somebody's whole cluster."""


def _manifest(value: Object) -> Object:
    metadata = value.get("metadata")
    for key, found in (
        ("apiVersion", value.get("apiVersion")),
        ("kind", value.get("kind")),
        ("metadata.name", metadata.get("name") if isinstance(metadata, Mapping) else None),
    ):
        if not isinstance(found, str) or not found:
            raise ValueError(f"a Kubernetes object needs {key}")
    return value


Manifest = Annotated[Object, AfterValidator(_manifest)]


class Manifests(Frozen):
    """The objects of one document of a manifest file."""

    objects: tuple[Manifest, ...]


Request = RequestText


def _reference(text: str) -> str:
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(
            f"{text!r} names no object; write kind/namespace/name, like pod/shop/web-1, or "
            "kind/name for what has no namespace"
        )
    return text


Reference = Annotated[
    str,
    AfterValidator(_reference),
    Field(examples=["pod/shop/web-1", "node/n-1"], pattern="^[^/]+(/[^/]+)?/[^/]+$"),
]
"""An object: kind/namespace/name, or kind/name for what has no namespace."""


class WorldSpec(Frozen):
    """What actions and probes see, in a test or a world's own file."""

    files: tuple[str, ...] = ()
    """Files that belong to it, relative to this one: worlds as `remediator record` writes them, or
    Kubernetes manifests. What stands here replaces what they say of the same thing."""
    kubernetes: Annotated[tuple[Manifest, ...], Field(max_length=MOST_OBJECTS)] = ()
    """Kubernetes objects, as manifests; their controllers are simulated."""
    prometheus: PrometheusSpec | None = None
    """What Prometheus holds, for prometheus.query."""
    http: tuple[AnswerSpec, ...] = ()
    """What HTTP servers answer, for http.check; any other request finds no connection."""
    exec: tuple[CommandSpec, ...] = ()
    """How commands end, for exec; any other command can't be started."""

    def over(self, base: "WorldSpec") -> "WorldSpec":
        """Return `base` with this laid over it: the same object, series, request or command
        replaces, anything else is added. Files are kept, the base's first."""
        prometheus = self.prometheus or base.prometheus
        if self.prometheus is not None and base.prometheus is not None:
            prometheus = PrometheusSpec(
                interval=self.prometheus.interval
                if "interval" in self.prometheus.model_fields_set
                else base.prometheus.interval,
                series=_laid_over(
                    base.prometheus.series, self.prometheus.series, lambda one: one.identity
                ),
            )
        return WorldSpec(
            files=(*base.files, *self.files),
            kubernetes=_laid_over(base.kubernetes, self.kubernetes, identity),
            prometheus=prometheus,
            http=_laid_over(base.http, self.http, lambda one: one.what),
            exec=_laid_over(base.exec, self.exec, lambda one: one.command),
        )


class WorldChange(WorldSpec):
    """How the world changes: what stands here replaces the same thing, or is new. A Kubernetes
    manifest is laid over the object that there is: lists replace, null removes."""

    delete: tuple[Reference, ...] = ()
    """Kubernetes objects that are gone, as kind/namespace/name."""


def identity(manifest: Object) -> tuple[str, str, str, str]:
    """Return what makes two manifests the same object: API group, kind, namespace, name."""
    metadata = manifest["metadata"]
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    return group, str(manifest["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])


def split_reference(reference: str) -> tuple[str, str, str]:
    """Return kind, namespace ("" where none is said) and name of `pod/shop/web-1`."""
    kind, *namespace, name = reference.split("/")
    return kind, (namespace[0] if namespace else ""), name


def _laid_over(base: Iterable[Any], more: Iterable[Any], key: Any) -> tuple[Any, ...]:
    found = {key(one): one for one in base}
    found.update((key(one), one) for one in more)
    return tuple(found.values())
