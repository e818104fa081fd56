"""Serves the pages of `page`, and does what is pressed and typed on them, for looking by hand.

The address says who looks: `?as=U…`. Nothing here is known to the app under test.
"""

from typing import TYPE_CHECKING

from aiohttp import web

from tests.slack import page
from tests.slack.views import View
from tests.slack.workspace import Channel, Message, Private, User, elements

if TYPE_CHECKING:
    from tests.slack.server import Slack

VIEWER = "U0VIEWER"


class Pages:
    """Routes: `/`, `/channel/C…`, `/home/U…`, `/view/U…`, and `/act/…` for what is pressed."""

    def __init__(self, slack: "Slack") -> None:
        self.live = False
        """Whether pages look again by themselves."""
        self._slack = slack
        self.routes = (
            web.get("/", self._first),
            web.get("/page.css", self._style),
            web.get("/channel/{id}", self._channel),
            web.get("/home/{user}", self._home),
            web.get("/view/{user}", self._view),
            web.post("/act/press", self._press),
            web.post("/act/submit", self._submit),
            web.post("/act/close", self._close),
            web.post("/act/type", self._type),
        )

    # -- what is seen

    async def _first(self, _: web.Request) -> web.Response:
        raise web.HTTPFound(f"/channel/{self._any_channel().id}")

    async def _style(self, _: web.Request) -> web.Response:
        return web.Response(text=page.STYLE, content_type="text/css")

    async def _channel(self, request: web.Request) -> web.Response:
        shown = self._slack.workspace.channels.get(request.match_info["id"])
        if shown is None:
            raise web.HTTPNotFound
        thread = request.query.get("thread", "")
        space, viewer = self._slack.workspace, self._viewer(request)
        return _html(page.channel(space, shown, viewer, thread, live=self.live))

    async def _home(self, request: web.Request) -> web.Response:
        user = request.match_info["user"]
        person = self._slack.person(user)
        if "open" in request.query:
            await person.open_home()
        space = self._slack.workspace
        return _html(page.home(space, space.person(user), self._slack.app.name, live=self.live))

    async def _view(self, request: web.Request) -> web.Response:
        space = self._slack.workspace
        viewer = space.person(request.match_info["user"])
        if not space.modals.get(viewer.id):
            raise web.HTTPNotFound(text="no modal is open")
        return _html(page.channel(space, self._any_channel(), viewer))

    # -- what is done

    async def _press(self, request: web.Request) -> web.Response:
        given = await request.post()
        where = self._where(request)
        for one in elements(where.blocks):
            wanted = (given.get("block_id"), given.get("action_id"))
            if (one["block_id"], one["action_id"]) == wanted:
                await self._slack.person(self._viewer(request).id).act(where, one)
                raise _back(request)
        raise web.HTTPNotFound(text="there is no such button any more")

    async def _submit(self, request: web.Request) -> web.Response:
        person = self._slack.person(self._viewer(request).id)
        given = await request.post()
        for label in dict.fromkeys(given):
            values = [str(one) for one in given.getall(label)]
            person.fill(label, values[0] if len(values) == 1 else values)
        await person.submit()
        raise _back(request)

    async def _close(self, request: web.Request) -> web.Response:
        await self._slack.person(self._viewer(request).id).close()
        raise _back(request)

    async def _type(self, request: web.Request) -> web.Response:
        person = self._slack.person(self._viewer(request).id)
        text = str((await request.post()).get("text", "")).strip()
        channel = request.query["channel"]
        if text.startswith("/"):
            name, _, rest = text.partition(" ")
            await person.command(name, rest.strip(), channel=channel)
        elif text:
            person.say(channel, text)
        raise _back(request)

    # -- inside

    def _viewer(self, request: web.Request) -> User:
        people = [one for one in self._slack.workspace.users.values() if not one.is_bot]
        first = people[0].id if people else VIEWER
        return self._slack.workspace.person(request.query.get("as", first))

    def _any_channel(self) -> Channel:
        return next(iter(self._slack.workspace.channels.values()))

    def _where(self, request: web.Request) -> Message | Private | View:
        space, query = self._slack.workspace, request.query
        for view in space.open_views():
            if view.id == query.get("view"):
                return view
        channel = space.channels.get(query.get("channel", ""))
        found = channel.find(query.get("ts", "")) if channel else None
        if found is not None:
            return found
        for private in space.private:
            if private.ts == query.get("ts"):
                return private
        raise web.HTTPNotFound(text="the message is gone")


def _html(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html")


def _back(request: web.Request) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(request.headers.get("Referer", "/"))
