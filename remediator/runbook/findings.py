"""What is wrong in a runbook file, and exactly where."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error keeps the whole set from loading; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault. `line` and `column` count from 1; `hint` says what to do."""

    file: str
    line: int
    column: int
    severity: Severity
    code: str
    message: str
    hint: str = ""

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
