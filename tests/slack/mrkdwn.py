"""mrkdwn as Slack reads it: a text becomes nodes, and nodes become plain words or HTML.

Source: Slack's «Formatting message text»: styles, quotes, code, links, mentions, dates, emoji, the
three entities; and «Text object»: without `verbatim` Slack finds links and mentions by itself.
Used by `workspace` (what a person reads) and `page` (what a person sees).
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EMOJI = {
    "white_check_mark": "✅",
    "heavy_check_mark": "✔️",
    "x": "❌",
    "no_entry": "⛔",
    "warning": "⚠️",
    "rotating_light": "🚨",
    "hourglass_flowing_sand": "⏳",
    "hourglass": "⌛",
    "hand": "✋",
    "raised_hand": "✋",
    "eyes": "👀",
    "fire": "🔥",
    "wrench": "🔧",
    "zzz": "💤",
    "pause_button": "⏸️",
    "double_vertical_bar": "⏸️",
    "arrow_forward": "▶️",
    "leftwards_arrow_with_hook": "↩️",
    "rewind": "⏪",
    "lock": "🔒",
    "tada": "🎉",
    "bell": "🔔",
    "no_bell": "🔕",
    "clipboard": "📋",
    "memo": "📝",
    "mag": "🔍",
    "robot_face": "🤖",
    "bust_in_silhouette": "👤",
    "green_circle": "🟢",
    "red_circle": "🔴",
    "large_yellow_circle": "🟡",
    "smile": "😄",
    "+1": "👍",
    "-1": "👎",
}

_CONTROL = re.compile(r"<([^<>\n]+)>")
_FENCE = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_EMOJI = re.compile(r":([a-z0-9_+-]+):")
_BARE = re.compile(r"(?<![\w/])(@(?:here|channel|everyone))\b|(https?://[^\s<>|]+)")
_STYLES = {"*": "bold", "_": "italic", "~": "strike"}
_DATE = re.compile(r"!date\^(\d+)\^([^^|]*)(?:\^([^|]*))?$")


@dataclass(frozen=True)
class Node:
    """A piece of text: `text` for a leaf, `inner` for one with a style; `target` of a link."""

    kind: str
    text: str = ""
    inner: tuple["Node", ...] = ()
    target: str = ""


@dataclass(frozen=True)
class Reader:
    """Who reads: how ids are called, and when it is for whoever reads a date."""

    names: Mapping[str, str]
    now: datetime

    def name(self, target: str) -> str:
        """Return what stands for `@U1`, `#C1` or `!subteam^S1`."""
        if target.startswith("!"):
            word, _, given = target[1:].partition("^")
            return f"@{self.names.get(given, given) if word == 'subteam' else word}"
        return target[0] + self.names.get(target[1:], target[1:])


def parse(text: str, *, verbatim: bool = True) -> tuple[Node, ...]:
    """Return the nodes of a mrkdwn text; `verbatim`: Slack looks for nothing by itself."""
    nodes: list[Node] = []
    at = 0
    for fence in _FENCE.finditer(text):
        nodes += _lines(text[at : fence.start()].removesuffix("\n"), verbatim)
        nodes.append(Node("pre", inner=_controls(fence[1], _leaf)))
        at = fence.end()
    rest = text[at:]
    return (*nodes, *_lines(rest.removeprefix("\n") if nodes else rest, verbatim))


def plain(nodes: Sequence[Node], reader: Reader) -> str:
    """Return the words of a text, without its styles."""
    words = ""
    for node in nodes:
        block = node.kind in ("pre", "quote")
        if block and words and not words.endswith("\n"):
            words += "\n"
        words += _plain(node, reader) + "\n" * block
    return words.removesuffix("\n") if nodes and nodes[-1].kind in ("pre", "quote") else words


def markup(nodes: Sequence[Node], reader: Reader) -> str:
    """Return a text as HTML."""
    return "".join(_markup(node, reader) for node in nodes)


def emoji(text: str) -> str:
    """Return a text with the names of emoji replaced, where they are known here."""
    return _EMOJI.sub(lambda found: EMOJI.get(found[1], found[0]), text)


def bare_mentions(text: str) -> list[str]:
    """Return the mentions that Slack would find by itself in a text that is not verbatim."""
    return [f"!{found[1][1:]}" for found in _BARE.finditer(text) if found[1]]


def date(target: str, label: str, reader: Reader) -> str:
    """Return a date as a reader in UTC sees it, or its fallback where it can't be read."""
    found = _DATE.match(target)
    if found is None:
        return label or target
    at = datetime.fromtimestamp(int(found[1]), UTC)
    day = timedelta(days=1)
    near = {
        reader.now.date(): "Today",
        (reader.now - day).date(): "Yesterday",
        (reader.now + day).date(): "Tomorrow",
    }.get(at.date())
    short, long = f"{at:%b} {at.day}, {at.year}", f"{at:%A}, {at:%B} {at.day}, {at.year}"
    words = {
        "date_num": f"{at:%Y-%m-%d}",
        "date_slash": f"{at:%m/%d/%Y}",
        "date": f"{at:%B} {at.day}, {at.year}",
        "date_short": short,
        "date_long": long,
        "date_pretty": near or f"{at:%B} {at.day}, {at.year}",
        "date_short_pretty": near or short,
        "date_long_pretty": near or long,
        "time": f"{at:%H:%M}",
        "time_secs": f"{at:%H:%M:%S}",
        "ago": _ago(reader.now - at),
    }
    return re.sub(r"\{(\w+)\}", lambda m: words.get(m[1], m[0]), html.unescape(found[2]))


