"""Who somebody is: groups, persons, roles, and lists that are kept elsewhere, which let nobody in
when they can't be asked."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from remediator.engine.people import ROSTER_AGE, CannotTell, Directory, Known
from remediator.engine.rosters import Schedules, SlackGroups
from remediator.settings import Role, Schedule, Settings
from remediator.testing.clock import ManualClock

KNOWN = Known(
    groups={"sre": ("alice", "slack:U2"), "leads": ("slack-group:S1",), "duty": ("schedule:sre",)},
    people={"alice": ("slack:U1", "api:alice", "pagerduty:P1")},
    roles={Role.VIEWER: ("leads",), Role.OPERATOR: ("sre",), Role.ADMIN: ("slack:U9",)},
    tokens={"api:alice": Role.VIEWER, "api:ci": Role.OPERATOR},
)


class Elsewhere:
    """Slack or PagerDuty: answers what a test says, and counts."""

    def __init__(self, *users: str) -> None:
        self.users = frozenset(users)
        self.asked = 0
        self.down: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def group_members(self, group_id: str) -> frozenset[str]:
        return await self._answer()

    async def on_call(self, schedule_id: str) -> frozenset[str]:
        return await self._answer()

    async def _answer(self) -> frozenset[str]:
        self.asked += 1
        await self.answers.wait()
        if self.down is not None:
            raise self.down
        return self.users


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.slack = Elsewhere("U5")
        self.pagerduty = Elsewhere("P1")
        self.directory = Directory(
            KNOWN,
            self.clock,
            {
                "slack-group": SlackGroups(self.slack),
                "schedule": Schedules({"sre": Schedule(pagerduty="PX")}, self.pagerduty),
            },
        )


@pytest.mark.parametrize(
    ("actor", "names", "is_one"),
    [
        ("slack:U1", ("sre",), True),
        ("api:alice", ("sre",), True),
        ("api:alice", ("slack:U1",), True),
        ("slack:U2", ("sre",), True),
        ("slack:U3", ("sre",), False),
        ("slack:U3", ("slack:U3",), True),
        ("local", ("local",), True),
        ("local", ("sre",), False),
        ("slack:U5", ("leads",), True),
        ("slack:U6", ("leads",), False),
        ("slack:U1", ("duty",), True),  # on call in PagerDuty as P1
        ("slack:U2", ("duty",), False),
        ("slack:U1", (), False),
        ("slack:sre", ("sre",), False),
    ],
)
async def test_who_is_among_whom(actor: str, names: tuple[str, ...], is_one: bool) -> None:
    assert await Scene().directory.among(actor, names, fresh=True) is is_one


@pytest.mark.parametrize(
    ("actor", "role"),
    [
        ("local", Role.ADMIN),
        ("api:alice", Role.VIEWER),  # a token keeps its own, whoever holds it
        ("api:ci", Role.OPERATOR),
        ("api:gone", None),
        ("slack:U1", Role.OPERATOR),
        ("slack:U5", Role.VIEWER),
        ("slack:U9", Role.ADMIN),
        ("slack:U7", None),
    ],
)
async def test_who_has_which_role(actor: str, role: Role | None) -> None:
    assert await Scene().directory.role(actor, fresh=True) is role


async def test_what_is_only_shown_may_be_a_minute_old() -> None:
    scene = Scene()
    assert await scene.directory.among("slack:U5", ("leads",), fresh=False)
    scene.slack.users = frozenset()
    assert await scene.directory.among("slack:U5", ("leads",), fresh=False)
    assert scene.slack.asked == 1
    scene.clock.advance(ROSTER_AGE)
    assert not await scene.directory.among("slack:U5", ("leads",), fresh=False)


async def test_what_is_decided_is_asked_afresh() -> None:
    scene = Scene()
    assert await scene.directory.among("slack:U5", ("leads",), fresh=False)
    scene.slack.users = frozenset()
    assert not await scene.directory.among("slack:U5", ("leads",), fresh=True)
    # and what was learned then counts for what is shown.
    assert not await scene.directory.among("slack:U5", ("leads",), fresh=False)
    assert scene.slack.asked == 2


async def test_what_cant_be_asked_lets_nobody_in_and_says_why() -> None:
    scene = Scene()
    assert await scene.directory.among("slack:U5", ("leads",), fresh=False)
    scene.slack.down = OSError("no route to host")
    with pytest.raises(CannotTell, match="slack-group:S1 can't be found out now: no route"):
        await scene.directory.among("slack:U5", ("leads",), fresh=True)


async def test_who_never_answers_lets_nobody_in() -> None:
    scene = Scene()
    scene.slack.answers.clear()
    with pytest.raises(CannotTell, match="no answer within 2s"):
        await scene.directory.among("slack:U5", ("leads",), fresh=True)


async def test_an_outage_elsewhere_harms_only_those_who_hang_on_it() -> None:
    scene = Scene()
    scene.slack.down = OSError("down")
    assert await scene.directory.among("slack:U1", ("leads", "sre"), fresh=True)
    assert await scene.directory.among("slack:U1", ("leads", "duty"), fresh=True)
    assert not await scene.directory.among("api:ci", ("leads",), fresh=True)


async def test_the_groups_that_somebody_is_in() -> None:
    scene = Scene()
    assert await scene.directory.groups_of("api:alice") == ("sre", "duty")
    scene.pagerduty.down = OSError("down")
    scene.clock.advance(ROSTER_AGE)
    assert await scene.directory.groups_of("api:alice") == ("sre",)


async def test_a_file_that_was_edited_counts_at_the_next_decision(tmp_path: Path) -> None:
    file = tmp_path / "oncall.yaml"

    def on_call(who: str) -> None:
        file.write_text(
            "time_zone: UTC\nrotation: {people: [" + who + "], start: 2026-01-05T09:00}\n",
            encoding="utf-8",
        )

    on_call("alice")
    schedules = Schedules({"sre": Schedule(file=file)}, Elsewhere())
    clock = ManualClock()
    directory = Directory(KNOWN, clock, {"schedule": schedules})
    assert await directory.among("slack:U1", ("duty",), fresh=True)
    on_call("slack:U7")
    assert not await directory.among("slack:U1", ("duty",), fresh=True)
    assert await directory.among("slack:U7", ("duty",), fresh=True)
    file.write_text("time_zone: UTC\nrotatoin: {}\n", encoding="utf-8")
    with pytest.raises(CannotTell, match="rotatoin"):
        await directory.among("slack:U7", ("duty",), fresh=True)


async def test_the_file_says_who_at_the_time_of_the_decision(tmp_path: Path) -> None:
    file = tmp_path / "oncall.yaml"
    clock = ManualClock()
    start = clock.now().replace(tzinfo=None, microsecond=0) - timedelta(days=1)
    file.write_text(
        f"time_zone: UTC\nrotation: {{people: [alice, slack:U7], start: {_text(start)}, every: 7d}}"
        "\n",
        encoding="utf-8",
    )
    directory = Directory(
        KNOWN, clock, {"schedule": Schedules({"sre": Schedule(file=file)}, Elsewhere())}
    )
    assert await directory.among("slack:U1", ("schedule:sre",), fresh=True)
    clock.advance(timedelta(days=7))
    assert not await directory.among("slack:U1", ("schedule:sre",), fresh=True)
    assert await directory.among("slack:U7", ("schedule:sre",), fresh=True)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


def test_what_settings_say_of_people() -> None:
    settings = Settings.model_validate(
        {
            "groups": {"sre": ["alice"]},
            "people": {"alice": ["slack:U1"]},
            "roles": {"operator": ["sre"]},
            "api": {"tokens": [{"name": "ci", "token": "x" * 20, "role": "operator"}]},
        }
    )
    known = Known.of(settings)
    assert known.roles[Role.OPERATOR] == ("sre",)
    assert known.tokens == {"api:ci": Role.OPERATOR}
    assert known.people == {"alice": ("slack:U1",)}
