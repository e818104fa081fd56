"""What can be told of a CEL expression from its text alone: literals, functions, labels that it
reads, and what its author may have meant. Pure.

CEL's own compiler says whether an expression is right (`expressions`); this says more about a wrong
one, and finds arguments that are wrong whatever an alert holds. Called by `expressions` and `lint`.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import re2

FUNCTIONS = frozenset(
    {
        "all",
        "bool",
        "bytes",
        "charAt",
        "contains",
        "double",
        "duration",
        "endsWith",
        "exists",
        "exists_one",
        "filter",
        "format",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "has",
        "hasValue",
        "indexOf",
        "int",
        "join",
        "lastIndexOf",
        "lowerAscii",
        "map",
        "matches",
        "math.abs",
        "math.ceil",
        "math.floor",
        "math.greatest",
        "math.isFinite",
        "math.isInf",
        "math.isNaN",
        "math.least",
        "math.round",
        "math.sign",
        "math.trunc",
        "optional.none",
        "optional.of",
        "optional.ofNonZeroValue",
        "optFlatMap",
        "optMap",
        "or",
        "orValue",
        "replace",
        "reverse",
        "size",
        "split",
        "startsWith",
        "string",
        "strings.quote",
        "substring",
        "timestamp",
        "trim",
        "type",
        "uint",
        "upperAscii",
        "value",
    }
)
"""What may be called in an expression: CEL's own functions and macros, and the extensions."""

_ELSEWHERE = {
    "len": "size",
    "length": "size",
    "count": "size",
    "lower": "lowerAscii",
    "toLower": "lowerAscii",
    "toLowerCase": "lowerAscii",
    "upper": "upperAscii",
    "toUpper": "upperAscii",
    "toUpperCase": "upperAscii",
    "includes": "contains",
    "startswith": "startsWith",
    "hasPrefix": "startsWith",
    "endswith": "endsWith",
    "hasSuffix": "endsWith",
    "match": "matches",
    "default": "orValue",
    "str": "string",
    "float": "double",
    "abs": "math.abs",
    "max": "math.greatest",
    "math.max": "math.greatest",
    "min": "math.least",
    "math.min": "math.least",
    "strip": "trim",
}
"""How other languages call some of them."""

