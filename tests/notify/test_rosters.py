"""Proves with the real clients against loopback servers that the directory knows who is in a Slack
user group and who is on call in PagerDuty, and that an outage of either lets nobody in.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from pydantic import SecretStr

from remediator.clients.pagerduty import PagerDutyClient
from remediator.clients.slack.client import SlackClient
from remediator.engine.people import CannotTell, Directory, Known
from remediator.engine.rosters import Schedules, SlackGroups
from remediator.settings import PagerDutySettings, Role, Schedule
from remediator.testing.clock import ManualClock
from tests.notify.pagerduty_server import API_TOKEN, PagerDuty
from tests.slack.conftest import settings as slack_settings
from tests.slack.fixtures import slack
from tests.slack.server import Slack

__all__ = ["slack"]

KNOWN = Known(
    groups={"leads": ("slack-group:S0LEADS",), "dba": ("schedule:dba",)},
    people={"anna": ("slack:U0ANNA", "api:anna", "pagerduty:PANNA1")},
    roles={Role.OPERATOR: ("leads",)},
)


@dataclass
class World:
    slack: Slack
    pagerduty: PagerDuty
    directory: Directory


@pytest_asyncio.fixture
async def world(slack: Slack) -> AsyncIterator[World]:
    pagerduty = PagerDuty()
    await pagerduty.start()
    slack.app.scopes.add("usergroups:read")
    slack_client = SlackClient(slack_settings(slack))
    pager_client = PagerDutyClient(
        PagerDutySettings(api_token=SecretStr(API_TOKEN), rest_url=pagerduty.url)
    )
    directory = Directory(
        KNOWN,
        ManualClock(),
        {
            "slack-group": SlackGroups(slack_client),
            "schedule": Schedules({"dba": Schedule(pagerduty="PDBA")}, pager_client),
        },
    )
    try:
        yield World(slack, pagerduty, directory)
    finally:
        await slack_client.close()
        await pager_client.close()
        await pagerduty.stop()


async def test_a_slack_user_group_as_it_is_at_the_click(world: World) -> None:
    group = world.slack.add_group("S0LEADS", "leads", ["U0ANNA"])
    assert await world.directory.among("slack:U0ANNA", ("leads",), fresh=True)
    assert await world.directory.among("api:anna", ("leads",), fresh=True)
    assert await world.directory.role("slack:U0ANNA", fresh=True) is Role.OPERATOR
    assert not await world.directory.among("slack:U0BERT", ("leads",), fresh=True)
    group.users.clear()
    assert not await world.directory.among("slack:U0ANNA", ("leads",), fresh=True)


@pytest.mark.parametrize("gone", ["disabled", "deleted"])
async def test_a_group_that_is_no_more_lets_nobody_in(world: World, gone: str) -> None:
    group = world.slack.add_group("S0LEADS", "leads", ["U0ANNA"])
    if gone == "disabled":
        group.disabled = True
    else:
        del world.slack.workspace.groups["S0LEADS"]
    with pytest.raises(CannotTell, match="no_such_subteam"):
        await world.directory.among("slack:U0ANNA", ("leads",), fresh=True)


async def test_an_app_that_may_not_ask_says_what_to_do(world: World) -> None:
    world.slack.add_group("S0LEADS", "leads", ["U0ANNA"])
    world.slack.app.scopes.clear()
    with pytest.raises(CannotTell, match="usergroups:read"):
        await world.directory.among("slack:U0ANNA", ("leads",), fresh=True)


@pytest.mark.parametrize("kind", ["500", "reset", "hang"])
async def test_slack_down_lets_nobody_in_who_hangs_on_it(world: World, kind: str) -> None:
    world.slack.add_group("S0LEADS", "leads", ["U0ANNA"])
    await world.slack.outage(kind, "usergroups.users.list")  # type: ignore[arg-type]  # one of its kinds
    with pytest.raises(CannotTell, match="can't be found out now"):
        await world.directory.among("slack:U0ANNA", ("leads",), fresh=True)
    assert await world.directory.among("slack:U0ANNA", ("slack:U0ANNA", "leads"), fresh=True)


async def test_whoever_is_on_call_in_pagerduty_is_known_by_every_identity(world: World) -> None:
    world.pagerduty.schedules = {"PDBA": ["PANNA1"]}
    assert await world.directory.among("slack:U0ANNA", ("dba",), fresh=True)
    assert await world.directory.on_call(("dba", "leads")) == ("slack:U0ANNA",)
    assert not await world.directory.among("slack:U0BERT", ("dba",), fresh=True)
    world.pagerduty.schedules = {"PDBA": ["PBERT1"]}
    assert not await world.directory.among("slack:U0ANNA", ("dba",), fresh=True)


async def test_pagerduty_down_lets_nobody_in(world: World) -> None:
    world.pagerduty.schedules = {"PDBA": ["PANNA1"]}
    world.pagerduty.fail_with = 503
    with pytest.raises(CannotTell, match="schedule:dba"):
        await world.directory.among("slack:U0ANNA", ("dba",), fresh=True)
    assert await world.directory.on_call(("dba",)) == ()
