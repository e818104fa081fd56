"""Links with parts that come from an alert's labels: `https://…?var=${{ labels.namespace }}`.

Pure. What a label holds can never change where a link leads: it is percent-encoded, and stands
after the host.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

_PART = re.compile(r"\$\{\{\s*labels\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def fault(template: str) -> str:
    """Return what is wrong with a template; empty where nothing is."""
    rest = _PART.sub("x", template)
    if "{{" in rest or "}}" in rest:
        return "only ${{ labels.NAME }} may stand between braces"
    if not rest.isprintable() or any(char in rest for char in " <>|\"'`"):
        return "it holds a character that no URL may hold as it is"
    try:
        parts = urlsplit(rest)
    except ValueError:
        return "it is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "it must begin with http:// or https:// and a host"
    host = template.split("://", 1)[1].split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
    return "a label may not decide the host" if "{{" in host else ""


def expand(template: str, labels: Mapping[str, str]) -> str | None:
    """Return the link for these labels; None where one that it needs is missing."""
    if any(not labels.get(found[1]) for found in _PART.finditer(template)):
        return None
    return _PART.sub(lambda found: quote(labels[found[1]], safe=""), template)
