"""Asks Alertmanager's API whether an alert fires now, at all peers of a sender at once.

Owns the question and how the peers' answers are taken together; fails closed. What to do about
it is the engine's, which knows this class only through its Protocol, and `actions.alertmanager`'s.

Source of the protocol: Alertmanager's OpenAPI document, v2, `/alerts` and `/status`.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, TypeVar

import msgspec

from remediator.clients.errors import ClientError, Refused, Unavailable
from remediator.clients.http import Http, HttpClient, shown
from remediator.model.alerts import Alert, AlertStatus
from remediator.model.signals import Signal
from remediator.settings import Sender

# A run holds while this goes on, and asks again soon after.
TIMEOUT_S = 5.0
# 20,000 alerts are about 20 MiB.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# Proxies refuse longer request lines. What is left out is compared here, as is everything else.
_MAX_FILTER_CHARS = 4000
_PLAIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_SILENCED_TOO = (("active", "true"), ("silenced", "true"), ("inhibited", "true"))
_NOTIFIED_ONLY = (("active", "true"), ("silenced", "false"), ("inhibited", "false"))

T = TypeVar("T")

Among = Callable[[Mapping[str, str]], bool]
"""Whether an alert with these labels is meant."""


class _Receiver(msgspec.Struct):
    name: str


class _Alert(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    starts_at: Annotated[datetime, msgspec.Meta(tz=True)]
    fingerprint: str
    annotations: dict[str, str] = {}
    generator_url: str = msgspec.field(name="generatorURL", default="")
    receivers: tuple[_Receiver, ...] = ()


class _Status(msgspec.Struct):
    uptime: Annotated[datetime, msgspec.Meta(tz=True)]  # the API's word for when it started


@dataclass(frozen=True, slots=True)
class Sighting:
    """What all peers together say of an alert.

    Args:
        signal: whether it fires.
        starts_at: the earliest start that a peer knows, when it fires.
        silent: why each peer that does not count was passed over.
    """

    signal: Signal
    starts_at: datetime | None
    silent: tuple[str, ...]


class Alertmanagers:
    """The Alertmanagers of all senders in the settings."""

    def __init__(self, senders: Mapping[str, Sender], http: Http | None = None) -> None:
        """Ask over `http`; None: over connections of its own."""
        self._senders = senders
        self._http = http or HttpClient(keep_alive=True)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    def configured(self, sender: str) -> bool:
        """Whether the sender has an address that can be asked at all."""
        known = self._senders.get(sender)
        return known is not None and bool(known.alertmanager)

    async def firing(
        self, sender: str, labels: Mapping[str, str], *, among: Among | None = None
    ) -> Signal:
        """Say whether an alert with these labels fires at the sender's Alertmanagers.

        Args:
            sender: a name under `senders` in the settings.
            labels: each must be equal; the alert may have more (a group's labels are enough).
            among: a further condition on the alert's labels.

        Returns:
            FIRING if any peer says so, silenced or not; RESOLVED if a peer that can know answers
            and none says that it fires; UNKNOWN if none can say.
        """
        return (await self.look(sender, labels, among=among)).signal

    async def look(
        self, sender: str, labels: Mapping[str, str], *, among: Among | None = None
    ) -> Sighting:
        """Like `firing`, with the start, and with the reasons of peers that could not say."""
        known = self._senders.get(sender)
        if known is None or not known.alertmanager:
            return Sighting(Signal.NOT_CONFIGURED, None, ())
        warmup = known.alertmanager_warmup
        calls = (self._firing_at(url, labels, warmup, among) for url in _peers(known))
        answers, silent = _sorted(await asyncio.gather(*calls, return_exceptions=True))
        starts = [alert.starts_at for found in answers for alert in found]
        if starts:
            return Sighting(Signal.FIRING, min(starts).astimezone(UTC), silent)
        return Sighting(Signal.RESOLVED if answers else Signal.UNKNOWN, None, silent)

    async def alerts(
        self, sender: str, *, receiver: str | None = None, muted: bool = False
    ) -> tuple[Alert, ...] | None:
        """Return the alerts that fire.

        Args:
            sender: a name under `senders` in the settings.
            receiver: only those that are routed to this receiver.
            muted: silenced and inhibited ones too, and only from peers that are old enough to know
                all; without it, those that the sender would notify of.

        Returns:
            One for each fingerprint, with the earliest start that a peer knows; None when no such
            peer answers or none is configured.
        """
        known = self._senders.get(sender)
        if known is None or not known.alertmanager:
            return None
        warmup = known.alertmanager_warmup
        calls = (
            self._firing_at(url, {}, warmup, None, young=False)
            if muted
            else self._alerts_at(url, _NOTIFIED_ONLY)
            for url in _peers(known)
        )
        answers, _ = _sorted(await asyncio.gather(*calls, return_exceptions=True))
        if not answers:
            return None
        merged: dict[str, Alert] = {}
        for found in (alert for answer in answers for alert in answer):
            if receiver is not None and receiver not in (r.name for r in found.receivers):
                continue
            alert = _alert(found)
            before = merged.get(alert.fingerprint, alert)
            merged[alert.fingerprint] = replace(
                before, starts_at=min(before.starts_at, alert.starts_at)
            )
        return tuple(merged.values())

    async def _firing_at(
        self,
        url: str,
        labels: Mapping[str, str],
        warmup: timedelta,
        among: Among | None,
        *,
        young: bool = True,
    ) -> Sequence[_Alert]:
        """Ask one peer; with `young`, one that has only just started may say what it knows of."""
        found = await self._alerts_at(url, (*_SILENCED_TOO, *_filters(labels)))
        mine = [
            a
            for a in found
            if all(a.labels.get(k, "") == v for k, v in labels.items())
            and (among is None or among(a.labels))
        ]
        if warmup and not (mine and young):
            await self._check_age(url, warmup)
        return mine

    async def _check_age(self, url: str, warmup: timedelta) -> None:
        """Refuse the silence of a peer that has only just started.

        Alerts are not kept over a restart and not gossiped: an Alertmanager knows of one only when
        Prometheus has sent it again. Both times are its own, so clocks need not agree.
        """
        body, date = await self._get(f"{url}/api/v2/status", ())
        try:
            started = msgspec.json.decode(body, type=_Status).uptime
            age = parsedate_to_datetime(date) - started
        except (ValueError, TypeError) as error:
            raise Refused(f"{shown(url)}: its status can't be read: {error}") from None
        if age < warmup:
            raise Unavailable(
                f"{shown(url)} started {max(0, int(age.total_seconds()))}s ago and may not have "
                f"heard of the alert again; believed after {int(warmup.total_seconds())}s"
            )

    async def _alerts_at(self, url: str, query: Sequence[tuple[str, str]]) -> Sequence[_Alert]:
        body, _ = await self._get(f"{url}/api/v2/alerts", query)
        try:
            return msgspec.json.decode(body, type=list[_Alert])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(f"{shown(url)}: its alerts can't be read: {error}") from None

    async def _get(self, url: str, query: Sequence[tuple[str, str]]) -> tuple[bytes, str]:
        answer = await self._http.request(
            "GET", url, query=query, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES
        )
        if answer.status != 200:
            raise Refused(f"{shown(url)}: HTTP status {answer.status}: {answer.text[:200]!r}")
        if answer.truncated:
            raise Refused(f"{shown(url)}: over {MAX_ANSWER_BYTES // 1024 // 1024} MiB of alerts")
        return answer.body, answer.headers.get("date", "")


def matcher(name: str, value: str) -> str:
    """Return one matcher as both of Alertmanager's parsers read it, the classic and the UTF-8 one.

    A name beyond the classic ones is quoted, which only newer Alertmanagers take; older ones
    refuse alerts with such names, too.
    """
    label = name if _PLAIN_NAME.fullmatch(name) else _quoted(name)
    return f"{label}={_quoted(value)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _filters(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Let the server sift, as far as the request line goes; the answer is compared anyway."""
    filters = []
    left = _MAX_FILTER_CHARS
    for name, value in sorted(labels.items(), key=lambda item: item[0] != "alertname"):
        text = matcher(name, value)
        size = 3 * len(text.encode(errors="replace"))  # percent-encoded at worst
        if size <= left:
            left -= size
            filters.append(("filter", text))
    return filters


def _peers(sender: Sender) -> list[str]:
    return [url.rstrip("/") for url in sender.alertmanager]


def _sorted(results: Sequence[T | BaseException]) -> tuple[list[T], tuple[str, ...]]:
    """Part the peers' answers from the reasons why others gave none."""
    answers: list[T] = []
    silent: list[str] = []
    for result in results:
        if isinstance(result, ClientError):
            silent.append(str(result))
        elif isinstance(result, BaseException):
            raise result
        else:
            answers.append(result)
    return answers, tuple(silent)


def _alert(found: _Alert) -> Alert:
    return Alert(
        status=AlertStatus.FIRING,
        labels=found.labels,
        annotations=found.annotations,
        starts_at=found.starts_at.astimezone(UTC),
        ends_at=None,
        generator_url=found.generator_url,
        fingerprint=found.fingerprint,
    )
