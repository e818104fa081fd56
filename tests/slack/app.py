"""The app as its settings page at Slack has it: tokens, scopes, features, addresses.

`manifest` fills it from an app manifest; without one, tests say what they need.
"""

from dataclasses import dataclass, field

BOT_TOKEN = "xoxb-loopback-1"
APP_TOKEN = "xapp-1-A01-loopback"
APP_ID = "A01"
SIGNING_SECRET = "loopback-signing-secret"


@dataclass
class App:
    """One app. None for commands, shortcuts and events: whatever a test asks for is there."""

    token: str = BOT_TOKEN
    signing_secret: str = SIGNING_SECRET
    app_token: str = APP_TOKEN
    scopes: set[str] = field(default_factory=lambda: {"chat:write"})
    """What the bot token may do."""
    app_scopes: set[str] = field(default_factory=lambda: {"connections:write"})
    """What the app-level token may do."""
    name: str = "remediator"
    socket_mode: bool = False
    """Whether clicks, commands and events go over Socket Mode instead of to addresses."""
    interactivity: bool = True
    home_tab: bool = True
    commands: dict[str, bool] | None = None
    """Slash commands, and whether Slack escapes names in them (`should_escape`)."""
    shortcuts: dict[str, str] | None = None
    """Callback ids, and `global` or `message`."""
    events: set[str] | None = None
    interactivity_url: str = ""
    commands_url: str = ""
    events_url: str = ""
