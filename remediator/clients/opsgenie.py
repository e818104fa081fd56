"""Opsgenie's Alert API v2: create by alias, acknowledge, add a note, close.

Source of the protocol: Atlassian's «Alert API» for Opsgenie. Requests are taken with 202 and
carried out later; what became of one is asked for by its id. The alias is what keeps a repeat
harmless: creating an alert that is open counts it up, and pages nobody again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from remediator.clients import services
from remediator.clients.errors import Forbidden, Missing, Refused, Unavailable
from remediator.clients.http import Answer, HttpClient
from remediator.settings import OpsgenieSettings

MAX_MESSAGE = 130
MAX_ALIAS = 512
MAX_DESCRIPTION = 15_000
MAX_DETAILS = 8000
MAX_NOTE = 25_000
MAX_ENTITY = 512
MAX_USER = 100
MAX_TAGS = 20
MAX_TAG = 50

_NAME = "Opsgenie"
_SOURCE = "remediator"
_MAX_BYTES = 128 * 1024
# Most requests are carried out within a second. One that takes longer was taken all the same.
_LOOK_AFTER_S = (0.1, 0.4, 1.0, 2.0)


class OpsgenieClient:
    """One API integration of one Opsgenie account."""

    def __init__(self, settings: OpsgenieSettings) -> None:
        self._settings = settings
        self._http = HttpClient(keep_alive=True, proxied=True)

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
        await self._http.close()

    async def create(
        self,
        alias: str,
        *,
        message: str,
        description: str,
        entity: str,
        details: Mapping[str, str],
        tags: Sequence[str],
    ) -> None:
        """Open an alert, or count up the open one of this alias.

        Raises:
            Unavailable: no answer, a throttle, a fault at Opsgenie, or it is not known whether the
                alert was opened.
            Refused: Opsgenie will never take it like this.
        """
        asked = await self._ask(
            "/v2/alerts",
            {
                "message": message,
                "alias": alias,
                "description": description,
                "entity": entity,
                "source": _SOURCE,
                "details": dict(details),
                "tags": list(tags),
                "priority": self._settings.priority,
                **self._responders(),
            },
        )
        await self._carried_out(asked)

    async def acknowledge(self, alias: str, *, user: str, note: str) -> None:
        """Say that somebody looks at the alert.

        Raises:
            Missing: there is no such alert.
            Unavailable, Refused: as `create`.
        """
        await self._do(alias, "acknowledge", {"user": user, "note": note})

    async def note(self, alias: str, text: str) -> None:
        """Add a note to the alert.

        Raises:
            Missing, Unavailable, Refused: as `acknowledge`.
        """
        await self._do(alias, "notes", {"note": text})

    async def close_alert(self, alias: str, *, note: str) -> None:
        """Close the alert; one that is closed already is no error.

        Raises:
            Missing, Unavailable, Refused: as `acknowledge`.
        """
        await self._do(alias, "close", {"note": note})

    async def _do(self, alias: str, what: str, body: Mapping[str, Any]) -> None:
        asked = await self._ask(
            f"/v2/alerts/{quote(alias, safe='')}/{what}",
            {"source": _SOURCE, **body},
            query=(("identifierType", "alias"),),
        )
        await self._carried_out(asked)

    def _responders(self) -> Mapping[str, Any]:
        teams = self._settings.teams
        return {"responders": [{"type": "team", "name": name} for name in teams]} if teams else {}

    async def _carried_out(self, request_id: str) -> None:
        """Find out what became of a request, as far as it is known soon.

        Raises:
            Missing: the alert does not exist.
            Refused: it was carried out, and failed.
        """
        for wait_s in _LOOK_AFTER_S:
            try:
                answer = await self._call(
                    "GET", f"/v2/alerts/requests/{quote(request_id, safe='')}"
                )
            except Missing:  # not carried out yet
                await asyncio.sleep(wait_s)
                continue
            except Unavailable:
                return  # the request itself was taken
            data = services.json_of(answer, _NAME)
            data = data.get("data") if isinstance(data, dict) else None
            if not isinstance(data, dict):
                raise Refused("Opsgenie: what became of a request can't be read")
            if data.get("isSuccess") is True or data.get("success") is True:
                return
            said = str(data.get("status", ""))[:300]
            if "does not exist" in said or "not found" in said.lower():
                raise Missing(f"Opsgenie: {said}")
            raise Refused(f"Opsgenie: {said}")

    async def _ask(
        self, path: str, body: Mapping[str, Any], query: Sequence[tuple[str, str]] = ()
    ) -> str:
        answer = await self._call(
            "POST", path, body=services.encoded(body, _MAX_BYTES, _NAME), query=query
        )
        found = services.json_of(answer, _NAME)
        request_id = found.get("requestId") if isinstance(found, dict) else None
        if not isinstance(request_id, str) or not request_id:
            # Whatever answered 2xx was not Opsgenie: a proxy's page must not pass for a page sent.
            raise Unavailable("Opsgenie: its answer names no request")
        return request_id

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        key = self._settings.api_key
        if key is None:
            raise Forbidden("no Opsgenie integration is known: set opsgenie.api_key")
        secret = key.get_secret_value()
        return await services.call(
            self._http,
            _NAME,
            method,
            f"{self._settings.address}{path}",
            body=body,
            query=query,
            headers={"Authorization": f"GenieKey {secret}"},
            secrets=(secret,),
        )
