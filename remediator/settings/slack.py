"""The Slack app: its secrets, and which run is told in which channel."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from remediator.model import matchers
from remediator.settings.section import Section

ChannelId = Annotated[str, Field(pattern="^([CGD][A-Z0-9]{2,30})?$")]
Mention = Annotated[str, Field(min_length=1, max_length=100)]


class SlackRoute(Section):
    """Which runs are told in another channel. The first route that matches wins."""

    match: tuple[str, ...] = ()
    """Lines in Alertmanager's matcher syntax over the alert's labels, `runbook` and `owner`: any
    line, all of its matchers. Empty: every run."""
    channel: ChannelId = ""
    """The channel's id; empty: `slack.channel`."""
    mention: tuple[Mention, ...] = ()
    """Whom a question or an escalation rings: groups and people of the settings, `slack:U0123`,
    `slack-group:S0123`, `schedule:NAME` for whoever is on call then. Nothing else rings anybody."""

    @field_validator("match")
    @classmethod
    def _is_matchers(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for line in given:
            try:
                matchers.parse(line)
            except matchers.MatcherError as error:
                raise ValueError(f"{line!r}: {error} (at character {error.offset + 1})") from None
        return given


class SlackSettings(Section):
    """The Slack app. Buttons come back over Socket Mode (`app_token`), which needs no public
    address, or to POST /slack/interactions (`signing_secret`); without either none are shown."""

    bot_token: SecretStr | None = None
    app_token: SecretStr | None = None
    """The app-level token, xapp-…, with the scope connections:write."""
    signing_secret: SecretStr | None = None
    channel: str = ""
    """The channel's id, C0123456789, for what no route sends elsewhere."""
    mention: tuple[Mention, ...] = ()
    """Whom a question or an escalation rings where no route matches; as in a route."""
    routes: tuple[SlackRoute, ...] = ()
    api_url: str = "https://slack.com/api/"

    @property
    def answers(self) -> bool:
        """Whether people's clicks and commands can reach us."""
        return self.app_token is not None or self.signing_secret is not None
