"""App Home: what waits for the person who looks at it, and how things stand.

`page` is pure. `Homes` keeps in mind who looks, and shows them anew what has changed: at most so
many people, for so long, so often. It may forget them: Slack says again when a Home is opened.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediator.clients import errors
from remediator.clients.slack.client import SlackClient
from remediator.model import canonical
from remediator.model.canonical import JSONObject
from remediator.model.views import RunView
from remediator.notify.slack import buttons, commands, modals, text
from remediator.notify.slack.text import cut, section
from remediator.plugin.context import Context
from remediator.plugin.notifier import Desk, NotAuthorised, Standing

# People who looked at it last; each costs a few reads and, where something changed, a call.
_MOST_HOMES = 50
_FOR = timedelta(hours=1)
# Of Slack's 100 blocks, two for each run.
_MOST_RUNS = 20


def page(
    waiting: Sequence[RunView], standing: Standing | None, words: str = "", *, works: bool = True
) -> JSONObject:
    """Return a Home.

    Args:
        waiting: what this person may answer.
        standing: how things stand; None where they may not know.
        words: what became of their last answer; another wrote it.
        works: whether a press of a button could reach us.
    """
    blocks: list[JSONObject] = [{"type": "header", "text": text.plain("What waits for you")}]
    if words:
        blocks.append(section(cut(words, 1000)))
    if waiting and works:
        blocks += modals.listed(waiting[:_MOST_RUNS])
    else:
        blocks.append(section("Nothing waits for you."))
    blocks.append({"type": "divider"})
    if standing is not None:
        blocks.append(section(cut_lines(commands.standing(standing, runs=True))))
    blocks.append(buttons.row([buttons.button(buttons.REFRESH, "Look again", "home")], "again"))
    return {"type": "home", "blocks": blocks}


def cut_lines(shown: str) -> str:
    """Return as many of these lines, escaped already, as fit into a section."""
    lines, room = [], 2900
    for line in shown.splitlines():
        room -= text.size(line) + 1
        if room < 0:
            break
        lines.append(line)
    return "\n".join(lines)


@dataclass(slots=True)
class _Home:
    opened_at: datetime
    shown: str = ""


class Homes:
    """Who looks at their Home, and what it shows."""

    def __init__(self) -> None:
        self._homes: OrderedDict[str, _Home] = OrderedDict()

    def opened(self, actor: str, at: datetime) -> None:
        """Keep in mind that somebody looks."""
        self._homes[actor] = _Home(at)
        self._homes.move_to_end(actor)
        while len(self._homes) > _MOST_HOMES:
            self._homes.popitem(last=False)

    async def show(self, actor: str, desk: Desk, ctx: Context, words: str = "") -> None:
        """Publish one person's Home, unless it shows just that.

        Raises:
            ClientError: Slack does not take it; the next round tries again.
        """
        client = ctx.client(SlackClient)
        waiting = await desk.waiting_for(actor)
        try:
            standing: Standing | None = await desk.standing(actor=actor)
        except NotAuthorised:
            standing = None
        view = page(waiting, standing, words, works=client.takes_answers)
        digest = canonical.digest(view)
        home = self._homes.get(actor)
        if home is not None and home.shown == digest:
            return
        await client.publish_home(actor.removeprefix("slack:"), view)
        if home is not None:
            home.shown = digest

    async def refresh(self, desk: Desk, ctx: Context) -> None:
        """Show everybody who looked within the hour what has changed."""
        now = ctx.now()
        for actor, home in list(self._homes.items()):
            if now - home.opened_at > _FOR:
                self._homes.pop(actor, None)
                continue
            try:
                await self.show(actor, desk, ctx)
            except errors.ClientError as error:
                ctx.log.info("a Home is not up to date", error=str(error))
                return
