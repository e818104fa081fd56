"""The client of a running daemon's API, for commands.

The standard library's `http.client`: it starts at once, and no proxy that the environment names
sees the token. Problem documents become failures that say their detail.
"""

import http.client
import json
import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click

from remediator.cli.failure import Failure

# Every answer of the API comes after a journal commit, which takes milliseconds.
_TIMEOUT_S = 30.0
# The longest page that the API gives.
_PAGE = 500
# A page of the largest runs; anything longer is not ours.
_MAX_ANSWER_BYTES = 64 * 2**20

Item = dict[str, Any]


class ProblemFailure(Failure):
    """The daemon answered with a problem document; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unreachable(Failure):
    """Nothing answers at the URL."""


class Api:
    """One daemon. Each call is one request on a connection of its own."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Take the daemon's base URL; the token comes from the environment, never from argv.

        Args:
            url: `http://host:port`, with a path if a proxy wants one.
            token: in place of the environment's; empty for none.

        Raises:
            click.UsageError: the URL is none.
            Failure: the token's file can't be read.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise click.UsageError(
                f"--url: {url!r} is no URL of a daemon; write http://127.0.0.1:9095"
            )
        self.url = url.rstrip("/")
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._base = parts.path.rstrip("/")
        self._token = _token() if token is None else token

    def get(self, path: str, **query: Any) -> Item:
        """Read one thing."""
        pairs = [(k, v) for k, v in query.items() if v is not None]
        return self._request("GET", f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path)

    def post(self, path: str, body: Mapping[str, Any]) -> Item:
        """Ask for something to be done."""
        return self._request("POST", path, body)

    def delete(self, path: str) -> Item:
        """Take something away."""
        return self._request("DELETE", path)

    def items(self, path: str, limit: int, **query: Any) -> Item:
        """Read a list page by page; returns `items` and the `next` cursor."""
        found: list[Item] = []
        cursor: str | None = None
        while True:
            page = self.get(path, limit=min(_PAGE, limit - len(found)), cursor=cursor, **query)
            found += page["items"]
            cursor = page["next"]
            if cursor is None or len(found) >= limit:
                return {"items": found, "next": cursor}

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Item:
        headers = {"Accept": "application/json", "User-Agent": "remediator-cli"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection = self._connect()
        try:
            connection.request(method, f"{self._base}{path}", body=content, headers=headers)
            response = connection.getresponse()
            answer = response.read(_MAX_ANSWER_BYTES)
        except ConnectionRefusedError:
            raise Unreachable(
                f"nothing answers at {self.url}: start the daemon with `remediator serve`, or "
                "name another with --url or $REMEDIATOR_URL"
            ) from None
        except ssl.SSLError as error:
            raise Failure(
                f"{self.url}: TLS failed: {error.reason or error}; for a private authority set "
                "$SSL_CERT_FILE"
            ) from None
        except TimeoutError:
            raise Failure(
                f"{self.url} did not answer within {_TIMEOUT_S:.0f} seconds; see the daemon's log"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"{self.url} can't be asked: {_said(error)}") from None
        finally:
            connection.close()
        return self._understood(response.status, answer)

    def _connect(self) -> http.client.HTTPConnection:
        if self._https:
            return http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S)
        return http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)

    def _understood(self, status: int, answer: bytes) -> Item:
        try:
            value = json.loads(answer)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Failure(
                f"{self.url} answered {status} with what is no JSON document: is it remediator?"
            )
        if status < 400:
            return value
        raise ProblemFailure(status, _problem(status, value, bool(self._token)))


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


def pairs(given: Sequence[str], option: str = "--label", word: str = "label") -> dict[str, str]:
    """Read `--label k=v` options, or others like them.

    Raises:
        click.UsageError: one has no name or no `=`.
    """
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option}: {text!r} is no {word}; write NAME=VALUE")
        found[name] = value
    return found


def _problem(status: int, document: Item, with_token: bool) -> str:
    detail = document.get("detail") or document.get("title") or f"HTTP status {status}"
    field = document.get("field")
    text = f"{field}: {detail}" if field else str(detail)
    if status == 401:
        how = (
            "the token was not accepted; check"
            if with_token
            else "the daemon wants a token; put it into"
        )
        return f"{text} ({how} $REMEDIATOR_TOKEN or $REMEDIATOR_TOKEN_FILE)"
    return text


def _token() -> str:
    """Return the token from the environment; argv is open to every user of the machine."""
    token = os.environ.get("REMEDIATOR_TOKEN", "")
    path = os.environ.get("REMEDIATOR_TOKEN_FILE", "")
    if not token and path:
        try:
            token = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"$REMEDIATOR_TOKEN_FILE: {path} can't be read: {_said(error)}") from None
    token = token.strip()
    if not all(33 <= ord(char) < 127 for char in token):
        raise Failure("$REMEDIATOR_TOKEN: the token holds characters that no header can carry")
    return token


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
