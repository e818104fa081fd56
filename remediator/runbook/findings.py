"""What is wrong in a runbook file, and exactly where."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """An error keeps the whole set from loading; a warning is hardly meant; an info may be."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    def reaches(self, least: "Severity") -> bool:
        """Whether it is as grave as `least`, or graver."""
        order = tuple(Severity)
        return order.index(self) <= order.index(least)


@dataclass(frozen=True, slots=True)
class Edit:
    """One piece of a file's text, from its character `start` up to `end`, becomes `text`.

    Characters count from 0, with every line end as one, as Python reads a text file.
    """

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that mend a finding and change nothing of what the file means. `does` says what they
    do, in a few words: `write true`."""

    does: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault. `line` and `column` count from 1; `hint` says what to do.

    `end` is the line and the column after what is at fault, where it is known; `fix` mends it.
    """

    file: str
    line: int
    column: int
    severity: Severity
    code: str
    message: str
    hint: str = ""
    end: tuple[int, int] | None = field(default=None, compare=False)
    fix: Fix | None = field(default=None, compare=False)

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return (
            f"{self.file}:{self.line}:{self.column}: {self.severity.value}: "
            f"{self.message}{hint} [{self.code}]"
        )


class RunbookErrors(Exception):
    """A set of runbooks can't be used; `findings` holds every fault that was found."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: Sequence[Finding] = tuple(sorted(findings))
        super().__init__("\n".join(str(finding) for finding in self.findings))


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the nearest known name, or the empty string."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""


def only_near(wrong: str, known: Iterable[str]) -> str | None:
    """Return the one known name that is close enough to be what was meant; None where there is
    none, or a choice."""
    near = difflib.get_close_matches(wrong, list(known), n=2, cutoff=0.75)
    return near[0] if len(near) == 1 else None
