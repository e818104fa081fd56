"""Answers requests as the API server does: paths, queries, patches, preconditions, dry runs.

Owns what a request may do; must not do what controllers do. Called by `cluster` with a control
plane that has caught up.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from remediator.clients.kubernetes.connection import Answer
from remediator.clients.kubernetes.resources import PODS, Object, Resource
from remediator.simulated.kubernetes import kinds, selectors, status, subresources, writes
from remediator.simulated.kubernetes.control_plane import ControlPlane
from remediator.simulated.kubernetes.status import Refusal
from remediator.simulated.kubernetes.store import key_of, labels_of

Query = Sequence[tuple[str, str]]
_NAMES_ONLY = "as=PartialObjectMetadataList"
_NAME_ONLY = "as=PartialObjectMetadata;"
_Read = Callable[[Object], Any]
_FIELDS: dict[str, _Read] = {
    "metadata.name": lambda o: o["metadata"]["name"],
    "metadata.namespace": lambda o: o["metadata"].get("namespace", ""),
}
_POD_FIELDS: dict[str, _Read] = {
    "spec.nodeName": lambda o: (o.get("spec") or {}).get("nodeName", ""),
    "status.phase": lambda o: (o.get("status") or {}).get("phase", ""),
    "spec.restartPolicy": lambda o: (o.get("spec") or {}).get("restartPolicy", ""),
}
_EVENT_FIELDS: dict[str, _Read] = {
    "involvedObject.kind": lambda o: (o.get("involvedObject") or {}).get("kind", ""),
    "involvedObject.name": lambda o: (o.get("involvedObject") or {}).get("name", ""),
    "involvedObject.namespace": lambda o: (o.get("involvedObject") or {}).get("namespace", ""),
    "involvedObject.uid": lambda o: (o.get("involvedObject") or {}).get("uid", ""),
    "reason": lambda o: o.get("reason", ""),
    "type": lambda o: o.get("type", ""),
}


def respond(
    plane: ControlPlane,
    method: str,
    path: str,
    query: Query,
    *,
    accept: str = "application/json",
    content_type: str | None = None,
    body: Any = None,
) -> Answer:
    """Answer one request."""
    place = plane.catalogue.place(path)
    try:
        if place is None:
            return _nothing_there(plane, path)
        asked = dict(query)
        if place.sub:
            said = subresources.respond(plane, method, place, asked, content_type, body)
            return status.answer(said, 201 if method == "POST" else 200)
        match method, bool(place.name):
            case "GET", True:
                found = _one(writes.required(plane, place), accept)
                return status.answer(found)
            case "GET", False:
                return status.answer(_list(plane, place, asked, accept))
            case "POST", False:
                return status.answer(writes.create(plane, place, asked, body), 201)
            case "PUT", True:
                return status.answer(writes.replace(plane, place, asked, body))
            case "PATCH", True:
                return status.answer(writes.patch(plane, place, asked, content_type, body))
            case "DELETE", True:
                return writes.delete(plane, place, asked, body)
        raise Refusal(405, "the server does not allow this method on the requested resource")
    except Refusal as refusal:
        return status.refused(refusal)


def _nothing_there(plane: ControlPlane, path: str) -> Answer:
    groups = {r.group for r in kinds.BUILT_IN}
    parts = path.strip("/").split("/")
    if parts[0] == "api" or (len(parts) > 1 and parts[0] == "apis" and parts[1] in groups):
        return status.refused(Refusal(404, "the server could not find the requested resource"))
    return status.no_such_path()


def _one(obj: Object, accept: str) -> Object:
    return _bare(obj) if _NAME_ONLY in accept else obj


def _bare(obj: Object) -> Object:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }


def _list(plane: ControlPlane, place: kinds.Place, asked: Mapping[str, str], accept: str) -> Object:
    resource = place.resource
    wanted = _wanted(resource, asked)
    items = plane.store.items(resource, place.namespace or None)
    chosen = [item for item in items if wanted(item)]
    limit = _limit(asked)
    start = _start(asked)
    if start:
        chosen = [item for item in chosen if _position(place, item) >= start]
    metadata: dict[str, Any] = {"resourceVersion": str(plane.store.version)}
    if limit > 0 and len(chosen) > limit:
        last = _position(place, chosen[limit - 1])
        token = {"v": "meta.k8s.io/v1", "rv": plane.store.version, "start": f"{last}\0"}
        text = json.dumps(token, separators=(",", ":")).encode()
        metadata["continue"] = base64.urlsafe_b64encode(text).decode().rstrip("=")
        if not (asked.get("labelSelector") or asked.get("fieldSelector")):
            metadata["remainingItemCount"] = len(chosen) - limit
        chosen = chosen[:limit]
    if _NAMES_ONLY in accept:
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": [_bare(item) for item in chosen],
        }
    if kinds.built_in(resource):  # lists of its own kinds say the kind once
        chosen = [
            {k: v for k, v in item.items() if k not in ("kind", "apiVersion")} for item in chosen
        ]
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": kinds.api_version(resource),
        "metadata": metadata,
        "items": chosen,
    }


def _wanted(resource: Resource, asked: Mapping[str, str]) -> Callable[[Object], bool]:
    try:
        by_label = selectors.parse(asked.get("labelSelector", ""))
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    fields = {**_FIELDS}
    if resource == PODS:
        fields |= _POD_FIELDS
    elif resource.kind == "Event":
        fields |= _EVENT_FIELDS
    terms = []
    for term in filter(None, asked.get("fieldSelector", "").split(",")):
        name, equal = (term.split("!=")[0], False) if "!=" in term else (term.split("=")[0], True)
        value = term.replace("==", "=").partition("=")[2]
        if name not in fields:
            if resource == PODS:
                raise Refusal(400, f"field label not supported: {name}")
            known = ", ".join(f'"{field}"' for field in fields)
            raise Refusal(400, f'"{name}" is not a known field selector: only {known}')
        terms.append((fields[name], equal, value))
    return lambda item: (
        by_label(labels_of(item))
        and all((str(read(item)) == value) is equal for read, equal, value in terms)
    )


def _limit(asked: Mapping[str, str]) -> int:
    text = asked.get("limit") or "0"
    try:
        return int(text)
    except ValueError:
        raise Refusal(400, f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _start(asked: Mapping[str, str]) -> str:
    token = asked.get("continue", "")
    if not token:
        return ""
    try:
        padded = token + "=" * (-len(token) % 4)
        return str(json.loads(base64.urlsafe_b64decode(padded))["start"])
    except (ValueError, KeyError, TypeError):
        raise Refusal(400, "invalid continue token: continue key is not valid") from None


def _position(place: kinds.Place, item: Object) -> str:
    namespace, name = key_of(item)
    return f"/{name}" if place.namespace else f"/{namespace}/{name}"
