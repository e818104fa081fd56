"""Proves who is in a Slack user group, and that trouble is never an answer."""

import pytest
from pydantic import SecretStr

from remediator.clients.errors import Refused, Unavailable
from remediator.clients.slack.client import SlackClient
from tests.slack.conftest import App, settings


async def test_the_members_of_a_group_are_user_ids(app: App) -> None:
    app.server.scopes.add("usergroups:read")
    app.server.add_group("S0ONCALL", "oncall", ["U0ANNA", "U0BERT"])

    assert await app.client.group_members("S0ONCALL") == {"U0ANNA", "U0BERT"}


@pytest.mark.parametrize("switched_off", [True, False])
async def test_a_group_that_is_switched_off_or_never_was_is_refused(
    app: App, switched_off: bool
) -> None:
    app.server.scopes.add("usergroups:read")
    if switched_off:
        app.server.add_group("S0ONCALL", "oncall", ["U0ANNA"]).disabled = True

    with pytest.raises(Refused, match="no_such_subteam"):
        await app.client.group_members("S0ONCALL")


async def test_a_missing_right_says_which(app: App) -> None:
    app.server.scopes.discard("usergroups:read")

    with pytest.raises(Unavailable, match="give the app the scope usergroups:read"):
        await app.client.group_members("S0ONCALL")


@pytest.mark.parametrize("kind", ["refuse", "500"])
async def test_an_outage_is_no_answer(app: App, kind: str) -> None:
    app.server.scopes.add("usergroups:read")
    app.server.add_group("S0ONCALL", "oncall", ["U0ANNA"])
    await app.server.outage(kind)  # type: ignore[arg-type]

    with pytest.raises(Unavailable):
        await app.client.group_members("S0ONCALL")


async def test_no_call_shows_the_token(app: App) -> None:
    client = SlackClient(settings(app.server, bot_token=SecretStr("xoxb-very-secret")))
    try:
        with pytest.raises(Unavailable) as caught:
            await client.group_members("S0ONCALL")
    finally:
        await client.close()
    assert "very-secret" not in str(caught.value)
