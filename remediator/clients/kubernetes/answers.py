"""Turns the API server's refusals into the clients' errors, each with a sentence. Pure.

The one place that knows status codes. A body is a `Status` object:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from remediator.clients.errors import (
    ClientError,
    Conflict,
    Missing,
    Refused,
    Unavailable,
    retry_after,
)
from remediator.clients.kubernetes import nesting
from remediator.clients.kubernetes.connection import Answer
from remediator.clients.kubernetes.resources import Object, Resource

# The longest part of a server's own message that is passed on: admission webhooks can say a lot.
_LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, in the words of RBAC."""

    verb: str
    resource: Resource
    namespace: str
    name: str = ""
    sub: str = ""

    @property
    def permission(self) -> str:
        """`patch on apps/deployments/scale`."""
        sub = f"/{self.sub}" if self.sub else ""
        return f"{self.verb} on {self.resource.rbac.removeprefix('/')}{sub}"

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.resource.namespaced and self.namespace else ""
        return f"{self.resource.kind.lower()} {where}{self.name}".strip().removesuffix("/")


def read(answer: Answer, request: Request) -> Object:
    """Return the object in a good answer.

    Raises:
        ClientError: one of the four, by the answer's status.
    """
    if 200 <= answer.status < 300:
        try:
            value = nesting.loads(answer.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Unavailable(
                f"the answer about {request} is no JSON object: is this the API server?"
            )
        return value
    raise _error(answer, request)


def _error(answer: Answer, request: Request) -> ClientError:
    status = _status(answer.body)
    message = str(status.get("message") or f"HTTP {answer.status}")[:_LONGEST_MESSAGE]
    code = answer.status
    if code == 404:
        return Missing(f"there is no {request}")
    if code == 409:
        return Conflict(f"{request} has changed meanwhile: {message}")
    if code == 403 and f"cannot {request.verb} resource" in message:
        namespaced = request.resource.namespaced and request.namespace
        where = f"namespace {request.namespace}" if namespaced else "the cluster"
        return Refused(
            f"remediator may not {request.verb} {request}: its credentials lack "
            f"{request.permission} in {where}; `remediator rbac` prints what the runbooks need"
        )
    if code == 401:
        return Refused(
            "the API server does not accept the credentials (401); renew the token or certificate"
        )
    if code == 429 or code >= 500 or code == 410:
        # 410: the continuation of a list has expired; a new list will do.
        return Unavailable(
            f"the API server cannot {request.verb} {request} now ({code}): {message}",
            _after(answer, status),
        )
    return Refused(f"the API server refuses to {request.verb} {request}: {message}")


def _status(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _after(answer: Answer, status: dict[str, Any]) -> timedelta | None:
    return retry_after(answer.retry_after or (status.get("details") or {}).get("retryAfterSeconds"))
