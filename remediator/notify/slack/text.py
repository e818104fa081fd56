"""Slack's text: what alerts and people wrote is masked, escaped, kept on one line, and cut.

Owns the rule that foreign text can't forge: no mention, no link, no line of its own, no text that
runs backwards. What a secret is, `observe.masking` says. Pure. Used by all that renders.

Source: Slack's «Formatting text for app surfaces»: only & < > have a meaning in mrkdwn beyond
styling, and `verbatim` keeps Slack from finding links and names in what is left.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from remediator.model.canonical import JSONObject
from remediator.model.clock import aware
from remediator.model.quantities import format_duration
from remediator.observe import masking

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ESCAPES = str.maketrans(_ENTITIES)
_LINE_ENDS = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
# Control characters; those that turn the reading direction, so that a plan reads otherwise than it
# is; halves of surrogate pairs, which no encoder takes.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_SLACK_USER = re.compile(r"slack:([UW][A-Z0-9]{2,30})")
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,30}")
_BY = re.compile(r"(?P<verb>(?:[A-Za-z]+ )?by )slack:(?P<user>[UW][A-Z0-9]{2,30})(?![A-Za-z0-9])")
_GROUP_ID = re.compile(r"S[A-Z0-9]{2,30}")
_LONGEST_URL = 2000
_MOST_RUNG = 50  # of a section's 3000 characters; who rings more people rings a user group


def size(text: str) -> int:
    """Return how long Slack may find a text, in UTF-16 units: an emoji counts as two."""
    return len(text.encode("utf-16-le", errors="replace")) // 2


def in_blocks(blocks: Sequence[JSONObject]) -> int:
    """Return how much text blocks hold, whatever they are nested in."""

    def measure(value: Any) -> int:
        if isinstance(value, Mapping):
            return sum(
                size(inner) if key == "text" and isinstance(inner, str) else measure(inner)
                for key, inner in value.items()
            )
        return sum(measure(inner) for inner in value) if isinstance(value, list) else 0

    return measure(list(blocks))


def line(text: str) -> str:
    """Return foreign text on one line, without secrets and characters that nobody sees."""
    return masking.text(_joined(text))


def _joined(text: str) -> str:
    return _LINE_ENDS.sub("⏎", _UNSEEN.sub("", text)).replace("\t", " ").strip()


def cut(text: str, limit: int) -> str:
    """Return foreign text escaped, on one line, in at most `limit` units.

    What does not fit is replaced by … and the number of characters that are left out.
    """
    return _cut(text, limit)[0]


def bold(text: str, limit: int) -> str:
    """Return foreign text in bold; what would style it otherwise is shown by its look-alike."""
    return f"*{cut(text.replace('*', '∗').replace('`', 'ˋ'), limit)}*"


def code(text: str, limit: int) -> str:
    """Return foreign text as inline code, in which Slack styles nothing."""
    shown = cut(_unquoted(text), limit - 2)
    return f"`{shown}`" if shown else "_empty_"


def code_lines(lines: list[str], limit: int, *, more: str) -> tuple[str, bool]:
    """Return lines as one block of code in at most `limit` units, and whether all of it fits.

    Args:
        lines: foreign text, one fact each.
        limit: at least a few hundred.
        more: what the lines are that are left out: `more changes`.
    """
    fence = "```"
    room = limit - 2 * len(fence) - len(f"\n… and {len(lines)} {more}")
    # One enormous value must not hide the others.
    longest = max(room // max(1, min(len(lines), 3)), 60)
    shown: list[str] = []
    whole = True
    for one in lines:
        text, complete = _cut(_unquoted(one), longest)
        room -= size(text) + 1
        if room < 0:
            break
        whole = whole and complete
        shown.append(text)
    left = len(lines) - len(shown)
    if left:
        shown.append(f"… and {left} {more}")
    return fence + "\n".join(shown) + fence, whole and not left


def code_blocks(lines: Iterable[str], limit: int) -> Iterator[str]:
    """Yield all of these lines, in as many blocks of code as it takes, each of `limit` units.

    A line that is longer than a block goes on in the next.

    Args:
        lines: foreign text, masked already; read no further than is asked for.
        limit: at least a few hundred.
    """
    fence = "```"
    room = limit - 2 * len(fence)
    block: list[str] = []
    left = room
    for one in lines:
        for piece in _pieces(_unquoted(_joined(one)), room):
            if size(piece) + 1 > left and block:
                yield fence + "\n".join(block) + fence
                block, left = [], room
            block.append(piece)
            left -= size(piece) + 1
    if block:
        yield fence + "\n".join(block) + fence


def _pieces(clean: str, limit: int) -> list[str]:
    """Return text on one line escaped, in pieces of at most `limit` units."""
    escaped = clean.translate(_ESCAPES)
    if size(escaped) <= limit:
        return [escaped]
    pieces: list[str] = []
    kept: list[str] = []
    room = limit
    for character in clean:
        piece = _ENTITIES.get(character, character)
        if size(piece) > room:
            pieces.append("".join(kept))
            kept, room = [], limit
        kept.append(piece)
        room -= size(piece)
    return [*pieces, "".join(kept)]


def link(url: str, label: str) -> str:
    """Return a link, or only the label where the URL is none that a browser should open."""
    shown = cut(label, 60)
    if not is_web_url(url):
        return shown
    safe = url.replace("|", "%7C").replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")
    return f"<{safe.replace('&', '&amp;')}|{shown.replace('|', '¦')}>"


def is_web_url(url: str) -> bool:
    """Whether a URL may be offered for a click: http or https, a host, no hidden characters."""
    if len(url) > _LONGEST_URL or line(url) != url or "\t" in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if masking.text(url) != url or parts.username is not None:
        return False  # a link would hand the secret on to whoever opens it
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def person(identity: str) -> str:
    """Return an identity as people know it: a Slack user by mention, others as they are written."""
    user = _SLACK_USER.fullmatch(identity)
    return f"<@{user[1]}>" if user else code(identity, 60)


def ring(ids: Sequence[str]) -> str:
    """Return mentions of these people and user groups, by Slack's ids out of the settings.

    The only place where a mention comes from that rings somebody for a run.
    """
    found = [f"<@{one}>" for one in ids if _USER_ID.fullmatch(one)]
    found += [f"<!subteam^{one}>" for one in ids if _GROUP_ID.fullmatch(one)]
    return " ".join(dict.fromkeys(found[:_MOST_RUNG]))


def sentence(words: str, involved: Collection[str], limit: int) -> str:
    """Return a sentence of ours; where it begins "Approved by slack:U…", with that person's name.

    Only at its very beginning, which no alert writes, and only somebody whom the journal knows to
    have had a hand in it: what follows may be anybody's words.
    """
    found = _BY.match(words)
    if found is None or f"slack:{found['user']}" not in involved:
        return cut(words, limit)
    rest = cut(words[found.end() :], limit - 60).removeprefix(" ")
    glue = "" if rest[:1] in (":", ",", ".") else " "
    return f"{cut(found['verb'], 40)} <@{found['user']}>{glue if rest else ''}{rest}"


def moment(at: datetime) -> str:
    """Return a time that Slack shows in each reader's own zone; UTC where it can't."""
    fallback = aware(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(aware(at).timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>"


def span(value: timedelta) -> str:
    """Return how long something took, to the second."""
    return format_duration(timedelta(seconds=max(0, round(value.total_seconds()))))


def mrkdwn(text: str) -> JSONObject:
    """Return a text object in which Slack finds no links and names by itself."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str) -> JSONObject:
    """Return a text object without any styling; `:smile:` stays as it is."""
    return {"type": "plain_text", "text": text, "emoji": False}


def section(text: str) -> JSONObject:
    """Return a section of one text."""
    return {"type": "section", "text": mrkdwn(text)}


def _unquoted(text: str) -> str:
    return text.replace("`", "ˋ")


def _cut(text: str, limit: int) -> tuple[str, bool]:
    clean = line(text)
    # Escaped text is never shorter, so a text far over the limit need not be escaped as a whole.
    if len(clean) <= limit:
        escaped = "".join(_ENTITIES.get(c, c) for c in clean)
        if size(escaped) <= limit:
            return escaped, True
    room = limit - len(f"… (+{len(clean)} characters)")
    kept = []
    for character in clean:
        piece = _ENTITIES.get(character, character)
        room -= size(piece)
        if room < 0:
            break
        kept.append(piece)
    return f"{''.join(kept)}… (+{len(clean) - len(kept)} characters)", False
