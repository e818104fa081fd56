"""Hold what was expected against what came. Pure.

Owns what fits what: texts by what they contain or by a regular expression, runs and messages one by
one, objects by the parts that are written. `report` shows the differences.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import yarl

from remediator.model.canonical import dumps
from remediator.rehearsal.schema import Expectation, RunExpected, StepExpected
from remediator.rehearsal.seen import Seen, SeenRun
from remediator.runbook.document import Path
from remediator.runbook.findings import did_you_mean
from remediator.simulated.answers import fits as command_fits
from remediator.simulated.answers import parse_request
from remediator.simulated.spec import Object, split_reference

E = TypeVar("E")
F = TypeVar("F")

_MOST_NAMED = 12


class Side(StrEnum):
    """Whose a line of a difference is."""

    BOTH = " "
    EXPECTED = "-"
    FOUND = "+"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a difference."""

    side: Side
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that is not as expected.

    Args:
        path: of the key, below the expectation.
        what: the same for people: `runs[0].state`.
        lines: what was expected and what came.
        note: a sentence that helps, may be empty.
    """

    path: Path
    what: str
    lines: tuple[Line, ...]
    note: str = ""


def differences(expected: Expectation, seen: Seen) -> list[Difference]:
    """Return everything that is not as expected, in the order of the keys."""
    return [
        *_runs(expected, seen),
        *_texts("messages", expected.messages, [str(one) for one in seen.messages]),
        *_objects(expected, seen),
        *_absent(expected, seen),
        *_sequence("exec", expected.exec, seen.started, command_fits, " ".join),
        *_sequence("http", expected.http, seen.requests, _request_fits, str),
        *_texts("silences", expected.silences, seen.silences),
    ]


# ------------------------------------------------------------------------- texts and lists


def fits(expected: str, found: str) -> bool:
    """Whether a text is as expected: it contains it, or matches what stands between slashes."""
    if len(expected) > 1 and expected[0] == expected[-1] == "/":
        return re.search(expected[1:-1], found) is not None
    return expected in found


def _texts(
    key: str, expected: Sequence[str] | None, found: Sequence[str], path: Path = ()
) -> Iterator[Difference]:
    if expected is None:
        return
    if len(expected) == len(found) and all(map(fits, expected, found)):
        return
    lines = tuple(_aligned(expected, found, fits, str, str))
    yield Difference((*path, key), _spelt((*path, key)), lines)


def _sequence(
    key: str,
    expected: Sequence[E] | None,
    found: Sequence[F],
    fit: Callable[[E, F], bool],
    shown: Callable[[Any], str],
) -> Iterator[Difference]:
    """Compare a list in whose gaps other things may lie; an empty one allows nothing."""
    if expected is None:
        return
    left = iter(found)
    in_order = all(any(fit(one, other) for other in left) for one in expected)
    if in_order and (expected or not found):
        return
    note = "" if expected else "none was expected"
    if expected and all(any(fit(one, other) for other in found) for one in expected):
        note = "all of them came, in another order"
    lines = tuple(_aligned(expected, found, fit, shown, shown))
    yield Difference((key,), key, lines, note)


def _aligned(
    expected: Sequence[E],
    found: Sequence[F],
    fit: Callable[[E, F], bool],
    show_expected: Callable[[E], str],
    show_found: Callable[[F], str],
) -> Iterator[Line]:
    """Yield both lists as one, what fits on one line: the longest common run of them."""
    rows, columns = len(expected), len(found)
    common = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            common[i][j] = (
                common[i + 1][j + 1] + 1
                if fit(expected[i], found[j])
                else max(common[i + 1][j], common[i][j + 1])
            )
    i = j = 0
    while i < rows or j < columns:
        if i < rows and j < columns and fit(expected[i], found[j]):
            yield Line(Side.BOTH, show_found(found[j]))
            i, j = i + 1, j + 1
        elif i < rows and (j == columns or common[i + 1][j] >= common[i][j + 1]):
            yield Line(Side.EXPECTED, show_expected(expected[i]))
            i += 1
        else:
            yield Line(Side.FOUND, show_found(found[j]))
            j += 1


def _one(path: Path, expected: Any, found: Any, note: str = "") -> Difference:
    lines = (Line(Side.EXPECTED, _text(expected)), Line(Side.FOUND, _text(found)))
    return Difference(path, _spelt(path), lines, note)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return "nothing" if value is None else dumps(value)


def _spelt(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


# ------------------------------------------------------------------------- runs


def _runs(expected: Expectation, seen: Seen) -> Iterator[Difference]:
    if expected.runs is None:
        return
    if len(expected.runs) != len(seen.runs):
        lines = tuple(
            _aligned(
                expected.runs, seen.runs, lambda a, b: not any(_run((), a, b)), _wanted, _found
            )
        )
        note = f"{_many(len(expected.runs))} expected, and there {_are(len(seen.runs))}"
        yield Difference(("runs",), "runs", lines, note)
        return
    for number, (wanted, run) in enumerate(zip(expected.runs, seen.runs, strict=True)):
        yield from _run(("runs", number), wanted, run)


def _run(path: Path, expected: RunExpected, run: SeenRun) -> Iterator[Difference]:
    for key in ("runbook", "state", "reason"):
        wanted = getattr(expected, key)
        if wanted is not None and wanted != getattr(run, key):
            note = run.message if key in ("state", "reason") else ""
            yield _one((*path, key), str(wanted), str(getattr(run, key)), note)
    for key in ("message", "target"):
        wanted = getattr(expected, key)
        if wanted is not None and not fits(wanted, getattr(run, key)):
            yield _one((*path, key), wanted, getattr(run, key))
    yield from _texts("plans", expected.plans, run.plans, path)
    yield from _texts("verdicts", expected.verdicts, run.verdicts, path)
    by_id = {step.id: step for step in run.steps}
    for name, wanted_step in (expected.steps or {}).items():
        where = (*path, "steps", name)
        step = by_id.get(name)
        if step is None:
            yield _one(where, str(wanted_step.state or "there"), None, "the run never came to it")
            continue
        yield from _step(where, wanted_step, step)
    if expected.outputs is not None:
        yield from _parts((*path, "outputs"), expected.outputs, run.outputs)


def _step(path: Path, expected: StepExpected, step: Any) -> Iterator[Difference]:
    if expected.state is not None and expected.state is not step.state:
        yield _one((*path, "state"), expected.state.value, step.state.value, step.message)
    if expected.message is not None and not fits(expected.message, step.message):
        yield _one((*path, "message"), expected.message, step.message)
    if expected.output is not None:
        yield from _parts((*path, "output"), expected.output, step.output)


def _wanted(run: RunExpected) -> str:
    parts = [run.runbook or "a run", run.state or "", run.reason and f"({run.reason})"]
    return " ".join(str(part) for part in parts if part)


def _found(run: SeenRun) -> str:
    return f"{run.runbook} {run.state} ({run.reason}): {run.message}"


def _many(count: int) -> str:
    return f"{count or 'no'} run{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {count or 'none'}"


# ------------------------------------------------------------------------- parts of objects


def _parts(path: Path, expected: Any, found: Any) -> Iterator[Difference]:
    """Compare what is written: of a mapping its keys, of a list every item."""
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            yield _one(path, expected, found)
            return
        for key, wanted in expected.items():
            if key not in found:
                if wanted is not None:  # null stands for what is not there, too
                    yield _one((*path, key), wanted, None)
                continue
            yield from _parts((*path, key), wanted, found[key])
    elif isinstance(expected, list | tuple):
        if not isinstance(found, list | tuple) or len(expected) != len(found):
            yield _one(path, expected, found)
            return
        for number, (wanted, one) in enumerate(zip(expected, found, strict=True)):
            yield from _parts((*path, number), wanted, one)
    elif _plain(expected) != _plain(found):
        yield _one(path, expected, found)


def _plain(value: Any) -> Any:
    # YAML's 1 and JSON's 1.0 are one number; true is none.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _objects(expected: Expectation, seen: Seen) -> Iterator[Difference]:
    for number, wanted in enumerate(expected.kubernetes or ()):
        path = ("kubernetes", number)
        metadata = wanted.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        kind, name = str(wanted.get("kind", "")), str(metadata.get("name", ""))
        named = [one for one in seen.objects if _is(one, kind, name, metadata.get("namespace"))]
        if not named:
            reference = _reference(kind, metadata.get("namespace"), name)
            yield Difference(
                path,
                _spelt(path),
                (Line(Side.EXPECTED, reference), Line(Side.FOUND, "no such object")),
                _near(reference, seen.objects),
            )
            continue
        rest = {key: value for key, value in wanted.items() if key != "kind"}
        best = min((list(_parts(path, rest, one)) for one in named), key=len)
        yield from best


def _absent(expected: Expectation, seen: Seen) -> Iterator[Difference]:
    for number, reference in enumerate(expected.absent or ()):
        kind, namespace, name = split_reference(reference)
        if any(_is(one, kind, name, namespace or None) for one in seen.objects):
            path = ("absent", number)
            lines = (
                Line(Side.EXPECTED, f"no {reference}"),
                Line(Side.FOUND, f"{reference} is there"),
            )
            yield Difference(path, _spelt(path), lines)


def _is(one: Object, kind: str, name: str, namespace: str | None) -> bool:
    metadata = one["metadata"]
    return (
        str(one["kind"]).lower() == kind.lower()
        and metadata["name"] == name
        and (namespace is None or metadata.get("namespace", "") == namespace)
    )


def _reference(kind: str, namespace: str | None, name: str) -> str:
    return "/".join(filter(None, (kind.lower(), namespace, name)))


def _near(reference: str, objects: Iterable[Object]) -> str:
    known = [
        _reference(str(o["kind"]), o["metadata"].get("namespace"), str(o["metadata"]["name"]))
        for o in objects
    ]
    if hint := did_you_mean(reference, known):
        return hint
    kind = reference.partition("/")[0]
    same = [name for name in known if name.startswith(f"{kind}/")] or known
    shown = ", ".join(same[:_MOST_NAMED])
    more = f" and {len(same) - _MOST_NAMED} more" if len(same) > _MOST_NAMED else ""
    return f"there are {shown}{more}" if same else "the world has no Kubernetes objects"


# ------------------------------------------------------------------------- requests


def _request_fits(expected: str, found: str) -> bool:
    method, _, url = found.partition(" ")
    return parse_request(expected).fits(method, yarl.URL(url))
