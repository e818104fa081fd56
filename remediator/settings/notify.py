"""Who is told, and how: one section for each notifier."""

from pydantic import SecretStr

from remediator.settings.section import Section


class PagerDutySettings(Section):
    """Events API v2."""

    routing_key: SecretStr | None = None
    api_url: str = "https://events.pagerduty.com"
