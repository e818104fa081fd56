"""Every code that a finding may have: how grave it is, what it means, and its page. Pure.

Read from the files in `pages/`, one for each subject; docs/findings.md is put together from them,
and `remediator check --explain CODE` prints one of them. Nothing else says what a code means.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from remediator.runbook.findings import Severity

PAGE = "docs/findings.md"
"""Where the page is, for people who have the repository."""

_ORDER = (
    "files",
    "structure",
    "expressions",
    "matching",
    "steps",
    "reuse",
    "outcome",
    "people",
    "commands",
    "policy",
    "spelling",
    "settings",
    "tests",
)
_HEADING = re.compile(
    r"^### (?P<code>[a-z][a-z0-9-]*)\n\n"
    r"(?P<severity>error|warning|info)(?P<fix>, fixed by `--fix`)?: (?P<summary>[^\n]+)\n",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Code:
    """One code.

    Args:
        summary: one sentence.
        text: all of its page, in Markdown, without the heading.
        fixable: whether `--fix` may mend it.
    """

    name: str
    severity: Severity
    summary: str
    text: str
    fixable: bool


@cache
def codes() -> Mapping[str, Code]:
    """Return every code by its name, in the order of the page."""
    found: dict[str, Code] = {}
    for page in _ORDER:
        text = _page(page)
        headings = list(_HEADING.finditer(text))
        ends = [one.start() for one in headings[1:]] + [len(text)] * bool(headings)
        for heading, end in zip(headings, ends, strict=True):
            body = text[heading.end("code") : end].strip()
            found[heading["code"]] = Code(
                heading["code"],
                Severity(heading["severity"]),
                heading["summary"],
                body,
                heading["fix"] is not None,
            )
    return found


def page() -> str:
    """Return docs/findings.md."""
    index = "\n".join(
        f"| [{code.name}](#{code.name}) | {code.severity.value} | {code.summary} |"
        for code in codes().values()
    )
    table = f"| code | | |\n|---|---|---|\n{index}\n"
    return "\n".join([_page("head"), table, *map(_page, _ORDER)])


def _page(name: str) -> str:
    return (resources.files(__package__) / "pages" / f"{name}.md").read_text(encoding="utf-8")
