"""Who asks: senders at the webhook, people and scripts at the API.

Owns every way to authenticate at the HTTP edge (notifiers' callbacks authenticate themselves).
Secrets are compared as digests in constant time; an unknown sender costs and reads the same as a
wrong token. Headers that a proxy sets are never trusted. What is served without authentication is
served to this machine alone, and not to the web pages that a browser on it has open.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from remediator import settings
from remediator.web import problems

_ROLES = {role: height for height, role in enumerate(settings.Role)}
# Whatever a sender has configured, so that the answer does not tell.
_SENDER_CHALLENGE = 'Bearer realm="remediator", Basic realm="remediator", charset="UTF-8"'
_API_CHALLENGE = 'Bearer realm="remediator"'
_AUTHORITY = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller of the API: `api:alice`, or `local` without configured tokens."""

    name: str
    role: settings.Role

    def may(self, needed: settings.Role) -> bool:
        """Whether the role includes the needed one."""
        return _ROLES[self.role] >= _ROLES[needed]


class Local:
    """Says whether a request comes from this machine, and not by way of somebody else."""

    def __init__(self, external_url: str) -> None:
        host = URL(external_url).host if external_url else None
        self._hosts = {"localhost", *([host.lower()] if host else [])}

    def check(self, request: web.Request) -> None:
        """Let in what nobody authenticates.

        Raises:
            Problem: 403, with what to configure.
        """
        if not _from_loopback(request):
            raise _forbidden("without configured authentication only this machine is served")
        host = request.headers.get("Host", "")
        if not self._is_ours(host):
            # A name of someone else's that resolves to 127.0.0.1: DNS rebinding.
            raise _forbidden(
                "the Host header is not this machine's; use localhost, set external_url, "
                "or configure authentication"
            )
        if any(name in request.headers for name in _PROXY_HEADERS):
            raise _forbidden(
                "this came through a proxy, so it may come from anywhere; configure authentication"
            )
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "none")
        if (origin and not _same_origin(origin, host)) or site not in ("none", "same-origin"):
            raise _forbidden("this was sent by another site's page in a browser")

    def _is_ours(self, host: str) -> bool:
        if not _AUTHORITY.fullmatch(host):
            return False
        try:
            name = URL(f"http://{host}").host
        except ValueError:
            return False
        return name is not None and (name.lower() in self._hosts or _is_loopback(name))


class Senders:
    """The webhook's gate."""

    def __init__(self, senders: Mapping[str, settings.Sender], local: Local) -> None:
        self._known = {name: _SenderKeys.of(sender) for name, sender in senders.items()}
        self._nobody = _SenderKeys.of(settings.Sender())
        self._local = local

    def check(self, request: web.Request, sender: str) -> None:
        """Let a sender in by any one of the ways that are configured for it.

        Raises:
            Problem: 401 for a wrong or missing credential, or an unknown sender; 403 from `Local`.
        """
        keys = self._known.get(sender, self._nobody)
        allowed = keys.match(request)
        if allowed:
            return
        if sender in self._known and keys.open and _from_loopback(request):
            self._local.check(request)
            return
        raise _unauthorized(_SENDER_CHALLENGE)

    def label(self, sender: str) -> str:
        """Return the sender as a metric's label: its name if it is configured."""
        return sender if sender in self._known else "unknown"


@dataclass(frozen=True, slots=True)
class _SenderKeys:
    """Digests of what a sender may present; random where it may not present that."""

    bearer: bytes
    basic: bytes
    names: tuple[bytes, ...]
    open: bool

    @classmethod
    def of(cls, sender: settings.Sender) -> "_SenderKeys":
        # An empty secret is none: it would match a request that presents nothing.
        return cls(
            bearer=(
                _digest(sender.bearer_token.get_secret_value())
                if sender.bearer_token
                else os.urandom(32)
            ),
            basic=(
                _basic_digest(sender.basic_username, sender.basic_password.get_secret_value())
                if sender.basic_username and sender.basic_password
                else os.urandom(32)
            ),
            names=tuple(_digest(name) for name in sender.client_names),
            open=not sender.authenticates,
        )

    def match(self, request: web.Request) -> bool:
        """Compare everything that is presented; no early exit."""
        header = request.headers.get("Authorization", "")
        bearer = hmac.compare_digest(_bearer_in(header), self.bearer)
        basic = hmac.compare_digest(_basic_in(header), self.basic)
        presented = [_digest(name) for name in _certificate_names(request)]
        named = [hmac.compare_digest(one, other) for one in presented for other in self.names]
        return bearer | basic | any(named)


