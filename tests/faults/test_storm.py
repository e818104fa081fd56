"""A storm of 20,000 alerts: in one body, and in as many bodies while the daemon is killed.

The body is answered 200 (a 4xx would lose it for good), other senders are answered meanwhile, and
what the runbooks are for is treated once, in the crowd as alone. Whatever the kill left
unanswered comes again, and nothing that was answered is missing.
"""

import asyncio
import time
from collections import Counter

import aiohttp
import pytest

from tests.crash import bodies
from tests.crash.fixtures import MakeRig
from tests.crash.rig import Rig
from tests.faults.books import book
from tests.servers.rest import answers
from tests.servers.waiting import eventually

MANY = 20_000
MEANT = 20
"""So many of them are what the runbook is for."""
AT_ONCE = 32
ANSWERED_WITHIN_S = 5.0
"""Other requests, while the storm is taken in, on a machine that is busy with tests."""
JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.timeout(300)


def _storm() -> list[bodies.Alert]:
    noise = [
        bodies.alert(f"noise-{number}", "firing", alertname="Noise")
        for number in range(MANY - MEANT)
    ]
    every = len(noise) // MEANT
    for number in range(MEANT):
        noise.insert(number * every, bodies.alert(f"meant-{number}", "firing"))
    return noise


def _treated(rig: Rig, *, besides: int = 0) -> None:
    eventually(lambda: len(rig.ledger()) == MEANT, 60, what="all that was meant to be treated")
    rig.check_whole()
    assert Counter(rig.ledger()) == Counter(f"do meant-{number}" for number in range(MEANT))
    with rig.daemon.reading() as journal:
        (incidents,) = journal.execute("SELECT count(*) FROM incidents").fetchone()
    assert incidents == MANY + besides


def test_all_in_one_body(make_rig: MakeRig) -> None:
    rig = make_rig(book())
    body = bodies.notification(*_storm())
    slowest: list[float] = []

    async def other_senders(stop: asyncio.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            await asyncio.to_thread(rig.send, f"other-{len(slowest)}", "resolved")
            assert await asyncio.to_thread(answers, f"{rig.daemon.url}/-/healthy")
            slowest.append(time.monotonic() - began)

    async def both() -> None:
        stop = asyncio.Event()
        others = asyncio.create_task(other_senders(stop))
        await asyncio.to_thread(rig.post, body)
        stop.set()
        await others

    asyncio.run(both())
    assert max(slowest) < ANSWERED_WITHIN_S, slowest
    _treated(rig, besides=len(slowest))


async def _post_all(rig: Rig, left: list[bytes], *, kill_after: int | None) -> None:
    """Post until all are answered 200; or until so many are and the daemon is killed."""

    async def sender(session: aiohttp.ClientSession) -> None:
        while left:
            body = left.pop()
            try:
                async with session.post(rig.daemon.webhook, data=body, headers=JSON) as answer:
                    status = answer.status
            except aiohttp.ClientError:
                left.append(body)
                return  # it was killed
            if status == 503:
                left.append(body)
                await asyncio.sleep(0)
                continue
            assert status == 200, await answer.text()
            rig.acknowledge(body)
            if kill_after is not None and MANY - len(left) >= kill_after:
                rig.daemon.kill()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(sender(session) for _ in range(AT_ONCE)))


def test_each_in_its_own_body_while_the_daemon_is_killed(make_rig: MakeRig) -> None:
    rig = make_rig(book(), settings={"log": {"format": "json", "level": "warning"}})
    left = [bodies.notification(one) for one in _storm()]
    for killed_after in (MANY // 3, 2 * MANY // 3):
        asyncio.run(_post_all(rig, left, kill_after=killed_after))
        assert left
        rig.daemon.start()
    asyncio.run(_post_all(rig, left, kill_after=None))
    _treated(rig)
