"""What a person sees of the workspace, as pages: a channel, a thread, the Home tab, a modal.

Pure: from the workspace to HTML, with its own stylesheet and nothing from elsewhere. `page_web`
serves it; `browser` takes pictures of it.
"""

import html
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlencode

from tests.slack import page_blocks
from tests.slack.mrkdwn import markup, parse
from tests.slack.page_blocks import Place
from tests.slack.views import View
from tests.slack.workspace import Channel, Message, Private, User, Workspace

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def channel(
    space: Workspace, shown: Channel, viewer: User, thread_ts: str = "", *, live: bool = False
) -> str:
    """Return a channel, a thread beside it where one is named, and the modals open before it.

    Args:
        space: the workspace.
        shown: the channel.
        viewer: who looks.
        thread_ts: the message whose thread is open.
        live: let the browser look again every two seconds.
    """
    parent = shown.find(thread_ts) if thread_ts else None
    beside = _thread(space, shown, viewer, parent) if parent else ""
    main = _channel(space, shown, viewer)
    return _page(space, viewer, shown.id, main + beside, live=live)


def home(space: Workspace, viewer: User, app_name: str, *, live: bool = False) -> str:
    """Return the app's Home tab as this person sees it."""
    view = space.homes.get(viewer.id)
    if view is None:
        inside = f'<div class="empty">This is the very beginning of {_e(app_name)}</div>'
    else:
        place = _in_view(space, view)
        shown = page_blocks.blocks(view.blocks, place)
        inside = f'<div class="home" data-view="{view.id}">{shown}</div>'
    top = f'<header class="top">{_e(app_name)} <small>Home</small></header>'
    return _page(space, viewer, "home", f"<main>{top}{inside}</main>", live=live)


def _page(space: Workspace, viewer: User, here: str, inside: str, *, live: bool) -> str:
    stack = space.modals.get(viewer.id, [])
    over = "".join(_modal(space, one, viewer, under=one is not stack[-1]) for one in stack)
    veil = f'<div class="veil">{over}</div>' if stack else ""
    again = '<meta http-equiv="refresh" content="2">' if live and not stack else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}'
        "<title>Slack on loopback</title>"
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css">'
        '</head><body><div class="window">'
        f"{_sidebar(space, viewer, here)}{inside}</div>{veil}</body></html>"
    )


def _sidebar(space: Workspace, viewer: User, here: str) -> str:
    def entry(url: str, name: str, id: str, rings: int = 0) -> str:  # noqa: A002 - an id
        badge = f'<span class="ring">{rings}</span>' if rings else ""
        link = f"{url}{'&' if '?' in url else '?'}{urlencode({'as': viewer.id})}"
        return f'<a class="{"here" * (id == here)}" href="{link}">{badge}{_e(name)}</a>'

    rung = [one.channel for one in space.rung if one.user == viewer.id]
    channels = [one for one in space.channels.values() if not one.dm_with]
    own = [one for one in space.channels.values() if one.dm_with == viewer.id]
    entries = "".join(
        entry(f"/channel/{one.id}", f"{_mark(one)} {one.name}", one.id, rung.count(one.id))
        for one in channels
    )
    direct = "".join(
        entry(f"/channel/{one.id}", "remediator", one.id, rung.count(one.id)) for one in own
    )
    return (
        f"<nav><h1>loopback</h1><h2>Channels</h2>{entries}<h2>Direct messages</h2>{direct}"
        f"<h2>Apps</h2>{entry(f'/home/{viewer.id}?open=1', 'remediator · Home', 'home')}</nav>"
    )


def _mark(channel: Channel) -> str:
    return "🔒" if channel.private else "#"


def _channel(space: Workspace, shown: Channel, viewer: User) -> str:
    private = [
        one
        for one in space.private
        if one.channel == shown.id and one.user == viewer.id and not one.thread_ts
    ]
    both: list[Message | Private] = [*shown.messages, *private]
    entries = sorted(both, key=lambda one: float(one.ts))
    about = "archived" if shown.archived else f"as {viewer.name}"
    top = f"{_mark(shown)} {_e(shown.name)} <small>{_e(about)}</small>"
    return (
        f'<main><header class="top">{top}</header><div class="list">'
        f"{_listed(space, shown, viewer, entries)}</div>{_composer(shown, viewer)}</main>"
    )


def _composer(shown: Channel, viewer: User) -> str:
    query = urlencode({"as": viewer.id, "channel": shown.id})
    return (
        f'<form class="composer" method="post" action="/act/type?{query}"><input name="text" '
        f'autocomplete="off" placeholder="Message #{_e(shown.name)}"></form>'
    )