class Api:
    """The API's gate."""

    def __init__(self, tokens: Sequence[settings.ApiToken], local: Local) -> None:
        self._configured = bool(tokens)
        self._tokens = [
            (_digest(token.token.get_secret_value()), Identity(f"api:{token.name}", token.role))
            for token in tokens
            if token.token  # an empty one would match a request that presents nothing
        ]
        self._local = local

    def identify(self, request: web.Request) -> Identity:
        """Return who asks.

        Raises:
            Problem: 401 without a good token; 403 from `Local` where no tokens are configured.
        """
        if not self._configured:
            self._local.check(request)
            return Identity("local", settings.Role.ADMIN)
        given = _digest(_credential(request.headers.get("Authorization", ""), "bearer"))
        found = None
        for expected, identity in self._tokens:
            if hmac.compare_digest(given, expected):
                found = identity
        if found is None:
            raise _unauthorized(_API_CHALLENGE)
        return found

    def require(self, request: web.Request, role: settings.Role) -> Identity:
        """Return who asks, if their role includes `role`.

        Raises:
            Problem: as `identify`; 403 for too small a role.
        """
        identity = self.identify(request)
        if not identity.may(role):
            raise problems.Problem(
                403,
                "forbidden",
                f"{identity.name} has the role {identity.role}; this needs {role}",
            )
        return identity

    def require_unless_local(self, request: web.Request, role: settings.Role) -> None:
        """Let this machine in without a token, for a scraper beside us; others by `require`.

        Raises:
            Problem: as `require`.
        """
        if "Authorization" in request.headers or not _from_loopback(request):
            self.require(request, role)
        else:
            self._local.check(request)


def _unauthorized(challenge: str) -> problems.Problem:
    return problems.Problem(
        401,
        "unauthorized",
        "authentication is missing or wrong",
        headers={"WWW-Authenticate": challenge},
    )


def _forbidden(detail: str) -> problems.Problem:
    return problems.Problem(403, "forbidden", detail)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _basic_digest(username: str, password: str) -> bytes:
    return _digest(f"{username}:{password}")


# What is not presented is compared as well, but not worked out each time.
_NOTHING, _NOTHING_BASIC = _digest(""), _basic_digest("", "")


def _bearer_in(header: str) -> bytes:
    credential = _credential(header, "bearer")
    return _digest(credential) if credential else _NOTHING


def _basic_in(header: str) -> bytes:
    name, password = _basic(header) if _credential(header, "basic") else ("", "")
    return _basic_digest(name, password) if name or password else _NOTHING_BASIC


def _credential(header: str, scheme: str) -> str:
    given, _, credential = header.partition(" ")
    return credential.strip() if given.lower() == scheme else ""


def _basic(header: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(_credential(header, "basic"), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    username, _, password = decoded.partition(":")
    return username, password


def _certificate_names(request: web.Request) -> Iterator[str]:
    """Give the names of the client's certificate, which the TLS layer has verified."""
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport else None
    if not certificate:
        return
    for relative_name in certificate.get("subject", ()):
        for key, value in relative_name:
            if key == "commonName":
                yield value
    for _, value in certificate.get("subjectAltName", ()):
        if isinstance(value, str):  # a directory name is a tuple
            yield value


def _from_loopback(request: web.Request) -> bool:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    # A Unix socket's peer is a text without an address: somebody's proxy, so not loopback.
    return isinstance(peer, tuple) and _is_loopback(str(peer[0]))


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _same_origin(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and authority.lower() == host.lower()
