"""Proves `--fix`: it mends what it says, keeps everything else to the letter, never changes what a
runbook means, and has nothing left to do the second time."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.cli import checking, fixing
from remediator.runbook import document, edits
from remediator.runbook.compile import compile_file
from remediator.runbook.expressions import Expression
from remediator.runbook.findings import Edit, Finding, Fix, RunbookErrors, Severity
from remediator.runbook.runbook import Runbook
from tests.runbook.lint.linting import REGISTRY, runbook, said

CONDITIONS = [
    "${{ labels.tier == 'web' }}",
    "\"${{ labels.tier == 'web' }}\"",
    "'${{ labels.tier == \"web\" }}'",
    '${{ "web" == labels.tier }}',
    "${{ !has(labels.tier) }}",
    "${{labels.tier in ['web', 'db']}}",
    "|\n  ${{ has(labels.tier)\n      && labels.tier == 'web' }}",
    ">-\n  ${{ has(labels.tier) }}",
    "\"${{ labels.tier == 'a # b' }}\"",
    "'${{ (labels.tier == ''a: b'') }}'",
    "${{ labels.tier == 'a' && labels.x != 'it is' }}  # why",
]


def mended(source: str) -> str:
    """Carry out what the linter offers, until it offers nothing more."""
    for _ in range(5):
        findings = [one for one in said(source) if one.fix is not None]
        if not findings:
            return source
        source, done = edits.apply(source, findings)
        assert done
    raise AssertionError("it never ends")


def meaning(source: str) -> tuple[object, ...]:
    """Return what a runbook does, whatever it is spelt like."""
    (one,) = compile_file(source, "a.yaml", REGISTRY)
    return (
        _text(one.condition),
        one.mode,
        one.approval,
        one.limits,
        one.verify,
        one.on_failure,
        [(s.id, s.operation.name, _text(s.condition), str(_resolved(one, n)), s.timeout)
         for n, s in enumerate(one.steps) if "look" not in s.id],
    )  # fmt: skip


def _text(condition: Expression | None) -> str:
    return "" if condition is None else " ".join(condition.text.split())


def _resolved(one: Runbook, number: int) -> object:
    step = one.steps[number]
    return step.operation.Params.model_validate(dict(step.parameters))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_braces_around_a_condition_go(condition: str) -> None:
    source = runbook(f"if: {condition}")
    after = mended(source)
    assert meaning(after) == meaning(source)
    assert "${{" not in after
    assert mended(after) == after


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("yes", "true"),
        ("'on'", "true"),
        ('"true"', "true"),
        ("no", "false"),
        ("OFF", "false"),
        ('"1"', "true"),
    ],
)
def test_truth_is_written_true(written: str, right: str) -> None:
    source = runbook(f"approval: {{four_eyes: {written}, quorum: '2'}}  # of two")
    after = mended(source)
    assert f"approval: {{four_eyes: {right}, quorum: 2}}  # of two\n" in after
    assert meaning(after) == meaning(source)


@pytest.mark.parametrize("line", ["owner: yes", "owner: '2'", "docs: 'on'", "vars: {a: yes}"])
def test_text_stays_text(line: str) -> None:
    assert not [one for one in said(runbook(line)) if one.fix is not None]


def test_a_parameter_that_takes_a_number_or_a_text_is_left_alone() -> None:
    step = (
        "{id: a, action: kubernetes.scale, with: {namespace: s, deployment: d, by: '+2', max: 4}}"
    )
    assert [one.code for one in said(runbook(f"steps: [{step}]"))] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{id: look, action: http.check, timeout: 9s, with: {url: 'http://x'}}",
         "{id: look, action: http.check, with: {url: 'http://x'}}"),
        ("{timeout: 9s, id: look, action: http.check, with: {url: 'http://x'}}",
         "{id: look, action: http.check, with: {url: 'http://x'}}"),
        ("{id: look, action: http.check, with: {url: 'http://x'}, retry: {attempts: 3}}",
         "{id: look, action: http.check, with: {url: 'http://x'}}"),
    ],
)  # fmt: skip
def test_what_has_no_effect_goes(before: str, after: str) -> None:
    source = runbook(f"steps:\n  - {before}  # looks")
    assert mended(source) == source.replace(before, after)


def test_a_block_goes_with_its_lines_and_nothing_else() -> None:
    source = runbook(
        "steps:",
        "  - id: look",
        "    action: http.check  # one",
        "    retry:",
        "      attempts: 3",
        "      backoff: 1s",
        "",
        "    # two",
        "    with: {url: 'http://x'}",
    )
    after = source.replace("    retry:\n      attempts: 3\n      backoff: 1s\n", "")
    assert mended(source) == after


def test_a_key_behind_a_dash_is_left_to_its_author() -> None:
    source = runbook("steps:", "  - timeout: 9s", "    id: look", "    action: http.check",
                     "    with: {url: 'http://x'}")  # fmt: skip
    (found,) = [one for one in said(source) if one.code == "no-effect"]
    assert found.fix is None


# ----------------------------------------------------------------------------- whole files


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_line_ends_and_marks_stay(ending: str, bom: str, tmp_path: Path) -> None:
    source = bom + runbook("if: ${{ has(labels.x) }}  # ä", "approval: {four_eyes: yes}")
    file = tmp_path / "a.yaml"
    file.write_bytes(source.replace("\n", ending).encode())
    left, done = fixing.fix(lambda: checking.check(checking.Wanted([file]), REGISTRY))
    assert [one.code for one in done] == ["deprecated-condition", "deprecated-value"]
    assert left.findings == []
    right = source.replace("${{ has(labels.x) }}", "has(labels.x)").replace(": yes", ": true")
    assert file.read_bytes() == right.replace("\n", ending).encode()


def test_a_misspelt_key_is_mended_and_then_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(runbook("descripton: An example.", "if: ${{ has(labels.x) }}").replace(
        "description: An example.\n", ""))  # fmt: skip
    left, done = fixing.fix(lambda: checking.check(checking.Wanted([file]), REGISTRY))
    assert [one.code for one in done] == ["unknown-key", "deprecated-condition"]
    assert left.findings == []


@pytest.mark.parametrize("key", ["wait: 5m", "descriptions: x", "onfailure: {}"])
def test_a_key_that_can_mean_two_things_or_is_there_already_is_left(key: str) -> None:
    source = runbook(key, "on_failure: {undo: true}", "wait_for: 1m")
    found = checking_of(source)
    assert found
    assert all(one.fix is None for one in found)


def checking_of(source: str) -> list[Finding]:
    """Return the faults of a source that does not load."""
    with pytest.raises(RunbookErrors) as caught:
        compile_file(source, "a.yaml", REGISTRY)
    return list(caught.value.findings)


def test_a_fix_that_makes_it_worse_is_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(runbook())

    def look() -> checking.Checked:
        checked = checking.check(checking.Wanted([file]), REGISTRY)
        bad = Finding(str(file), 1, 1, Severity.WARNING, "x", "m", fix=Fix("break", (_BREAKS,)))
        return checking.Checked(1, 1, [*checked.findings, bad])

    _, done = fixing.fix(look)
    assert done == []
    assert file.read_text() == runbook()


_BREAKS = Edit(0, 4, "nam")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.text(max_size=3)), max_size=6))
def test_fixes_that_meet_wait_for_the_next_time(raw: list[tuple[int, int, str]]) -> None:
    source = "".join(chr(97 + n % 26) for n in range(40))
    findings = [
        Finding("a", n + 1, 1, Severity.INFO, "x", "m", fix=Fix("x", (Edit(at, at + size, text),)))
        for n, (at, size, text) in enumerate(raw)
    ]
    after, done = edits.apply(source, findings)
    taken = sorted(one.fix.edits[0].start for one in done if one.fix is not None)
    assert len(set(taken)) == len(taken)
    grown = sum(len(e.text) - (e.end - e.start) for one in done if one.fix for e in one.fix.edits)
    assert len(after) == len(source) + grown
    assert bool(done) == bool(raw)


@given(st.text(alphabet="ab:#{}[]'\"!& -", min_size=1, max_size=12))
def test_a_text_loses_its_braces_and_nothing_else(inner: str) -> None:
    """Whatever stands between the braces is the same text to YAML afterwards."""
    body = inner.strip()
    quoted = "'" + f"${{{{ {inner} }}}}".replace("'", "''") + "'"
    for written in (f"${{{{ {inner} }}}}", quoted):
        try:
            doc = document.parse(f"k: {written}\nz: 1\n", "a")[0]
        except RunbookErrors:
            continue  # no YAML to begin with
        value = doc.value["k"]
        if not isinstance(value, str) or value.strip() != f"${{{{ {inner} }}}}".strip() or not body:
            continue
        found = edits.unwrap(doc, ("k",), "${{", "}}")
        text, _ = edits.apply(
            doc.source, [Finding("a", 1, 1, Severity.INFO, "x", "m", fix=Fix("x", found))]
        )
        assert document.parse(text, "a")[0].value == {"k": body, "z": 1}
