"""`slack`: a loopback Slack for one test. Used by this folder's tests and by those of the whole.

The app in it is made from our own manifest, so no test has a right that users have not.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.slack.server import Slack

CHANNEL = "C0123456789"
MANIFEST = Path(__file__).parents[2] / "deploy/slack/manifest.yaml"


def workspace() -> Slack:
    """A workspace with one channel, to which the app is invited; clicks go by HTTP at first."""
    made = Slack(CHANNEL).install(MANIFEST)
    made.socket_mode = False
    return made


@pytest_asyncio.fixture
async def slack() -> AsyncIterator[Slack]:
    """A workspace that listens."""
    server = await workspace().start()
    try:
        yield server
    finally:
        await server.stop()
