"""What came of tests, in lines for people and as JSON for scripts. Pure.

Owns the words and the layout; colours and where it is printed are the command's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import groupby

from remediator.model.canonical import JSON, JSONObject
from remediator.model.quantities import format_duration
from remediator.rehearsal import coverage
from remediator.rehearsal.coverage import Coverage
from remediator.rehearsal.expect import Line, Side
from remediator.rehearsal.play import Failure, Played
from remediator.rehearsal.story import Chapter, Part
from remediator.rehearsal.suite import FileResult, Outcome

# Of one list; who reads a diff of more looks at the file instead.
_MOST_LINES = 60
_MOST_CHAPTERS = 200
_LONGEST = 400


class Style(StrEnum):
    """What a line is; the command gives it a colour."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    HEAD = "head"
    EXPECTED = "expected"
    FOUND = "found"
    FAINT = "faint"


@dataclass(frozen=True, slots=True)
class Printed:
    """One line."""

    text: str
    style: Style = Style.PLAIN


def dot(played: Played) -> Printed:
    """Return the mark of one test."""
    return Printed(".", Style.GOOD) if played.passed else Printed("F", Style.BAD)


def named(file: FileResult, played: Played) -> Printed:
    """Return the line of one test: what it is called, and how it went."""
    how = "PASSED" if played.passed else "FAILED"
    took = f"({played.took_s * 1000:.0f} ms)"
    style = Style.GOOD if played.passed else Style.BAD
    return Printed(f"{file.path}::{played.case.spec.name} {how} {took}", style)


def failures(outcome: Outcome, *, passed_too: bool = False) -> Iterator[Printed]:
    """Yield every failure, each with its story, and the faults of files.

    Args:
        passed_too: the stories of tests that passed as well.
    """
    for file in outcome.files:
        for finding in file.findings:
            yield Printed(str(finding), Style.BAD)
        for played in file.played:
            if not played.passed or passed_too:
                how = "PASSED" if played.passed else "FAILED"
                yield Printed("")
                yield Printed(f"{how} {file.path}::{played.case.spec.name}", Style.HEAD)
                yield from of_test(played)
    for finding in outcome.findings:
        yield Printed(str(finding), Style.BAD)


def of_test(played: Played) -> Iterator[Printed]:
    """Yield what was not as expected in one test, and its story."""
    for failure in played.failures:
        yield from _failure(failure)
    for request in played.unanswered:
        yield Printed(f"  not in the world, and asked for: {_short(request)}", Style.BAD)
    if played.story:
        yield Printed("  the story:", Style.FAINT)
    yield from story(played)


def _failure(failure: Failure) -> Iterator[Printed]:
    place = f"{failure.file}:{failure.line}:{failure.column}"
    note = f": {failure.note}" if failure.note else ""
    at = format_duration(failure.at)
    yield Printed(f"  {place}: at {at}: {failure.what}{_short(note)}", Style.BAD)
    for line in failure.lines[:_MOST_LINES]:
        yield _line(line)
    if len(failure.lines) > _MOST_LINES:
        yield Printed(f"      … and {len(failure.lines) - _MOST_LINES} more lines")


_SIDES = {Side.BOTH: Style.PLAIN, Side.EXPECTED: Style.EXPECTED, Side.FOUND: Style.FOUND}


def _line(line: Line) -> Printed:
    return Printed(f"    {line.side} {_short(line.text)}", _SIDES[line.side])


def story(played: Played) -> Iterator[Printed]:
    """Yield what happened in one test, a line for each thing, by virtual time."""
    chapters = played.story
    shown = chapters[-_MOST_CHAPTERS:]
    if len(chapters) > len(shown):
        yield Printed(f"    … {len(chapters) - len(shown)} lines before", Style.FAINT)
    for at, same in groupby(shown, key=lambda one: one.at):
        for number, one in enumerate(same):
            when = format_duration(at) if number == 0 else ""
            yield Printed(f"    {when:>8}  {_chapter(one)}", Style.FAINT)