def _ago(passed: timedelta) -> str:
    minutes = int(abs(passed).total_seconds() // 60)
    unit, count = ("hour", minutes // 60) if minutes >= 60 else ("minute", minutes)
    words = f"{count} {unit}{'s' * (count != 1)}"
    return f"{words} ago" if passed >= timedelta(0) else f"in {words}"


def _lines(text: str, verbatim: bool) -> list[Node]:
    """Quotes are made of whole lines; everything else is styled within its line."""
    nodes: list[Node] = []
    quoted: list[str] = []
    plain_lines: list[str] = []

    def flush() -> None:
        if quoted:
            nodes.append(Node("quote", inner=tuple(_inline("\n".join(quoted), verbatim))))
            quoted.clear()
        if plain_lines:
            nodes.extend(_inline("\n".join(plain_lines), verbatim))
            plain_lines.clear()

    for line in text.split("\n"):
        marker = next((m for m in (">", "&gt;") if line.startswith(m)), None)
        if marker is None:
            if quoted:
                flush()
            plain_lines.append(line)
        else:
            if plain_lines:
                flush()
            quoted.append(line.removeprefix(marker).removeprefix(" "))
    flush()
    return nodes


def _inline(text: str, verbatim: bool) -> list[Node]:
    nodes: list[Node] = []
    at = 0
    for code in _CODE.finditer(text):
        nodes += _styled(text[at : code.start()], verbatim)
        nodes.append(Node("code", inner=_controls(code[1], _leaf)))
        at = code.end()
    return nodes + _styled(text[at:], verbatim)


def _styled(text: str, verbatim: bool) -> list[Node]:
    for mark, kind in _STYLES.items():
        found = re.search(
            rf"(?<![\w{re.escape(mark)}]){re.escape(mark)}(?=\S)([^\n]+?)(?<=\S){re.escape(mark)}(?!\w)",
            text,
        )
        if found and not _inside_control(text, found.start()):
            before, after = text[: found.start()], text[found.end() :]
            inner = tuple(_styled(found[1], verbatim))
            return [*_styled(before, verbatim), Node(kind, inner=inner), *_styled(after, verbatim)]
    return list(_controls(text, _leaf if verbatim else _found))


def _inside_control(text: str, at: int) -> bool:
    return any(one.start() < at < one.end() for one in _CONTROL.finditer(text))


def _controls(text: str, read: Callable[[str], list[Node]]) -> tuple[Node, ...]:
    nodes: list[Node] = []
    at = 0
    for control in _CONTROL.finditer(text):
        nodes += read(text[at : control.start()])
        target, _, label = control[1].partition("|")
        label = html.unescape(label)
        if target.startswith("!date^"):
            nodes.append(Node("date", label, target=target))
        elif target[0] in "@#!":
            nodes.append(Node("mention", label, target=target))
        else:
            url = html.unescape(target)
            nodes.append(Node("link", label or url, target=url))
        at = control.end()
    return (*nodes, *read(text[at:]))


def _leaf(text: str) -> list[Node]:
    return [Node("text", html.unescape(text))] if text else []


def _found(text: str) -> list[Node]:
    """Words in which Slack finds mentions and links by itself."""
    nodes: list[Node] = []
    at = 0
    for one in _BARE.finditer(text):
        nodes += _leaf(text[at : one.start()])
        if one[1]:
            nodes.append(Node("mention", target=f"!{one[1][1:]}"))
        else:
            url = html.unescape(one[2])
            nodes.append(Node("link", url, target=url))
        at = one.end()
    return nodes + _leaf(text[at:])


def _plain(node: Node, reader: Reader) -> str:
    if node.kind == "text":
        return emoji(node.text)
    if node.kind == "date":
        return date(node.target, node.text, reader)
    if node.kind == "mention":
        return node.text or reader.name(node.target)
    if node.kind == "link":
        return node.text
    if node.kind in ("code", "pre"):
        return "".join(one.text or reader.name(one.target) for one in node.inner)
    return plain(node.inner, reader)


_TAGS = {
    "bold": "strong",
    "italic": "em",
    "strike": "del",
    "code": "code",
    "pre": "pre",
    "quote": "blockquote",
}


def _markup(node: Node, reader: Reader) -> str:
    if node.kind == "text":
        return html.escape(emoji(node.text)).replace("\n", "<br>")
    if node.kind == "date":
        return f'<time title="UTC">{html.escape(date(node.target, node.text, reader))}</time>'
    if node.kind == "mention":
        loud = " loud" if node.target.startswith("!") and "^" not in node.target else ""
        shown = html.escape(node.text or reader.name(node.target))
        return f'<span class="mention{loud}">{shown}</span>'
    if node.kind == "link":
        return f'<a href="{html.escape(node.target)}">{html.escape(emoji(node.text))}</a>'
    if node.kind in ("code", "pre"):
        inner = "".join(
            html.escape(one.text) if one.kind == "text" else _markup(one, reader)
            for one in node.inner
        )
    else:
        inner = markup(node.inner, reader)
    tag = _TAGS[node.kind]
    return f"<{tag}>{inner}</{tag}>"
