"""Alertmanager's silences: set one, and remove it again, at whichever peer answers.

Ours are told from others' by `createdBy` and the comment, which names the run; so one whose answer
was lost is found and not set twice. Peers of a cluster tell each other.

Source of the protocol: Alertmanager's OpenAPI document, v2, `/silences` and `/silence/{id}`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from remediator.clients import services
from remediator.clients.errors import ClientError, Missing, Refused
from remediator.clients.http import Http, HttpClient, shown
from remediator.model import matchers
from remediator.model.clock import Clock
from remediator.model.matchers import Operator
from remediator.model.silences import OWNER, Silence, Silenced
from remediator.settings import Sender

_TIMEOUT_S = 5.0
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_NOT_CONFIGURED = "the sender has no alertmanager in the settings"
_REGEX = frozenset({Operator.REGEX, Operator.NOT_REGEX})
_EQUAL = frozenset({Operator.EQUAL, Operator.REGEX})


class AlertmanagerSilences:
    """The silences of all senders' Alertmanagers (`remediator.engine.ports.Silencer`)."""

    def __init__(
        self, senders: Mapping[str, Sender], clock: Clock, http: Http | None = None
    ) -> None:
        """Ask over `http`; None: over connections of its own."""
        self._senders = senders
        self._clock = clock
        self._http = http or HttpClient(keep_alive=True)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    def allowed(self, sender: str) -> bool:
        """Whether silences may be set at this sender's Alertmanagers, if it has any."""
        known = self._senders.get(sender)
        return known is not None and bool(known.alertmanager) and known.silences

    async def silence(self, wanted: Silence) -> Silenced:
        """Set a silence at the first peer that takes it, or find it where it was set before."""
        if self._peers(wanted.sender) and not self.allowed(wanted.sender):
            return Silenced(error=f"senders.{wanted.sender}.silences is off in the settings")
        error = _NOT_CONFIGURED
        for url in self._peers(wanted.sender):
            try:
                ours = await self._ours(url, wanted)
                return Silenced(id=ours[0] if ours else await self._create(url, wanted))
            except ClientError as failure:
                error = str(failure)
        return Silenced(error=error)

    async def unsilence(self, one: Silence) -> str:
        """Remove a silence at every peer that answers; returns why none did, empty when it is
        gone."""
        errors = []
        answered = False
        for url in self._peers(one.sender):
            try:
                for id_ in await self._ours(url, one):
                    await self._delete(url, id_)
                answered = True
            except ClientError as failure:
                errors.append(str(failure))
        if answered:
            return ""
        return "; ".join(errors) or _NOT_CONFIGURED

    def _peers(self, sender: str) -> list[str]:
        known = self._senders.get(sender)
        return [url.rstrip("/") for url in known.alertmanager] if known is not None else []

    async def _ours(self, url: str, wanted: Silence) -> list[str]:
        """Return the ids of this silence that still hold or are to come."""
        found = await self._call("GET", f"{url}/api/v2/silences")
        try:
            return [
                str(one["id"])
                for one in found
                if one["createdBy"] == OWNER
                and one["comment"] == wanted.comment
                and one["status"]["state"] != "expired"
            ]
        except (KeyError, TypeError):
            raise Refused(f"{shown(url)}: its silences can't be read") from None

    async def _create(self, url: str, wanted: Silence) -> str:
        given = {
            "matchers": [_matcher(one) for one in matchers.parse(wanted.matchers)],
            "startsAt": _text(self._clock.now()),
            "endsAt": _text(wanted.until),
            "createdBy": OWNER,
            "comment": wanted.comment,
        }
        found = await self._call("POST", f"{url}/api/v2/silences", given)
        id_ = found.get("silenceID") if isinstance(found, dict) else None
        if not isinstance(id_, str) or not id_:
            raise Refused(f"{shown(url)}: its answer names no silence")
        return id_

    async def _delete(self, url: str, id_: str) -> None:
        try:
            await self._call("DELETE", f"{url}/api/v2/silence/{quote(id_, safe='')}", read=False)
        except Missing:
            return  # it expired meanwhile

    async def _call(self, method: str, url: str, given: Any = None, *, read: bool = True) -> Any:
        answer = await services.call(
            self._http,
            shown(url),
            method,
            url,
            body=None if given is None else services.encoded(given, 64 * 1024, shown(url)),
            max_bytes=_MAX_ANSWER_BYTES,
            timeout_s=_TIMEOUT_S,
        )
        return services.json_of(answer, shown(url)) if read else None


def _matcher(one: matchers.Matcher) -> Mapping[str, Any]:
    return {
        "name": one.name,
        "value": one.value,
        "isRegex": one.operator in _REGEX,
        "isEqual": one.operator in _EQUAL,
    }


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
