"""`http.check`: one HTTP request, and whether its answer is as expected.

No answer at all is a finding and not an error: that is what such a check is for.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from remediator.clients.errors import ClientError, Unavailable
from remediator.clients.http import Answer, HttpClient
from remediator.model.canonical import JSON
from remediator.model.plans import Result
from remediator.model.quantities import Duration, format_duration
from remediator.plugin.action import ActionParams, Permanent, Permission, Probe
from remediator.plugin.context import Context

# A health page is small; a download must not fill the memory.
MAX_BODY_BYTES = 64 * 1024
# In the result that goes into the journal.
MAX_HEAD_CHARS = 2000
_LONGEST = timedelta(minutes=2)
# There is no place for a secret in a runbook: its text and parameters are in the journal.
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


def _timeout(value: timedelta) -> timedelta:
    if not timedelta() < value <= _LONGEST:
        raise ValueError(f"a timeout is longer than 0s and at most {format_duration(_LONGEST)}")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        parts.port  # noqa: B018 - it is the reading that raises
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("it is no http or https URL with a host")
    if "@" in parts.netloc:
        raise ValueError("a user or password in a URL would end up in the journal; leave it out")
    return value


def _headers(value: Mapping[str, str]) -> Mapping[str, str]:
    for name, content in value.items():
        if name.lower() in _CREDENTIALS:
            raise ValueError(
                f"{name} is a credential, which would end up in the journal; check a page that "
                "needs none, or use exec with a program that has the credential"
            )
        if any(c in "\r\n\0" for c in name + content):
            raise ValueError(f"the header {name!r} holds a line break")
    return value


Status = Annotated[int, Field(ge=100, le=599)]


class Check(Probe["Check.Params"]):
    """Asks any HTTP server that the daemon reaches."""

    name = "http.check"
    summary = "Make one HTTP request, and compare status and body."
    example = """
url: http://shop.example.org/healthz
expect_status: 200
expect_body: '"status":"ok"'
timeout: 3s
"""
    Output: ClassVar[dict[str, str]] = {
        "status": "int",
        "body_head": "string",
        "elapsed_s": "double",
        "error": "string",
    }

    class Params(ActionParams):
        """What to ask, and what to expect."""

        url: Annotated[str, Field(max_length=8000), AfterValidator(_url)]
        """An http or https URL."""
        method: Literal["GET", "HEAD"] = "GET"
        """Only methods that change nothing."""
        headers: Annotated[Mapping[str, str], Field(max_length=50), AfterValidator(_headers)] = (
            Field(default_factory=dict)
        )
        """Headers to send; no credentials."""
        expect_status: Status | tuple[Status, ...] | None = None
        """A status or a list of them. Default: any from 200 to 299."""
        expect_body: Annotated[str, Field(min_length=1)] | None = None
        """A text that must stand in the first 64 KiB of the body."""
        timeout: Annotated[Duration, AfterValidator(_timeout)] = timedelta(seconds=5)
        """For the whole request."""
        follow_redirects: bool = False
        """Whether to go on to where the server points, five times at most."""
        insecure_skip_verify: bool = False
        """Take any certificate. Whoever is on the way can then forge the answer."""

        @model_validator(mode="after")
        def _head_has_no_body(self) -> "Check.Params":
            if self.method == "HEAD" and self.expect_body is not None:
                raise ValueError("expect_body needs method GET; an answer to HEAD has no body")
            return self

    def permissions(self, params: Params) -> Sequence[Permission]:
        """Return nothing: such a request carries no credentials."""
        return ()

    async def probe(self, params: Params, ctx: Context) -> Result:
        """Ask once."""
        began = ctx.monotonic()
        try:
            answer = await ctx.client(HttpClient).request(
                params.method,
                params.url,
                headers=params.headers,
                timeout_s=params.timeout.total_seconds(),
                max_bytes=MAX_BODY_BYTES,
                follow_redirects=params.follow_redirects,
                verify=not params.insecure_skip_verify,
            )
        except Unavailable as error:
            output = _output(None, ctx.monotonic() - began, str(error))
            return Result(str(error), ok=False, changed=False, output=output)
        except ClientError as error:
            raise Permanent(str(error)) from None
        elapsed_s = ctx.monotonic() - began
        problem = judge(params, answer)
        message = problem or f"status {answer.status} in {elapsed_s:.2f}s, as expected"
        return Result(
            message, ok=not problem, changed=False, output=_output(answer, elapsed_s, problem)
        )


def judge(params: Check.Params, answer: Answer) -> str:
    """Return what is not as expected, or an empty text."""
    expected = params.expect_status
    if expected is None:
        as_expected, words = 200 <= answer.status <= 299, "200 to 299"
    else:
        allowed = (expected,) if isinstance(expected, int) else expected
        as_expected, words = answer.status in allowed, " or ".join(map(str, allowed))
    if not as_expected:
        to = " (a redirect, which is not followed)" if 300 <= answer.status <= 399 else ""
        return f"status {answer.status}{to}; expected {words}"
    if params.expect_body is not None and params.expect_body not in answer.text:
        where = "the first 64 KiB of the body" if answer.truncated else "the body"
        return f"status {answer.status}, but {params.expect_body[:80]!r} is not in {where}"
    return ""


def _output(answer: Answer | None, elapsed_s: float, error: str) -> dict[str, JSON]:
    """Status 0 stands for no answer."""
    return {
        "status": answer.status if answer else 0,
        "body_head": answer.text[:MAX_HEAD_CHARS] if answer else "",
        "elapsed_s": round(elapsed_s, 4),
        "error": error,
    }
