"""A request from Slack's interactivity → what a person answered to which question. Pure.

Reads only requests whose signature `notifier` has checked. Takes from them the user's id, never a
name, and the opaque id that the button carries; what the message showed is not believed.
Source: Slack's «block_actions payload».
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from remediator.model.approvals import Answer
from remediator.notify.slack import blocks

# The payload and two fields that Slack may add; a body of a thousand fields is no click.
_MOST_FIELDS = 10


class Malformed(Exception):
    """Signed, but not what Slack's documentation describes."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _User(_Part):
    id: Annotated[str, Field(pattern="^[UW][A-Z0-9]{2,30}$")]


class _Action(_Part):
    action_id: Annotated[str, Field(max_length=255)] = ""
    value: Annotated[str, Field(max_length=2000)] = ""


class _Payload(_Part):
    type: str
    user: _User
    actions: Annotated[tuple[_Action, ...], Field(max_length=25)] = ()
    response_url: Annotated[str, Field(max_length=2000)] = ""


class _Kind(_Part):
    type: str


@dataclass(frozen=True, slots=True)
class Click:
    """One press of Approve or Deny."""

    approval_id: str
    answer: Answer
    actor: str
    response_url: str


def ssl_check(body: bytes) -> bool:
    """Whether this is Slack's look at our certificate: unsigned, without content, wants a 200."""
    fields = _fields(body)
    return fields.get("ssl_check") == "1" and "payload" not in fields


def read(body: bytes) -> Click | None:
    """Return the click in a request, or None where it is something that is not for us.

    Raises:
        Malformed: it has no payload, or one that Slack does not send.
    """
    payload = _fields(body).get("payload")
    if payload is None:
        raise Malformed("no form field `payload`")
    try:
        if _Kind.model_validate_json(payload).type != "block_actions":
            return None
        click = _Payload.model_validate_json(payload)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Malformed(f"payload: {where or 'not JSON'}") from None
    for action in click.actions:
        answer = blocks.ACTIONS.get(action.action_id)
        if answer is not None and action.value:
            return Click(
                approval_id=action.value,
                answer=answer,
                actor=f"slack:{click.user.id}",
                response_url=click.response_url,
            )
    return None


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qs(body.decode(), max_num_fields=_MOST_FIELDS)
    except ValueError:  # not UTF-8, or too many fields
        return {}
    return {name: values[0] for name, values in pairs.items()}
