"""`python -m tests.slack.pictures`: takes the pictures of the documents, in the real Chromium.

`--all FOLDER` takes one of everything that the app shows, to be looked at when its words change.
The time stands still, so that the same blocks make the same picture.
"""

import argparse
import asyncio
from pathlib import Path

from tests.slack.browser import Browser
from tests.slack.demo import ANNA, CHANNEL, MODALS, Demo

IMAGES = Path(__file__).parents[2] / "docs" / "images"


async def document(folder: Path = IMAGES) -> Path:
    """Take the picture of docs/slack.md: a question, as the people on call see it."""
    demo = Demo()
    demo.question()
    await demo.slack.start()
    try:
        async with Browser(900, 400) as browser:
            await browser.open(f"{demo.slack.url}/channel/{CHANNEL}?as={ANNA}")
            return await browser.picture(folder / "slack-run.png", "article")
    finally:
        await demo.slack.stop()


async def everything(folder: Path) -> list[Path]:
    """Take a picture of everything that the app shows."""
    demo = Demo()
    demo.runs()
    ended = demo.story()
    demo.storm()
    demo.storm(over=True)
    demo.home()
    await demo.slack.start()
    taken = []
    channel = f"{demo.slack.url}/channel/{CHANNEL}?as={ANNA}"
    try:
        async with Browser(1000, 600) as browser:
            messages = demo.slack.channel(CHANNEL).messages
            await browser.open(channel)
            for number, message in enumerate(messages):
                title = "-".join(message.words.split(":")[0].split()[1:4]).lower()
                path = folder / f"{number:02}-{title}.png"
                taken.append(await browser.picture(path, f"[data-ts='{message.ts}']"))
            await browser.open(f"{channel}&thread={ended.ts}")
            taken.append(await browser.picture(folder / "thread.png", "aside .list"))
            await browser.open(f"{demo.slack.url}/home/{ANNA}?as={ANNA}")
            taken.append(await browser.picture(folder / "home.png"))
            for name in MODALS:
                demo.modal(name)
                await browser.open(f"{demo.slack.url}/view/{ANNA}?as={ANNA}")
                taken.append(await browser.picture(folder / f"modal-{name}.png", ".modal"))
    finally:
        await demo.slack.stop()
    return taken


def main() -> None:
    """Take them, and say where they are."""
    parser = argparse.ArgumentParser(prog="python -m tests.slack.pictures", description=__doc__)
    parser.add_argument("--all", metavar="FOLDER", type=Path, help="one of everything, into there")
    folder = parser.parse_args().all
    taken = asyncio.run(everything(folder)) if folder else [asyncio.run(document())]
    for one in taken:
        print(f"{one}  {one.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
