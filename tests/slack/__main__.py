"""`python -m tests.slack [--port P]`: a Slack to look at and to press, until it is interrupted.

With `--empty` the channel is empty: point a remediator of yours at it. The settings are printed.
"""

import argparse
import asyncio
from datetime import UTC, datetime

from tests.slack.demo import ANNA, CHANNEL, Demo


async def main() -> None:
    """Serve the workspace."""
    parser = argparse.ArgumentParser(prog="python -m tests.slack", description=__doc__)
    parser.add_argument("--empty", action="store_true", help="a channel without messages")
    parser.add_argument("--port", type=int, default=0, help="where to listen; else any free port")
    parser.add_argument("--http", metavar="URL", help="where clicks go; else over Socket Mode")
    options = parser.parse_args()
    demo = Demo()
    slack = demo.slack
    if not options.empty:
        demo.runs()
        demo.story()
        demo.storm()
        demo.home()
    slack.now = lambda: datetime.now(UTC)
    slack.pages.live = True
    slack.socket_mode = options.http is None
    slack.app_url = options.http or ""
    await slack.start(port=options.port)
    print(f"Look at {slack.url}/channel/{CHANNEL}?as={ANNA}\n\nslack:")
    print(f"  api_url: {slack.api_url}\n  bot_token: {slack.token}\n  app_token: {slack.app_token}")
    print(f"  signing_secret: {slack.signing_secret}\n  channel: {CHANNEL}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await slack.stop()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print()
