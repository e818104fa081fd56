"""Proves that a click gets through the real HTTP edge: the path is served without an API token, the
signature covers the bytes as they came, and a journal that is down is a 503 and not a yes.
"""

import json
from dataclasses import replace

import aiohttp

from remediator.journal.values import JournalUnavailable
from remediator.model.approvals import Answer
from tests.notify.views import APPROVAL_ID
from tests.slack.conftest import App
from tests.web.edge import serving
from tests.web.services import Backend


async def test_every_path_of_slacks_is_served_and_wants_its_signature(app: App) -> None:
    backend = Backend()
    services = replace(
        backend.services(),
        notifiers={"slack": app.notifier},
        desk=app.desk,
        context_for=lambda name: app.context,
    )
    async with serving(services, backend) as edge, aiohttp.ClientSession() as person:
        for path in app.notifier.callback_paths:
            async with person.post(f"{edge.url}{path}", data=b"{}") as answer:
                assert answer.status == 401
        app.server.app.events_url = f"{edge.url}/slack/events"
        app.server.app.interactivity_url = f"{edge.url}/slack/events"
        asked = json.dumps({"type": "url_verification", "challenge": "is it you?"})
        answered = await app.server.send(asked.encode())

    assert answered.status == 200
    assert json.loads(answered.body) == {"challenge": "is it you?"}


async def test_a_click_through_the_edge_decides(app: App) -> None:
    backend = Backend()
    services = replace(
        backend.services(),
        notifiers={"slack": app.notifier},
        desk=app.desk,
        context_for=lambda name: app.context,
    )
    message = await app.ask()
    async with serving(services, backend) as edge:
        app.server.app_url = f"{edge.url}/slack/interactions"
        forged = await app.server.click(message, "Deny", user="U0ANNA", secret="guess")
        app.desk.broken = JournalUnavailable("disk full")
        down = await app.server.click(message, "Approve", user="U0ANNA")
        app.desk.broken = None
        click = await app.server.click(message, "Approve", user="U0ANNA")

    assert (forged.status, down.status) == (401, 503)
    assert click.acknowledged
    assert app.desk.decided == [(APPROVAL_ID, "slack:U0ANNA", Answer.APPROVE, "slack")]
