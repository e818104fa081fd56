"""Lists of people that are kept elsewhere: Slack's user groups, on-call schedules.

Each answers who is on it now, as names that the directory knows, or raises. Remembers nothing; how
old an answer may be is `people`'s affair. Wired by `app`, which has the clients.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from remediator.runbook import oncall_file
from remediator.settings import Schedule


class UserGroups(Protocol):
    """Slack's user groups (`clients.slack`)."""

    async def group_members(self, group_id: str) -> frozenset[str]:
        """Return the ids of a group's users; empty for one that is disabled."""
        ...


class OnCallUsers(Protocol):
    """PagerDuty's schedules (`clients.pagerduty`)."""

    async def on_call(self, schedule_id: str) -> frozenset[str]:
        """Return the ids of the users who are on call now."""
        ...


class SlackGroups:
    """`slack-group:S123`."""

    def __init__(self, slack: UserGroups) -> None:
        self._slack = slack

    async def members(self, name: str, at: datetime) -> frozenset[str]:
        """See `people.Roster.members`."""
        return frozenset(f"slack:{user}" for user in await self._slack.group_members(name))


class Schedules:
    """`schedule:NAME`, by the settings' name."""

    def __init__(self, known: Mapping[str, Schedule], pagerduty: OnCallUsers) -> None:
        self._known = known
        self._pagerduty = pagerduty

    async def members(self, name: str, at: datetime) -> frozenset[str]:
        """See `people.Roster.members`.

        Raises:
            LookupError: the settings have no such schedule.
            remediator.runbook.findings.RunbookErrors: its file can't be used.
        """
        schedule = self._known.get(name)
        if schedule is None:
            raise LookupError(f"the settings have no schedule {name!r}")
        if schedule.file is not None:
            return await asyncio.to_thread(_on_call, schedule.file, at)
        assert schedule.pagerduty is not None, "it has one or the other"  # noqa: S101 - checked by the settings
        users = await self._pagerduty.on_call(schedule.pagerduty)
        return frozenset(f"pagerduty:{user}" for user in users)


def _on_call(file: Path, at: datetime) -> frozenset[str]:
    # Read each time: whoever was taken off it must not be let in by what it said this morning.
    return frozenset(oncall_file.load(file).at(at))
