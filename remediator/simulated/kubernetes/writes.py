"""Creates, replaces, patches and deletes as requests ask for it, each perhaps as a dry run.

The one place that knows preconditions and what a write may not touch.
"""

from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes import patches
from remediator.clients.kubernetes.connection import Answer
from remediator.clients.kubernetes.resources import PODS, Object, Resource
from remediator.simulated.kubernetes import kinds, shapes, status, validation
from remediator.simulated.kubernetes.control_plane import ControlPlane, advanced
from remediator.simulated.kubernetes.defaults import defaulted, status_at_first
from remediator.simulated.kubernetes.status import Refusal
from remediator.simulated.kubernetes.store import going

MERGE, JSON = "application/merge-patch+json", "application/json-patch+json"
_FIXED = ("uid", "creationTimestamp", "namespace", "name", "generation", "deletionTimestamp")


def required(plane: ControlPlane, place: kinds.Place) -> Object:
    """Return the object that a path names.

    Raises:
        Refusal: there is none.
    """
    found = plane.store.get(place.resource, place.namespace, place.name)
    if found is None:
        raise status.not_found(place.resource, place.name)
    return found


def create(plane: ControlPlane, place: kinds.Place, asked: Mapping[str, str], body: Any) -> Object:
    """Carry out a POST.

    Raises:
        Refusal: it may not be.
    """
    dry = dry_run(asked, "CreateOptions")
    resource = place.resource
    obj = _document(resource, body)
    metadata = obj["metadata"]
    if not metadata.get("name") and not metadata.get("generateName"):
        cause = (
            "FieldValueRequired",
            "metadata.name",
            "Required value: name or generateName is required",
        )
        raise status.invalid(resource, "", [cause])
    if resource.namespaced:
        if metadata.get("namespace", place.namespace) != place.namespace:
            raise Refusal(
                400,
                "the namespace of the provided object does not match the namespace sent on the "
                "request",
            )
        metadata["namespace"] = place.namespace
        if plane.store.get(kinds.NAMESPACES, "", place.namespace) is None:
            raise status.not_found(kinds.NAMESPACES, place.namespace)
    name = str(metadata.get("name", ""))
    if name and plane.store.get(resource, place.namespace, name):
        raise status.exists(resource, name)
    for key in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        metadata.pop(key, None)
    if kinds.built_in(resource):
        obj.pop("status", None)
        first = status_at_first(resource)
        if first is not None:
            obj["status"] = first
    try:
        obj = defaulted(resource, shapes.fitted(resource, obj))
    except shapes.Misfit as misfit:
        kind = resource.kind
        said = f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {misfit}'
        raise Refusal(400, said) from None
    validation.check(resource, obj)
    plane.catalogue.of({**obj, "apiVersion": kinds.api_version(resource), "kind": resource.kind})
    return plane.stamped(resource, obj) if dry else plane.create(resource, obj)


def replace(plane: ControlPlane, place: kinds.Place, asked: Mapping[str, str], body: Any) -> Object:
    """Carry out a PUT.

    Raises:
        Refusal: it may not be.
    """
    dry = dry_run(asked, "UpdateOptions")
    return write(plane, place, required(plane, place), _document(place.resource, body), dry)


def patch(
    plane: ControlPlane,
    place: kinds.Place,
    asked: Mapping[str, str],
    content_type: str | None,
    body: Any,
) -> Object:
    """Carry out a PATCH.

    Raises:
        Refusal: it may not be.
    """
    dry = dry_run(asked, "PatchOptions")
    before = required(plane, place)
    return write(plane, place, before, patched(before, content_type, body), dry)


def patched(before: Object, content_type: str | None, body: Any) -> Object:
    """Return an object under the patch of a request.

    Raises:
        Refusal: it does not fit, or is of another sort.
    """
    try:
        if content_type == MERGE and isinstance(body, Mapping):
            after = patches.merge(before, body)
        elif content_type == JSON and isinstance(body, list | tuple):
            after = patches.json_patch(before, body, as_the_server=True)
        else:
            raise Refusal(415, "415: Unsupported Media Type")
    except patches.BadPatch:
        said = "the server rejected our request due to an error in our request"
        raise Refusal(422, said) from None
    if not isinstance(after, Mapping) or not isinstance(after.get("metadata"), Mapping):
        raise Refusal(422, "the server rejected our request due to an error in our request")
    return dict(after)


def write(
    plane: ControlPlane, place: kinds.Place, before: Object, after: Object, dry: bool
) -> Object:
    """Store an object in the place of another, under its preconditions.

    Raises:
        Refusal: it may not be.
    """
    resource = place.resource
    after = _checked(resource, place, before, after)
    if kinds.built_in(resource) and resource.kind not in ("Event", "ConfigMap", "Secret"):
        after.pop("status", None)
        if "status" in before:
            after["status"] = before["status"]
    try:
        after = defaulted(resource, shapes.fitted(resource, after))
    except shapes.Misfit as misfit:
        raise Refusal(422, f' "" is invalid: patch: Invalid value: {misfit}') from None
    validation.check(resource, after, before)
    if after == before:
        return before
    if dry:
        return {**after, "metadata": advanced(resource, before, after)}
    written = plane.update(resource, before, after)
    _let_go(plane, resource, written)
    return written