def _listed(
    space: Workspace, shown: Channel, viewer: User, entries: Iterable[Message | Private]
) -> str:
    found, day = [], None
    for one in entries:
        at = one.at
        if at.date() != day:
            day = at.date()
            found.append(f'<div class="day"><span>{at:%A, %B} {at.day}</span></div>')
        found.append(_entry(space, shown, viewer, one))
    return "".join(found)


def _entry(
    space: Workspace,
    shown: Channel,
    viewer: User,
    one: Message | Private,
    *,
    in_thread: bool = False,
) -> str:
    author = space.users["U0REMEDI8" if isinstance(one, Private) else one.user]
    badge = '<span class="badge">APP</span>' if author.is_bot else ""
    edited = " <small class='edited'>(edited)</small>" if getattr(one, "edits", 0) else ""
    initial = _e(author.name[:1].upper())
    only = about = replies = ""
    kind = "message"
    if isinstance(one, Private):
        kind, only = "message private", '<div class="only">👁 Only visible to you</div>'
    elif one.thread_ts and one.broadcast and not in_thread:
        kind, about = "message shared", '<div class="about">replied to a thread</div>'
    elif not in_thread:
        replies = _replies(shown, viewer, one)
    return (
        f'<article class="{kind}" data-ts="{one.ts}">{only}'
        f'<div class="avatar{" bot" * author.is_bot}">{initial}</div>'
        f'<div><span class="who">{_e(author.name)}</span>{badge}'
        f'<span class="when">{one.at:%H:%M}</span>{edited}{about}'
        f"{_body(space, viewer, one)}{replies}</div></article>"
    )


def _body(space: Workspace, viewer: User, one: Message | Private) -> str:
    query = urlencode({"as": viewer.id, "channel": one.channel, "ts": one.ts})
    place = Place(space.reader(), f"/act/press?{query}")
    if one.blocks:
        return page_blocks.blocks(one.blocks, place)
    return f'<div class="block">{markup(parse(one.text), place.reader)}</div>'


def _replies(shown: Channel, viewer: User, one: Message) -> str:
    replies = shown.thread(one.ts)
    if not replies:
        return ""
    count = f"{len(replies)} {'reply' if len(replies) == 1 else 'replies'}"
    query = urlencode({"as": viewer.id, "thread": one.ts})
    last = f"Last reply {replies[-1].at:%H:%M}"
    link = f"/channel/{shown.id}?{query}"
    return f'<div><a class="replies" href="{link}">{count}<span>{last}</span></a></div>'


def _thread(space: Workspace, shown: Channel, viewer: User, parent: Message) -> str:
    replies = shown.thread(parent.ts)
    count = f"{len(replies)} {'reply' if len(replies) == 1 else 'replies'}"
    first = _entry(space, shown, viewer, parent, in_thread=True)
    rest = "".join(_entry(space, shown, viewer, one, in_thread=True) for one in replies)
    back = f"/channel/{shown.id}?{urlencode({'as': viewer.id})}"
    return (
        f'<aside><header class="top">Thread <small># {_e(shown.name)}</small>'
        f'<a href="{back}">close</a></header><div class="list">{first}'
        f'<div class="count">{count}</div>{rest}</div></aside>'
    )


def _modal(space: Workspace, view: View, viewer: User, *, under: bool) -> str:
    query = urlencode({"as": viewer.id, "view": view.id})
    inside = page_blocks.blocks(view.blocks, _in_view(space, view))
    general = view.errors.get("", "")
    wrong = f'<div class="wrong">{_e(general)}</div>' if general else ""
    close = view.body.get("close", {"text": "Cancel" if "submit" in view.body else "Close"})
    send = ""
    if "submit" in view.body:
        label = _e(view.body["submit"]["text"])
        send = f'<button class="button primary" form="{view.id}">{label}</button>'
    return (
        f'<div class="modal{" under" * under}" data-view="{view.id}"><h2>{_e(view.title)}</h2>'
        f'<form method="post" action="/act/submit?{query}" id="{view.id}"></form>'
        f'<div class="inside">{inside}{wrong}</div>'
        f'<footer><button class="button" form="{view.id}" formaction="/act/close?{query}">'
        f"{_e(close['text'])}</button>{send}</footer></div>"
    )


def _in_view(space: Workspace, view: View) -> Place:
    query = urlencode({"as": view.user, "view": view.id})
    return Place(space.reader(), f"/act/press?{query}", view.id, view.values, view.errors)


def _e(value: str) -> str:
    return html.escape(value)
