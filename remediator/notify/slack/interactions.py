"""What Slack sends when somebody does something → what they did. Pure.

Reads only requests whose signature was checked, or that came over our own connection. Takes from
them the user's id, never a name, and the opaque id that the button carries; what a message showed
is not believed. Sources: Slack's «block_actions», «view_submission», «shortcut» payloads, «Slash
commands» and «app_home_opened».
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# What Slack posts has a dozen fields at most; a body of a thousand is none of its.
_MOST_FIELDS = 30
_UserId = Annotated[str, Field(pattern="^[UW][A-Z0-9]{2,30}$")]
_Id = Annotated[str, Field(max_length=255)]


class Malformed(Exception):
    """Not what Slack's documentation describes."""


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a button.

    Args:
        action: the button's `action_id`.
        value: what it carries.
        actor: who pressed it, `slack:U…`.
        trigger_id: lets us open a modal within three seconds.
        response_url: where an answer goes that only this person sees; empty in modals and Home.
        view_id: the modal or Home that it was pressed in; empty in messages.
        view_kind: `modal` or `home`; empty in messages.
        meta: what we left in that view.
    """

    action: str
    value: str
    actor: str
    trigger_id: str = ""
    response_url: str = ""
    view_id: str = ""
    view_kind: str = ""
    meta: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """A modal that was filled in. `values` are by the block's id."""

    form: str
    meta: str
    actor: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """`/remediator` with what was typed after it."""

    text: str
    actor: str
    trigger_id: str
    response_url: str


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A global shortcut."""

    name: str
    actor: str
    trigger_id: str


@dataclass(frozen=True, slots=True)
class HomeOpened:
    """Somebody looks at the app's Home."""

    actor: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """Slack asks whether the address for events is ours."""

    answer: str


Done: TypeAlias = Press | Submission | Command | Shortcut | HomeOpened | Challenge


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _User(_Part):
    id: _UserId


class _Option(_Part):
    value: _Id = ""


class _Action(_Part):
    action_id: _Id = ""
    value: Annotated[str, Field(max_length=2000)] = ""
    selected_option: _Option | None = None


class _Input(_Part):
    value: Annotated[str, Field(max_length=3000)] | None = None
    selected_option: _Option | None = None


class _State(_Part):
    values: dict[str, dict[str, _Input]] = {}


class _View(_Part):
    id: _Id = ""
    type: _Id = ""
    callback_id: _Id = ""
    private_metadata: Annotated[str, Field(max_length=3000)] = ""
    state: _State = _State()


class _Kind(_Part):
    type: str


class _Interactive(_Part):
    user: _User
    actions: Annotated[tuple[_Action, ...], Field(max_length=25)] = ()
    trigger_id: _Id = ""
    response_url: Annotated[str, Field(max_length=2000)] = ""
    callback_id: _Id = ""
    view: _View | None = None


class _Slash(_Part):
    user_id: _UserId
    text: Annotated[str, Field(max_length=4000)] = ""
    trigger_id: _Id = ""
    response_url: Annotated[str, Field(max_length=2000)] = ""


class _Event(_Part):
    type: str
    user: str = ""
    tab: str = "home"


class _Envelope(_Part):
    type: str
    challenge: Annotated[str, Field(max_length=1000)] = ""
    event: _Event | None = None


def ssl_check(body: bytes) -> bool:
    """Whether this is Slack's look at our certificate: unsigned, without content, wants a 200."""
    fields = _fields(body)
    return fields.get("ssl_check") == "1" and "payload" not in fields and "command" not in fields


def read(body: bytes) -> Done | None:
    """Return what was done, out of the body of a request; None where it is nothing for us.

    Raises:
        Malformed: it is none that Slack sends.
    """
    if body.lstrip()[:1] == b"{":
        return of_event(_object(body))
    fields = _fields(body)
    if "command" in fields:
        return of_command(fields)
    if "payload" not in fields:
        raise Malformed("no form field `payload`, and no command")
    return of_interactive(_object(fields["payload"]))


def of_interactive(payload: Mapping[str, Any]) -> Done | None:
    """Return what was done, out of an interactivity payload; None where it is nothing for us.

    Raises:
        Malformed: it is none that Slack sends.
    """
    kind = _checked(_Kind, payload).type
    if kind not in ("block_actions", "view_submission", "shortcut"):
        return None
    said = _checked(_Interactive, payload)
    actor = f"slack:{said.user.id}"
    if kind == "shortcut":
        return Shortcut(said.callback_id, actor, said.trigger_id)
    if kind == "view_submission":
        if said.view is None:
            raise Malformed("payload: view")
        return Submission(said.view.callback_id, said.view.private_metadata, actor, _values(said))
    view = said.view or _View()
    for action in said.actions:
        value = action.value or (action.selected_option.value if action.selected_option else "")
        if action.action_id.startswith("remediator_") and value:
            return Press(
                action=action.action_id,
                value=value,
                actor=actor,
                trigger_id=said.trigger_id,
                response_url=said.response_url,
                view_id=view.id,
                view_kind=view.type,
                meta=view.private_metadata,
            )
    return None


def of_command(payload: Mapping[str, Any]) -> Command:
    """Return the slash command.

    Raises:
        Malformed: it is none that Slack sends.
    """
    said = _checked(_Slash, payload)
    return Command(said.text, f"slack:{said.user_id}", said.trigger_id, said.response_url)


def of_event(payload: Mapping[str, Any]) -> HomeOpened | Challenge | None:
    """Return what happened, out of an event's payload; None where it is nothing for us.

    Raises:
        Malformed: it is none that Slack sends.
    """
    said = _checked(_Envelope, payload)
    if said.type == "url_verification":
        return Challenge(said.challenge)
    event = said.event
    if event is None or event.type != "app_home_opened" or event.tab != "home":
        return None
    return HomeOpened(f"slack:{_checked(_User, {'id': event.user}).id}")


def _values(said: _Interactive) -> dict[str, str]:
    assert said.view is not None  # noqa: S101 - looked at by the caller
    found: dict[str, str] = {}
    for block, inputs in said.view.state.values.items():
        for given in inputs.values():
            option = given.selected_option
            found[block] = given.value or (option.value if option else "") or ""
    return found


_Checked = Any


def _checked(kind: Any, payload: Any) -> _Checked:
    try:
        return kind.model_validate(payload)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Malformed(f"payload: {where or 'not an object'}") from None


def _object(text: str | bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("payload: not JSON") from None
    if not isinstance(said, dict):
        raise Malformed("payload: not an object")
    return said


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qs(body.decode(), max_num_fields=_MOST_FIELDS)
    except ValueError:  # not UTF-8, or too many fields
        return {}
    return {name: values[0] for name, values in pairs.items()}
