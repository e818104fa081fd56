"""Reading request bodies, with limits on size, time and what all of them hold together.

The limits count what a body unpacks to. `server` switches aiohttp's own unpacking off.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from remediator.observe import metrics
from remediator.plugin.source import Rejected
from remediator.web import problems

# Slack's callbacks and people's requests are far smaller.
SMALL_BYTES = 2**20
# A notification of this size or less comes in one piece.
_ONE_PIECE_BYTES = 64 * 1024
# A sender that needs longer than this for one body comes again; it must not hold memory meanwhile.
_READ_TIMEOUT_S = 60.0
# zlib's number for a gzip header around the deflate stream.
_GZIP = 16 + zlib.MAX_WBITS
# What notifications in hand may hold together: a few storms at once; more are answered 503.
_TOGETHER_BYTES = 256 * 2**20

Model = TypeVar("Model", bound=BaseModel)


class Reader:
    """Reads bodies up to a limit each, and a limit together."""

    def __init__(self, limit_bytes: int, together_bytes: int = _TOGETHER_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._free_bytes = max(together_bytes, limit_bytes)

    def body(self, request: web.Request) -> "_Held":
        """Give the whole body; its memory counts until the block is left.

        Raises:
            Problem: too large (413), too much at once or too slow (503), not readable (400).
        """
        return _Held(self, request)

    async def read(self, request: web.Request, held: "_Held") -> bytes:
        """Read the whole body, and count it as held."""
        arrived = self._arrived(request)
        if arrived is not None:
            self._hold(held, len(arrived))
            return arrived
        pieces: list[bytes] = []
        async for piece in _pieces(request, self._limit_bytes):
            if len(piece) > self._free_bytes:
                metrics.LIMIT_HIT.labels(limit="http_bodies_together").inc()
                raise problems.later(
                    "overloaded", "too many large bodies at once; try this one again"
                )
            self._hold(held, len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    def let_go(self, held: "_Held") -> None:
        """Count a body no longer."""
        self._free_bytes += held.size

    def _hold(self, held: "_Held", size: int) -> None:
        held.size += size
        self._free_bytes -= size

    def _arrived(self, request: web.Request) -> bytes | None:
        """Return a small plain body that came with its headers, as most do: there is nothing to
        wait for, and nothing to unpack. None for every other, and where any limit is near."""
        size = request.content_length
        if not size or size > min(_ONE_PIECE_BYTES, self._limit_bytes, self._free_bytes):
            return None
        content = request.content
        if "Content-Encoding" in request.headers or not content.is_eof() or content.exception():
            return None
        return content.read_nowait()


class _Held:
    """One body that is in memory; a context manager of its own, since a generator costs more."""

    __slots__ = ("_reader", "_request", "size")

    def __init__(self, reader: Reader, request: web.Request) -> None:
        self._reader = reader
        self._request = request
        self.size = 0

    async def __aenter__(self) -> bytes:
        try:
            return await self._reader.read(self._request, self)
        except BaseException:
            self._reader.let_go(self)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._reader.let_go(self)


async def small(request: web.Request) -> bytes:
    """Return a body of at most 1 MiB, unpacked if it was packed.

    Raises:
        Problem: as `Reader.body`.
    """
    return b"".join([piece async for piece in _pieces(request, SMALL_BYTES)])


async def model(request: web.Request, kind: type[Model]) -> Model:
    """Return the JSON body as a model; no body at all is an empty object.

    Raises:
        Problem: as `small`, or not sent as application/json (415).
        Rejected: it is not JSON, or not this model; names the first wrong field.
    """
    body = await small(request)
    if body and request.content_type != "application/json":
        raise problems.Problem(
            415, "", "send the body as JSON, with the header Content-Type: application/json"
        )
    try:
        given = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise Rejected("", f"the body is not JSON ({error})") from None
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise Rejected(field, fault["msg"].removeprefix("Value error, ")) from None


async def _pieces(request: web.Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """Give the body in pieces, unpacked; the limit counts what it unpacks to."""
    if request.content_length is not None and request.content_length > limit_bytes:
        raise _too_large(limit_bytes)
    unpack = _unpacker(request)
    left_bytes = limit_bytes
    deadline = asyncio.get_running_loop().time() + _READ_TIMEOUT_S
    while piece := await _next(request, deadline):
        # One byte above what is left shows that there is more, and never much more than that.
        unpacked = unpack(piece, left_bytes + 1)
        left_bytes -= len(unpacked)
        if left_bytes < 0:
            raise _too_large(limit_bytes)
        yield unpacked
    unpack(b"", 1)


async def _next(request: web.Request, deadline: float) -> bytes:
    """Return what has arrived, empty at the end; `deadline` is in the event loop's time."""
    try:
        async with asyncio.timeout_at(deadline):
            return await request.content.readany()
    except TimeoutError:
        metrics.LIMIT_HIT.labels(limit="http_body_time").inc()
        raise problems.later("too-slow", "the body did not arrive in time; try again") from None
    except (web.RequestPayloadError, ConnectionError):
        raise _unreadable("the body ends early") from None


def _unpacker(request: web.Request) -> Callable[[bytes, int], bytes]:
    """Return what undoes the Content-Encoding: (piece, at most so many bytes) → unpacked.

    Called with an empty piece at the end. Done here and not by aiohttp, whose error on broken
    packing cuts the connection before the answer.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return lambda piece, _: piece
    if encoding != "gzip":
        raise problems.Problem(
            415, "", "send the body plain or with gzip", headers={"Accept-Encoding": "gzip"}
        )
    gzip = zlib.decompressobj(wbits=_GZIP)

    def unpack(piece: bytes, most_bytes: int) -> bytes:
        try:
            unpacked = gzip.decompress(piece, most_bytes)
        except zlib.error:
            raise _unreadable("the body is not gzip") from None
        if gzip.unused_data or (not piece and not gzip.eof):
            raise _unreadable("the body is not one whole gzip stream")
        return unpacked

    return unpack


def _unreadable(detail: str) -> problems.Problem:
    return problems.Problem(400, "rejected", detail, headers={"Connection": "close"})


def _too_large(limit_bytes: int) -> problems.Problem:
    metrics.LIMIT_HIT.labels(limit="http_body").inc()
    return problems.too_large(limit_bytes)
