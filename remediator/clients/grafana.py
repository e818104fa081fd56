"""Grafana's annotations: what was done from when to when, on every graph that wants to show it.

Source of the protocol: Grafana's «Annotations HTTP API». Times are milliseconds since 1970.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from remediator.clients import services
from remediator.clients.errors import Forbidden, Refused
from remediator.clients.http import HttpClient
from remediator.settings import GrafanaSettings

_NAME = "Grafana"
_MAX_BYTES = 64 * 1024


class GrafanaClient:
    """One organisation of one Grafana."""

    def __init__(self, settings: GrafanaSettings) -> None:
        self._settings = settings
        self._http = HttpClient(keep_alive=True, proxied=True)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    async def find(self, tags: Sequence[str]) -> int | None:
        """Return the id of an annotation that carries all of these tags.

        Raises:
            Unavailable, Refused: see `services.call`.
        """
        query = [*(("tags", tag) for tag in tags), ("limit", "1"), ("type", "annotation")]
        found = await self._call("GET", "/api/annotations", query=query)
        if not isinstance(found, list):
            raise Refused("Grafana: its annotations can't be read")
        return _id(found[0]) if found else None

    async def create(
        self, *, tags: Sequence[str], text: str, start: datetime, end: datetime | None
    ) -> int:
        """Add an annotation; without an end it is a point. Returns its id.

        Raises:
            Unavailable, Refused: see `services.call`.
        """
        given: dict[str, Any] = {"tags": list(tags), "text": text, **_span(start, end)}
        if self._settings.dashboard_uid:
            given["dashboardUID"] = self._settings.dashboard_uid
        return _id(await self._call("POST", "/api/annotations", given))

    async def amend(
        self, id_: int, *, tags: Sequence[str], text: str, start: datetime, end: datetime | None
    ) -> None:
        """Change an annotation, which may be gone.

        Raises:
            Missing: it is gone.
            Unavailable, Refused: see `services.call`.
        """
        given = {"tags": list(tags), "text": text, **_span(start, end)}
        await self._call("PATCH", f"/api/annotations/{id_}", given)

    async def _call(
        self,
        method: str,
        path: str,
        given: Mapping[str, Any] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> Any:
        token = self._settings.token
        if token is None or not self._settings.url:
            raise Forbidden("no Grafana is known: set grafana.url and grafana.token")
        secret = token.get_secret_value()
        answer = await services.call(
            self._http,
            _NAME,
            method,
            f"{self._settings.url.rstrip('/')}{path}",
            body=None if given is None else services.encoded(given, _MAX_BYTES, _NAME),
            query=query,
            headers={"Authorization": f"Bearer {secret}"},
            secrets=(secret,),
        )
        return services.json_of(answer, _NAME)


def _span(start: datetime, end: datetime | None) -> Mapping[str, int]:
    return {"time": _ms(start), "timeEnd": _ms(end or start)}


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _id(found: Any) -> int:
    id_ = found.get("id") if isinstance(found, dict) else None
    if not isinstance(id_, int):
        raise Refused("Grafana: its answer names no annotation")
    return id_
