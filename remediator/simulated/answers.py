"""What authors write about HTTP servers and commands in a simulated world: models, no more.

A part of `simulated.spec`; `simulated.http` and `simulated.commands` give the answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

import yarl
from pydantic import AfterValidator, Field, model_validator

from remediator.clients.errors import Refused
from remediator.clients.http import addressed
from remediator.model.limits import Frozen
from remediator.model.quantities import Duration

ANY_ARGUMENT = "*"
ANY_ARGUMENTS = "**"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# ------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class What:
    """Which requests are meant. `prefix` says that `url` is how they begin."""

    method: str
    url: str
    prefix: bool

    def fits(self, method: str, url: yarl.URL) -> bool:
        """Whether a request is one of these. GET stands for HEAD, too."""
        if method != self.method and (method, self.method) != ("HEAD", "GET"):
            return False
        return _rooted(url).startswith(self.url) if self.prefix else _spelt(url) == self.url


def parse_request(text: str) -> What:
    """Read `GET http://api.shop/healthz`, or `GET http://api.shop/*`.

    Raises:
        ValueError: it is no such thing; the text says what to write.
    """
    method, _, url = text.strip().partition(" ")
    try:
        if method not in _METHODS:
            raise Refused(f"{method[:40]!r} is no HTTP method")
        prefix = url.endswith("*")
        target = addressed(url.strip().removesuffix("*"), ())
    except Refused as error:
        raise ValueError(
            f"{error}; write method and URL, like GET http://shop.example.org/healthz"
        ) from None
    # A prefix keeps its order: what follows its query is not known.
    return What(method, _rooted(target) if prefix else _spelt(target), prefix)


def _spelt(url: yarl.URL) -> str:
    """The same text for the same request: the order of a query's names says nothing."""
    return _rooted(url.with_query(sorted(url.query.items())))


def _rooted(url: yarl.URL) -> str:
    """The text of a URL, with the path `/` where none is written: a host ends before it."""
    return f"{url.origin()}{url.raw_path_qs}"


def _request(text: str) -> str:
    parse_request(text)
    return text


RequestText = Annotated[
    str,
    AfterValidator(_request),
    Field(examples=["GET http://api.shop/healthz", "GET http://api.shop/*"]),
]
"""Method and URL; a `*` at the end stands for any rest."""


class ReplySpec(Frozen):
    """One answer of an HTTP server."""

    status: Annotated[int, Field(ge=100, le=599)] = 200
    """The HTTP status."""
    headers: Mapping[str, str] = Field(default_factory=dict)
    """Headers of the answer; content-type and date are added where they are not given."""
    body: str = ""
    """The answer's body, as text."""
    json_: Annotated[Any, Field(alias="json")] = None
    """The answer's body as a value, in place of `body`; it is sent as JSON."""
    fails: Literal["no connection", "timeout"] | None = None
    """No answer comes: nobody listens, or the client's patience ends first."""
    takes: Duration = timedelta()
    """How long the answer takes, in virtual time; longer than the client waits is a timeout."""

    @model_validator(mode="after")
    def _one_body(self) -> "ReplySpec":
        given = self.model_fields_set
        if "body" in given and "json_" in given:
            raise ValueError("give body or json, not both")
        if self.fails and given & {"status", "headers", "body", "json_"}:
            raise ValueError("what fails gives no answer: leave out status, headers, body and json")
        return self


class AnswerSpec(ReplySpec):
    """One HTTP request, and what is answered: the same always, or several answers in turn."""

    request: RequestText
    """Method and URL, as `GET http://shop.example.org/healthz`; a `*` at the end stands for any
    rest. The exact ones are looked at first, then the longest."""
    answers: Annotated[tuple[ReplySpec, ...], Field(max_length=1000)] = ()
    """In place of one answer: one for each time that it is asked, of which the last stays."""

    @model_validator(mode="after")
    def _one_form(self) -> "AnswerSpec":
        if self.answers and self.model_fields_set & set(ReplySpec.model_fields):
            raise ValueError("put everything about the answers below answers, or nothing")
        return self

    @cached_property
    def what(self) -> What:
        """The request, read."""
        return parse_request(self.request)


# ------------------------------------------------------------------------- commands


class EndingSpec(Frozen):
    """How a command ends, once."""

    exit: Annotated[int, Field(ge=-64, le=255)] = 0
    """Its exit status; negative for the signal that ends it."""
    stdout: str = ""
    """What it writes."""
    stderr: str = ""
    """What it writes to standard error."""
    timed_out: bool = False
    """It does not end within the step's time, and is killed."""
    takes: Duration = timedelta()
    """How long it runs, in virtual time; longer than the step allows is a timeout."""
    then: "ThenSpec | None" = None
    """What is otherwise from its end on."""

    @model_validator(mode="after")
    def _one_end(self) -> "EndingSpec":
        if self.timed_out and "exit" in self.model_fields_set:
            raise ValueError("what is killed has no exit status: leave out exit or timed_out")
        return self


class CommandSpec(EndingSpec):
    """One command, and how it ends: the same always, or several endings in turn."""

    command: Annotated[
        tuple[str, ...],
        Field(min_length=1, examples=[["/usr/bin/systemctl", "restart", "nginx"]]),
    ]
    """The program and its arguments. A program without a path stands for it in any folder, `*` for
    any one argument; a last `**` for any that follow."""
    answers: Annotated[tuple[EndingSpec, ...], Field(max_length=1000)] = ()
    """In place of one ending: one for each time that it is started, of which the last stays."""

    @model_validator(mode="after")
    def _one_form(self) -> "CommandSpec":
        if self.answers and self.model_fields_set & set(EndingSpec.model_fields):
            raise ValueError("put everything about the endings below answers, or nothing")
        return self


class ThenSpec(Frozen):
    """What a command changes in the world: how others end, and what requests get."""

    exec: tuple[CommandSpec, ...] = ()
    """How commands end from now on."""
    http: tuple[AnswerSpec, ...] = ()
    """What requests get from now on."""


EndingSpec.model_rebuild()
CommandSpec.model_rebuild()
ThenSpec.model_rebuild()


def same_program(wanted: str, program: str) -> bool:
    """Whether a program is the one that a test names, by its path or its name alone."""
    return program == wanted or ("/" not in wanted and program.rpartition("/")[2] == wanted)


def fits(pattern: tuple[str, ...], command: tuple[str, ...]) -> bool:
    """Whether a command is one that a test's list of words stands for."""
    if not pattern or not command or not same_program(pattern[0], command[0]):
        return False
    wanted, given = pattern[1:], command[1:]
    if wanted and wanted[-1] == ANY_ARGUMENTS:
        wanted = wanted[:-1]
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(
        word in (ANY_ARGUMENT, argument) for word, argument in zip(wanted, given, strict=True)
    )