_LITERAL = re.compile(
    r"(?P<raw>[rR])?(?P<text>\"\"\"(?:\\.|(?!\"\"\").)*\"\"\"|'''(?:\\.|(?!''').)*'''"
    r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')",
    re.DOTALL,
)
_LABELS = r"(?<![\w.`])(?:alert\s*\.\s*)?labels"
_READS = re.compile(
    rf"{_LABELS}\s*(?:\.\s*(?P<maybe>\?)?\s*(?P<name>[A-Za-z_]\w*+|`[^`]*`)(?!\s*\()"
    rf"|\[\s*(?P<optional>\?)?\s*(?P<key>[\"'])(?P<blank>\s*)(?P=key)\s*\])"
)
_IN_LABELS = re.compile(r"(?P<literal>([\"'])\s*\2)\s+in\s+(?:alert\s*\.\s*)?labels\b")
_DURATION = re.compile(r"-?(\d+(\.\d*)?(ns|us|ms|s|m|h))+|0")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SMART = {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'"}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LabelRead:
    """One place where an expression reads a label of the alert.

    Args:
        offset: where the label's name stands.
        guarded: whether the expression also says what becomes of an alert without it.
    """

    name: str
    offset: int
    guarded: bool


def blanked(text: str) -> str:
    """Return the expression with nothing in its string literals, every other character where it
    was."""
    return _LITERAL.sub(_blank, text)


def _blank(found: "re.Match[str]") -> str:
    text = found["text"]
    quotes = 3 if text[:3] in ('"""', "'''") else 1
    inside = " " * (len(text) - 2 * quotes)
    return (found["raw"] or "") + text[:quotes] + inside + text[len(text) - quotes :]


def literal(text: str) -> str | None:
    """Return the value of a string literal; None where it is none."""
    found = _LITERAL.fullmatch(text.strip())
    if found is None:
        return None
    quotes = 3 if found["text"][:3] in ('"""', "'''") else 1
    inside = found["text"][quotes : len(found["text"]) - quotes]
    return inside if found["raw"] else _ESCAPE.sub(_unescaped, inside)


def _unescaped(found: "re.Match[str]") -> str:
    if code := found[1] or found[2]:
        return chr(int(code, 16))
    return _ESCAPES.get(found[3], found[3])


def label_reads(text: str) -> Iterator[LabelRead]:
    """Yield where the expression reads a label of the alert by its name."""
    plain = blanked(text)
    found = list(_READS.finditer(plain))
    named = [(_label(text, one), one) for one in found]
    guarded = {
        name
        for name, one in named
        if one["maybe"] or one["optional"] or _asked_for(plain, one.start())
    }
    guarded |= {asked for asked, _ in named if _in_labels(text, plain, asked)}
    for name, one in named:
        at = one.start("name") if one["name"] else one.start("key") + 1
        yield LabelRead(name, at, name in guarded)


def _label(text: str, found: "re.Match[str]") -> str:
    if found["name"]:
        return found["name"].strip("`")
    return text[found.start("key") + 1 : found.end("blank")]


def _asked_for(plain: str, at: int) -> bool:
    return re.search(r"\bhas\s*\(\s*$", plain[:at]) is not None


def _in_labels(text: str, plain: str, name: str) -> bool:
    """Whether it asks `"name" in labels`."""
    return any(
        text[found.start() + 1 : found.end("literal") - 1] == name
        for found in _IN_LABELS.finditer(plain)
    )


def wrong_arguments(text: str) -> Iterator[tuple[int, str]]:
    """Yield what a literal argument makes wrong whatever an alert holds: offset and sentence."""
    plain = blanked(text)
    for call in re.finditer(r"\b(matches|duration|timestamp)\s*\(", plain):
        at, argument = _last_argument(text, plain, call.end())
        given = literal(argument)
        if given is None:
            continue
        if call[1] == "matches":
            if why := _no_pattern(given):
                yield at, f"no regular expression (RE2): {why}"
        elif call[1] == "duration" and not _DURATION.fullmatch(given):
            yield at, f'"{given}" is no duration of CEL: write 90s, 15m or 1h30m; a day is 24h'
        elif call[1] == "timestamp" and not _TIMESTAMP.fullmatch(given):
            yield at, f'"{given}" is no time: write it like 2026-01-05T10:00:00Z'


def _no_pattern(text: str) -> str:
    """Return why a text is no regular expression; empty where it is one."""
    try:
        re2.compile(text, _quiet())
    except re2.error as error:
        why = error.args[0] if error.args else error
        return why.decode() if isinstance(why, bytes) else str(why)
    return ""


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


def _last_argument(text: str, plain: str, start: int) -> tuple[int, str]:
    """Return the last argument of a call, and where it stands; empty where it does not end."""
    depth, begins, at = 0, start, start
    while at < len(plain):
        char = plain[at]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            if depth == 0:
                lead = len(text[begins:at]) - len(text[begins:at].lstrip())
                return begins + lead, text[begins:at].strip()
            depth -= 1
        elif char == "," and depth == 0:
            begins = at + 1
        at += 1
    return start, ""


def hint(text: str, message: str, offset: int) -> str:
    """Return what to do about a syntax error; empty where nothing better is known than CEL's
    message."""
    if any(char in blanked(text) for char in _SMART):
        return "write straight quotes: \" or '"
    if "no matching overload" in message and re.search(r"string, (int|double)", message):
        return "a label is text: convert it, as in int(labels.count)"
    after = text[offset:].lstrip()
    if re.match(r"=(?![=~])", after) or "token recognition error at: '= '" in message:
        return "to compare, write =="
    if after.startswith(("=~", "~", "!~")) or "like" in message:
        return 'write labels.x.matches("…")'
    for word, sign in (("and", "&&"), ("or", "||")):
        if re.search(rf"mismatched input '{word}'", message):
            return f"write {sign}"
    if re.search(r"\bnot\s+$", text[:offset]):
        return "write !"
    return ""


def nearest_function(name: str) -> str:
    """Return the function that was likely meant by an unknown one; empty where none is near."""
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    near = difflib.get_close_matches(name, sorted(FUNCTIONS), n=1, cutoff=0.7)
    return near[0] if near else ""
