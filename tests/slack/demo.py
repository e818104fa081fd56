"""A workspace in which everything has happened that remediator says in Slack; for looking.

The messages are the product's own blocks, of the runs that `golden` keeps.
"""

from datetime import UTC, datetime, timedelta

from remediator.notify.slack import blocks
from tests.slack.golden import RUNS
from tests.slack.server import Slack
from tests.slack.workspace import Message

CHANNEL = "C0123456789"
ANNA = "U0ANNA"
BEGAN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def workspace(*, still: bool = False) -> Slack:
    """Return a Slack that is not started yet, with two people and every kind of message.

    Args:
        still: let the time stand at noon of the messages' day, so that pictures are the same.
    """
    slack = Slack(CHANNEL)
    clock = [BEGAN]
    slack.now = lambda: clock[0]
    slack.channel(CHANNEL).name = "oncall"
    slack.person(ANNA, "Anna")
    slack.person("U0BERT", "Bert")
    slack.add_group("S0ONCALL", "sre-oncall", [ANNA, "U0BERT"])
    for name in RUNS:
        run(slack, name)
        clock[0] += timedelta(minutes=3)
    if not still:
        slack.now = lambda: datetime.now(UTC)
    return slack


def run(slack: Slack, name: str) -> Message:
    """Post one of the runs that `golden` keeps."""
    said = blocks.run(RUNS[name])
    answer = slack.api.methods["chat.postMessage"](
        {"channel": CHANNEL, "text": said.text, "blocks": list(said.blocks)}
    )
    message = slack.channel(CHANNEL).find(answer["ts"])
    assert message is not None
    return message


def reply(slack: Slack, under: Message, text: str, *, broadcast: bool = False) -> None:
    """Put a line into a message's thread."""
    slack.api.methods["chat.postMessage"](
        {
            "channel": CHANNEL,
            "text": text,
            "thread_ts": under.ts,
            "reply_broadcast": broadcast,
        }
    )
