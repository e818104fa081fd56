"""The settings' routes as the client hands them to whoever tells a run. Pure.

Which route a run takes, `notify.slack.routes` says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remediator.model import matchers
from remediator.model.matchers import Matcher
from remediator.settings import SlackSettings


@dataclass(frozen=True, slots=True)
class Route:
    """Which runs are told in which channel, as the settings have it.

    Args:
        match: any line, all of its matchers; empty matches every run.
        channel: the channel's id.
        mention: who is rung when a person is needed, in Slack's own ids.
        schedules: names of on-call schedules; whoever is on call then is rung as well.
    """

    match: tuple[tuple[Matcher, ...], ...]
    channel: str
    mention: tuple[str, ...]
    schedules: tuple[str, ...] = ()


def of_settings(
    settings: SlackSettings,
    groups: Mapping[str, Sequence[str]],
    people: Mapping[str, Sequence[str]],
) -> list[Route]:
    """Return the routes, and last the one for every run that none matches."""
    given = [(one.match, one.channel, one.mention) for one in settings.routes]
    given.append(((), settings.channel, settings.mention))

    def named(mention: Sequence[str], *kinds: str) -> tuple[str, ...]:
        """Return what these kinds of names are called, each once, groups and people opened. An
        identity that Slack does not know can't be rung there."""
        members = (one for name in mention for one in groups.get(name, (name,)))
        identities = (one for member in members for one in people.get(member, (member,)))
        parts = (one.partition(":") for one in identities)
        return tuple(dict.fromkeys(name for kind, _, name in parts if kind in kinds and name))

    return [
        Route(
            match=tuple(matchers.parse(line) for line in lines),
            channel=channel or settings.channel,
            mention=named(mention, "slack", "slack-group"),
            schedules=tuple(f"schedule:{one}" for one in named(mention, "schedule")),
        )
        for lines, channel, mention in given
    ]