def _chapter(one: Chapter) -> str:
    match one.part:
        case Part.WORLD:
            return _short(f"> {one.text}")
        case Part.TOLD:
            return _short(f'people are told: "{one.text}"')
        case Part.LOG:
            return _short(f"error in the log: {one.text}")
    return _short(f"{one.who}: {one.text}" if one.who else one.text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… (+{len(text) - _LONGEST})"


def summary(outcome: Outcome, took_s: float) -> Printed:
    """Return the last line."""
    files = "file" if outcome.broken == 1 else "files"
    parts = [
        *([f"{outcome.failed} failed"] if outcome.failed else []),
        *([f"{outcome.broken} {files} with faults"] if outcome.broken else []),
        f"{outcome.passed} passed",
    ]
    if not outcome.failed and not outcome.broken and not outcome.passed:
        parts = ["no test was found"]
    left_out = sum(file.left_out for file in outcome.files)
    parts += [f"{left_out} left out"] if left_out else []
    style = Style.GOOD if outcome.well else Style.BAD
    return Printed(f"{', '.join(parts)} in {took_s:.2f}s", style)


def untested(outcome: Outcome) -> Iterator[Printed]:
    """Yield the runbooks that no test is about."""
    for path in outcome.untested:
        stem = path.name.removesuffix(".yaml").removesuffix(".yml")
        yield Printed(f"no test: {path}; write {stem}.test.yaml beside it")


def covered(found: Sequence[Coverage]) -> Iterator[Printed]:
    """Yield the table of coverage."""
    width = max((7, *(len(one.runbook) for one in found)))
    yield Printed(f"{'RUNBOOK':<{width}}  COVERED      NOT SHOWN BY ANY TEST", Style.HEAD)
    for one in found:
        counts = f"{one.reached}/{len(one.goals)}"
        missing = "no test" if not one.tests else "; ".join(_grouped(one.missing))
        style = Style.PLAIN if one.missing else Style.GOOD
        line = f"{one.runbook:<{width}}  {one.percent:4.0f}% {counts:<6} {missing}"
        yield Printed(line.rstrip(), style)
        seen = [
            *([f"verdicts: {', '.join(one.verdicts)}"] if one.verdicts else []),
            *([f"failed steps: {', '.join(one.failed)}"] if one.failed else []),
            *([f"ends: {', '.join(one.ends)}"] if one.ends else []),
        ]
        if seen:
            yield Printed(f"{'':<{width}}               seen {'; '.join(seen)}", Style.FAINT)
    yield Printed(f"{'total':<{width}}  {coverage.total(found):4.0f}%", Style.HEAD)


def _grouped(goals: Iterable[coverage.Goal]) -> Iterator[str]:
    """Yield goals by their part: `restart: applied, taken back`."""
    for part, same in groupby(goals, key=lambda goal: goal.part):
        yield f"{part}: {', '.join(goal.what for goal in same)}"


# ------------------------------------------------------------------------- for scripts


def to_json(outcome: Outcome, took_s: float) -> JSONObject:
    """Return everything as scripts get it."""
    tests: list[JSON] = [
        _test_json(file, played) for file in outcome.files for played in file.played
    ]
    findings = [one for file in outcome.files for one in file.findings]
    faults: list[JSON] = [
        {
            "file": one.file,
            "line": one.line,
            "column": one.column,
            "code": one.code,
            "message": one.message,
            "hint": one.hint,
        }
        for one in (*findings, *outcome.findings)
    ]
    return {
        "passed": outcome.passed,
        "failed": outcome.failed,
        "broken_files": outcome.broken,
        "took_s": round(took_s, 3),
        "tests": tests,
        "findings": faults,
        "untested": [str(path) for path in outcome.untested],
        "coverage": {
            "percent": round(coverage.total(outcome.coverage), 1),
            "runbooks": [one.to_json() for one in outcome.coverage],
        },
    }


def _test_json(file: FileResult, played: Played) -> JSONObject:
    problems: list[JSON] = [
        {
            "line": one.line,
            "column": one.column,
            "at": format_duration(one.at),
            "what": one.what,
            "note": one.note,
            "expected": [line.text for line in one.lines if line.side is not Side.FOUND],
            "found": [line.text for line in one.lines if line.side is not Side.EXPECTED],
        }
        for one in played.failures
    ]
    story: list[JSON] = [
        {"at_s": one.at / timedelta(seconds=1), "part": one.part, "who": one.who, "text": one.text}
        for one in played.story
    ]
    return {
        "file": str(file.path),
        "name": played.case.spec.name,
        "passed": played.passed,
        "took_s": round(played.took_s, 4),
        "failures": problems,
        "unanswered": list(played.unanswered),
        "story": story,
    }
