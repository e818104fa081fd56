"""Proves that a click gets through the real HTTP edge: the path is served without an API token, the
signature covers the bytes as they came, and a journal that is down is a 503 and not a yes.
"""

from dataclasses import replace

from remediator.journal.protocol import JournalUnavailable
from remediator.model.approvals import Answer
from tests.notify.views import APPROVAL_ID
from tests.slack.conftest import App
from tests.web.edge import serving
from tests.web.services import Backend


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
