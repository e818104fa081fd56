"""`slack`: a loopback Slack for one test. Used by this folder's tests and by those of the whole."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.slack.server import Slack

CHANNEL = "C0123456789"


@pytest_asyncio.fixture
async def slack() -> AsyncIterator[Slack]:
    """A workspace with one channel, to which the app is invited."""
    server = await Slack(CHANNEL).start()
    try:
        yield server
    finally:
        await server.stop()
