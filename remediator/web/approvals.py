"""/api/v1/approvals and /api/v1/me: the open questions, and who is asking."""

from aiohttp import web

from remediator.web import keys, paging, render

_FLAGS = {"1": True, "true": True, "0": False, "false": False}


async def index(request: web.Request) -> web.Response:
    """List the open questions, oldest first; with mine=1 those that you may answer."""
    paging.known(request, "mine", "limit")
    asked = paging.one_of(request, "mine", _flag, [True, False])
    found = await request.app[keys.SERVICES].people.questions(
        request[keys.IDENTITY].name, mine=any(asked), limit=paging.limit(request)
    )
    return paging.page([render.waiting(one) for one in found], None)


async def me(request: web.Request) -> web.Response:
    """Say who you are here: identity, person, role, groups, and what waits for you."""
    paging.known(request)
    identity = request[keys.IDENTITY]
    people = request.app[keys.SERVICES].people
    who = await people.who(identity.name)
    waiting = await people.questions(identity.name, mine=True, limit=paging.DEFAULT_LIMIT)
    return paging.answer(render.me(who, identity.role, waiting))


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise ValueError(text)
    return _FLAGS[text]