def write_status(
    plane: ControlPlane, place: kinds.Place, before: Object, after: Object, dry: bool
) -> Object:
    """Store another status, and nothing else but annotations.

    Raises:
        Refusal: it may not be.
    """
    after = _checked(place.resource, place, before, after)
    spec = {"spec": before["spec"]} if "spec" in before else {}
    after = defaulted(place.resource, {**after, **spec})
    if after == before or dry:
        return after
    return plane.store.put(place.resource, after)


def _checked(resource: Resource, place: kinds.Place, before: Object, after: Object) -> Object:
    was, metadata = before["metadata"], dict(after["metadata"])
    if metadata.get("name", place.name) != place.name:
        raise Refusal(
            400,
            f"the name of the object ({metadata['name']}) does not match the name on the URL "
            f"({place.name})",
        )
    version = metadata.get("resourceVersion")
    if version and version != was["resourceVersion"]:
        raise status.conflict(resource, place.name)
    if metadata.get("uid", was["uid"]) != was["uid"]:
        said = f'Invalid value: "{metadata["uid"]}": field is immutable'
        raise status.invalid(resource, place.name, [("FieldValueInvalid", "metadata.uid", said)])
    for key in _FIXED:
        metadata.pop(key, None)
        if key in was:
            metadata[key] = was[key]
    metadata["resourceVersion"] = was["resourceVersion"]
    head = {"apiVersion": before["apiVersion"], "kind": before["kind"]}
    return {**after, **head, "metadata": metadata}


def _let_go(plane: ControlPlane, resource: Resource, obj: Object) -> None:
    """Remove what was only held by finalizers that are gone now."""
    metadata = obj["metadata"]
    if (
        going(obj)
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
    ):
        plane.store.remove(resource, obj)


def delete(plane: ControlPlane, place: kinds.Place, asked: Mapping[str, str], body: Any) -> Answer:
    """Carry out a DELETE.

    Raises:
        Refusal: it may not be.
    """
    options: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    dry = dry_run(asked, "DeleteOptions") or "All" in (options.get("dryRun") or [])
    obj, resource = required(plane, place), place.resource
    _preconditions(resource, obj, options.get("preconditions") or {})
    grace = options.get("gracePeriodSeconds", asked.get("gracePeriodSeconds"))
    grace_s = None if grace is None else int(grace)
    policy = options.get("propagationPolicy", asked.get("propagationPolicy"))
    orphan = policy == "Orphan" or bool(options.get("orphanDependents"))
    if dry:
        left: Object | None = obj
        period = plane.grace_of(resource, obj, grace_s)
        if period or obj["metadata"].get("finalizers"):
            left = {**obj, "metadata": plane.marked(resource, obj, period)}
            return status.answer(left)
    else:
        left = plane.delete(resource, obj, grace_s=grace_s, orphan=orphan)
    if left is not None and not dry:
        return status.answer(left)
    return status.answer(obj) if resource == PODS else status.done(resource, obj)


def _preconditions(resource: Resource, obj: Object, wanted: Mapping[str, Any]) -> None:
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    name, metadata = obj["metadata"]["name"], obj["metadata"]
    for key, short in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(key) is not None and wanted[key] != metadata[key]:
            why = (
                f"the {short} in the precondition ({wanted[key]}) does not match the {short} in "
                f"record ({metadata[key]}). The object might have been "
                + ("deleted and then recreated" if key == "uid" else "modified")
            )
            group = {"group": resource.group} if resource.group else {}
            raise Refusal(
                409,
                f'Operation cannot be fulfilled on {kind} "{name}": {why}',
                {"name": name, **group, "kind": resource.kind},
            )


def dry_run(asked: Mapping[str, str], options: str) -> bool:
    """Whether a request only wants to look.

    Raises:
        Refusal: it wants something else by `dryRun`.
    """
    said = asked.get("dryRun")
    if said in (None, "", "All"):
        return said == "All"
    of = Resource("meta.k8s.io", "v1", "", options)
    message = f'Unsupported value: ["{said}"]: supported values: "All"'
    raise status.invalid(of, "", [("FieldValueNotSupported", "dryRun", message)])


def _document(resource: Resource, body: Any) -> Object:
    if not isinstance(body, Mapping) or not isinstance(body.get("metadata"), Mapping):
        raise Refusal(
            400, "the object provided is unrecognized (must be of type " + resource.kind + ")"
        )
    head = {"apiVersion": kinds.api_version(resource), "kind": resource.kind}
    return {**body, **head, "metadata": dict(body["metadata"])}
