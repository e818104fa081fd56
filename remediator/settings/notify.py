"""Who is told, and how: one section for each notifier."""

from pydantic import SecretStr

from remediator.settings.section import Section


class SlackSettings(Section):
    """The Slack app. Notes go to `channel`; buttons come back to POST /slack/interactions."""

    bot_token: SecretStr | None = None
    signing_secret: SecretStr | None = None
    channel: str = ""
    """The channel's id, C0123456789."""
    api_url: str = "https://slack.com/api/"


class PagerDutySettings(Section):
    """Events API v2."""

    routing_key: SecretStr | None = None
    api_url: str = "https://events.pagerduty.com"
