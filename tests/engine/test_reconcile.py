"""What Alertmanager did not tell: a *resolved* that never came, and a tail that was dropped."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from remediator.engine.hint import Hint
from remediator.engine.reconcile import Reconciler
from remediator.journal import notifications
from remediator.journal.values import JournalUnavailable
from remediator.model.alerts import AlertStatus
from remediator.model.incidents import Fate, IncidentStatus
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.sources.alertmanager import Alertmanager
from tests.engine.conftest import Begin, Scene
from tests.engine.world import runbook, setting

VERIFY = {"resolved_within": "10m"}
SOURCES = {"alertmanager": Alertmanager()}


async def open_incidents(scene: Scene) -> int:
    """How many are open."""
    page = await scene.daemon.journal.incidents(status=IncidentStatus.OPEN)
    return len(page.items)


async def test_the_recheck_finds_it_over_so_the_next_episode_is_a_new_one(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="2m"))
    await scene.clear(tell=False)  # within the group's interval: Alertmanager never says so
    await scene.advance(minutes=3)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF)
    assert await open_incidents(scene) == 0
    await scene.fire()
    await scene.advance(minutes=3)
    assert [r.state for r in await scene.daemon.runs()] == [
        RunState.CANCELLED,
        RunState.SUCCEEDED,
    ]


async def test_what_was_verified_is_over_though_nobody_said_so(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), verify=VERIFY))
    await scene.clear(tell=False)
    await scene.advance(minutes=1)
    assert await scene.state() is RunState.SUCCEEDED
    assert await open_incidents(scene) == 0
    scene.world.values["a"] = 0
    await scene.advance(hours=24)
    await scene.fire()
    assert len(await scene.daemon.runs()) == 2


async def test_a_start_just_before_we_looked_is_no_stale_news(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="1m"))
    (fired,) = await scene.daemon.alerts.alerts("default") or ()
    await scene.clear(tell=False)
    await scene.advance(minutes=2)
    assert await open_incidents(scene) == 0
    late = replace(fired, starts_at=scene.daemon.clock.now() - timedelta(minutes=1, seconds=2))
    scene.daemon.alerts.fire(late)
    receipt = await scene.daemon.notify(late)
    assert receipt.fates == (Fate.OPENED,)
    await scene.advance(minutes=2)
    assert scene.world.made == [("a", 0, 1)]


async def test_it_is_asked_for_again_at_start(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="1h"))
    await scene.daemon.crash()
    scene.daemon.alerts.clear({"alertname": "Broken"})
    scene.daemon.clock.advance(timedelta(seconds=1))
    await scene.daemon.start()
    assert await scene.state() is RunState.CANCELLED


async def test_nobody_who_can_know_answers_so_nothing_is_closed(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="1h"))
    scene.daemon.alerts.reachable = False
    await scene.advance(seconds=1)
    assert await scene.daemon.reconciler.close_what_ended() == 0
    assert await open_incidents(scene) == 1


async def test_a_runbook_for_the_end_is_started_by_an_end_that_was_only_noticed(
    begin: Begin,
) -> None:
    scene = await begin(runbook(setting("a", 1), when="resolved"))
    await scene.clear(tell=False)
    await scene.advance(seconds=1)
    assert await scene.daemon.reconciler.close_what_ended() == 1
    await scene.daemon.settle()
    assert scene.world.made == [("a", 0, 1)]


async def test_a_resolved_while_the_change_is_planned_again_stops_it(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), setting("b", 1), verify=VERIFY), fire=False)
    scene.world.gate = asyncio.Event()
    await scene.fire()
    # The first change is in hand; the *resolved* is stored and Alertmanager still shows it.
    (fired,) = await scene.daemon.alerts.alerts("default") or ()
    now = scene.daemon.clock.now()
    await scene.daemon.notify(replace(fired, status=AlertStatus.RESOLVED, ends_at=now))
    scene.world.gate.set()
    await scene.daemon.settle()
    assert scene.world.made == [("a", 0, 1)]


def truncated(scene: Scene) -> bytes:
    """A body of which the sender dropped one alert."""
    document = {
        "version": "4",
        "status": "firing",
        "receiver": "ops",
        "groupLabels": {"alertname": "Broken"},
        "truncatedAlerts": 1,
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "Broken", "instance": "1"},
                "startsAt": scene.daemon.clock.now().isoformat(),
            }
        ],
    }
    return json.dumps(document).encode()


BOTH = runbook(setting("a-${{ labels.instance }}", 1, id="a"))


async def storm(begin: Begin) -> Scene:
    """Two alerts fire and one is told; Alertmanager is out of reach just then."""
    scene = await begin(BOTH, fire=False, sources=SOURCES)
    await scene.daemon.fire(tell=False, alertname="Broken", instance="1")
    await scene.daemon.fire(tell=False, alertname="Broken", instance="2")
    scene.daemon.alerts.reachable = False
    now = scene.daemon.clock.now()
    await scene.daemon.intake.receive("default", "alertmanager", truncated(scene), now)
    assert await scene.daemon.reconciler.fetch_truncated() == 1
    return scene


async def test_a_dropped_tail_is_fetched_when_alertmanager_answers_again(begin: Begin) -> None:
    scene = await storm(begin)
    scene.daemon.alerts.reachable = True
    assert await scene.daemon.reconciler.fetch_truncated() == 0
    await scene.advance(minutes=1)
    assert sorted(name for name, _, _ in scene.world.made) == ["a-1", "a-2"]
    assert await scene.daemon.reconciler.fetch_truncated() == 0


async def test_a_dropped_tail_outlives_a_crash(begin: Begin) -> None:
    scene = await storm(begin)
    await scene.daemon.crash()
    scene.daemon.alerts.reachable = True
    await scene.daemon.start()
    await scene.advance(minutes=1)
    assert sorted(name for name, _, _ in scene.world.made) == ["a-1", "a-2"]


async def test_what_was_fetched_can_be_replayed(begin: Begin) -> None:
    scene = await storm(begin)
    scene.daemon.alerts.reachable = True
    await scene.daemon.reconciler.fetch_truncated()
    with closing(sqlite3.connect(scene.daemon.journal_file)) as connection:
        ((body,),) = connection.execute("SELECT body FROM notifications WHERE source = 'reconcile'")
    notification = Alertmanager().parse(notifications.unpack(body))
    assert {a.labels["instance"] for a in notification.alerts} == {"1", "2"}


async def test_a_journal_that_can_t_be_written_is_no_end_of_it(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="1h"))
    scene.daemon.alerts.clear({"alertname": "Broken"})
    scene.daemon.clock.advance(timedelta(seconds=1))

    class Full:
        """A journal with a full disk, once."""

        def __init__(self) -> None:
            self.refusals = 1

        def __getattr__(self, name: str) -> object:
            if name == "incidents" and self.refusals:
                self.refusals -= 1
                raise JournalUnavailable("database or disk is full")
            return getattr(scene.daemon.journal, name)

    hint = Hint()
    reconciler = Reconciler(
        Full(),  # type: ignore[arg-type] # stands in front of the real one
        scene.daemon.intake,
        scene.daemon.alerts,
        scene.daemon.clock,
        hint=hint,
    )
    running = asyncio.create_task(reconciler.run())
    await scene.daemon.settle()
    assert await scene.state() is RunState.PENDING
    for _ in range(5):
        scene.daemon.clock.advance(timedelta(seconds=15))
        await scene.daemon.settle()
    running.cancel()
    assert await scene.state() is RunState.CANCELLED
