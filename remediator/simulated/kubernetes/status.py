"""Answers of the API server: objects, lists, and refusals as Status objects. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

import json
from typing import Any

from remediator.clients.kubernetes.connection import Answer
from remediator.clients.kubernetes.resources import Object, Resource

_REASONS = {
    400: "BadRequest",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
}


class Refusal(Exception):
    """The request is refused, by this code and Status."""

    def __init__(
        self,
        code: int,
        message: str,
        details: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason or _REASONS.get(code, "InternalError")
        self.details = details or {}


def answer(value: object, code: int = 200) -> Answer:
    """Return JSON as bytes."""
    return Answer(code, json.dumps(value, separators=(",", ":")).encode() + b"\n", None)


def refused(refusal: Refusal) -> Answer:
    """Return a refusal as the API server words it."""
    return answer(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(refusal),
            "reason": refusal.reason,
            **({} if refusal.code == 400 else {"details": refusal.details}),
            "code": refusal.code,
        },
        refusal.code,
    )


def done(resource: Resource, removed: Object) -> Answer:
    """Return the Status of a deletion that has taken place."""
    details = {**_named(resource, removed["metadata"]["name"]), "uid": removed["metadata"]["uid"]}
    return answer(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }
    )


def no_such_path() -> Answer:
    """Return what is said of a path that nothing serves."""
    return Answer(404, b"404 page not found\n", None)


def not_found(resource: Resource, name: str) -> Refusal:
    """There is no object of this name."""
    return Refusal(404, f'{_qualified(resource)} "{name}" not found', _named(resource, name))


def exists(resource: Resource, name: str) -> Refusal:
    """There is one of this name already."""
    return Refusal(
        409,
        f'{_qualified(resource)} "{name}" already exists',
        _named(resource, name),
        "AlreadyExists",
    )


def conflict(resource: Resource, name: str, why: str = "") -> Refusal:
    """The object is not as the request expects it."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try "
        "again"
    )
    return Refusal(
        409,
        f'Operation cannot be fulfilled on {_qualified(resource)} "{name}": {why}',
        _named(resource, name),
    )


def invalid(resource: Resource, name: str, causes: list[tuple[str, str, str]]) -> Refusal:
    """The object would not be valid: (reason, field, message) of each cause."""
    said = [f"{field}: {message}" for _, field, message in causes]
    text = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return Refusal(
        422,
        f'{kind} "{name}" is invalid: {text}',
        {
            **({"name": name} if name else {}),
            **({"group": resource.group} if resource.group else {}),
            "kind": resource.kind,
            "causes": [
                {"reason": reason, "message": message, "field": field}
                for reason, field, message in causes
            ],
        },
    )


def _qualified(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def _named(resource: Resource, name: str) -> dict[str, Any]:
    group = {"group": resource.group} if resource.group else {}
    return {"name": name, **group, "kind": resource.plural}
