"""Parameters, `use`, `for_each`, groups and outputs: what they come to, what each step reads, and
every fault of theirs where it is written."""

import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.plugin.registry import Registry
from remediator.runbook import document, store
from remediator.runbook.compile import compile_documents, compile_file, compile_runbook
from remediator.runbook.expressions import ExpressionFailed, Template
from remediator.runbook.findings import RunbookErrors
from remediator.runbook.runbook import Block, CompiledStep, Runbook, Scope
from remediator.runbook.scope import TooMany

HEAD = """\
name: top
description: A runbook.
match: ['alertname="X"']
"""
LOOK = "action: http.check, with: {url: 'http://x'}"
FRAGMENT = """\
name: drain-pod
description: A fragment.
parameters:
  pod: {pattern: '[a-z0-9-]+'}
  port: {type: integer, default: 80, minimum: 1, maximum: 65535}
vars:
  host: "${{ params.pod }}:${{ params.port }}"
steps:
  - id: look
    action: http.check
    with: {url: "http://${{ vars.host }}/"}
  - id: again
    if: steps.look.ok
    action: http.check
    with: {url: "http://${{ vars.host }}/${{ steps.look.result.status }}"}
outputs:
  status: ${{ steps.again.result.status }}
  where: ${{ vars.host }}
"""


def compiled(registry: Registry, steps: str, more: str = "", *others: str) -> Runbook:
    source = "---\n".join([HEAD + more + textwrap.dedent(steps), *(others or (FRAGMENT,))])
    (found,) = compile_file(source, "a.yaml", registry)
    return found


def errors(registry: Registry, source: str, *others: str) -> list[str]:
    with pytest.raises(RunbookErrors) as caught:
        compile_file("---\n".join([textwrap.dedent(source), *others]), "a.yaml", registry)
    return [str(finding) for finding in caught.value.findings]


def scope(
    runbook: Runbook,
    at: CompiledStep | Block | None,
    known: Mapping[str, Mapping[str, Any]] | None = None,
    **context: Any,
) -> Scope:
    alert = {
        "labels": {"pod": "p-1", "pods": "a,b"},
        "annotations": {},
        "status": "firing",
        "starts_at": "2026-01-05T10:00:00.000000Z",
        "generator_url": "",
        "fingerprint": "f",
    }
    group = {"labels": {}, "common_labels": {}, "common_annotations": {}, "receiver": ""}
    return runbook.scope(
        {"alert": alert, "group": group, **context},
        run={"id": "r", "name": runbook.name},
        now=datetime(2026, 1, 5, 10, tzinfo=UTC),
        steps=known or {},
        at=at,
    )


def done(status: int = 200, *, ok: bool = True, skipped: bool = False) -> dict[str, Any]:
    output = {} if skipped else {"status": status}
    return {"result": output, "plan": None, "ok": ok and not skipped, "skipped": skipped}


def url(runbook: Runbook, number: int, known: Mapping[str, Any] | None = None) -> str:
    step = runbook.steps[number]
    return str(step.resolve(scope(runbook, step, known)).url)  # type: ignore[attr-defined] # http.check's


# --------------------------------------------------------------------------------- use


def test_a_used_document_stands_in_the_runbook_with_its_own_names(registry: Registry) -> None:
    runbook = compiled(
        registry,
        """\
        vars: {host: other}
        steps:
          - id: drain
            use: drain-pod
            with: {pod: "${{ labels.pod }}"}
          - id: after
            action: http.check
            with: {url: "http://${{ steps.drain.result.where }}/${{ vars.host }}"}
        """,
    )
    assert [step.id for step in runbook.steps] == ["drain.look", "drain.again", "after"]
    assert [step.sequence for step in runbook.steps] == [0, 1, 2]
    assert [step.needs for step in runbook.steps] == [
        frozenset(),
        {"drain.look"},
        {"drain.look", "drain.again"},
    ]
    assert url(runbook, 0) == "http://p-1:80/"
    known = {"drain.look": done(201)}
    assert url(runbook, 1, known) == "http://p-1:80/201"
    with pytest.raises(ExpressionFailed, match=r"steps\.drain\.result is not known yet"):
        url(runbook, 2, known)
    assert url(runbook, 2, {**known, "drain.again": done()}) == "http://p-1:80/other"


def test_a_runbook_can_be_used_and_stays_one(registry: Registry) -> None:
    other = HEAD.replace("top", "other") + f"mode: auto\nsteps: [{{id: look, {LOOK}}}]\n"
    top, used = compile_file(
        "---\n".join([HEAD + "steps: [{id: a, use: other}]\n", other]), "a.yaml", registry
    )
    assert [step.id for step in top.steps] == ["a.look"]
    assert (top.mode, used.mode) == ("approve", "auto")
    assert [step.id for step in used.steps] == ["look"]
    assert top.uses == ("other",)


def test_ok_of_a_use_leaves_out_what_a_condition_skipped(registry: Registry) -> None:
    runbook = compiled(
        registry,
        f"""\
        steps:
          - {{id: drain, use: drain-pod, with: {{pod: a}}}}
          - {{id: after, if: steps.drain.ok, {LOOK}}}
        """,
    )
    after = runbook.steps[2]

    def wanted(look: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
        return after.wanted(scope(runbook, after, {"drain.look": look, "drain.again": again}))

    assert wanted(done(), done())
    assert wanted(done(), done(skipped=True))
    assert not wanted(done(), done(ok=False))
    assert not wanted(done(skipped=True), done(skipped=True))


def test_an_output_that_can_not_be_worked_out_is_left_out(registry: Registry) -> None:
    runbook = compiled(
        registry,
        """\
        steps:
          - {id: drain, use: drain-pod, with: {pod: a}}
          - id: after
            action: http.check
            with:
              url: "http://x/${{ has(steps.drain.result.status) }}/${{ steps.drain.result.where }}"
        """,
    )
    known = {"drain.look": done(), "drain.again": done(skipped=True)}
    assert url(runbook, 2, known) == "http://x/false/a:80"


def test_the_condition_of_a_use_holds_for_each_of_its_steps(registry: Registry) -> None:
    runbook = compiled(
        registry,
        """\
        steps:
          - id: drain
            if: labels.pod == "p-2"
            use: drain-pod
            with: {pod: a}
        """,
    )
    for step in runbook.steps:
        assert step.conditional
        assert not step.wanted(scope(runbook, step, {"drain.look": done()}))


def test_a_rung_of_several_steps_begins_with_its_first(registry: Registry) -> None:
    runbook = compiled(
        registry,
        f"""\
        vars: {{burns: "${{{{ alert.firing }}}}"}}
        steps:
          - {{id: look, {LOOK}}}
          - {{id: drain, if: vars.burns, use: drain-pod, with: {{pod: a}}}}
        """,
    )
    assert [step.is_rung for step in runbook.steps] == [False, True, False]
    assert runbook.steps[2].conditional


def test_a_value_is_held_against_the_parameter_when_it_is_known(registry: Registry) -> None:
    runbook = compiled(
        registry, 'steps: [{id: drain, use: drain-pod, with: {pod: "${{ labels.pods }}"}}]\n'
    )
    with pytest.raises(ExpressionFailed, match=r"drain\.pod: 'a,b' does not match"):
        url(runbook, 0)


def test_uses_are_found_across_files_all_or_nothing(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(FRAGMENT)
    top = tmp_path / "a.yaml"
    top.write_text(HEAD + "steps: [{id: d, use: drain-pod, with: {pod: a}}]\n")
    found = store.load_folder([tmp_path], registry)
    assert [one.name for one in found.runbooks] == ["top"]
    assert [one.name for one in found.fragments] == ["drain-pod"]
    assert found.runbooks[0].steps[0].where == f"{tmp_path}/b.yaml:9:5"
    assert found.runbooks[0].steps[0].origin.at("with.url")[1:] == (11, 18)

    (tmp_path / "b.yaml").write_text(FRAGMENT.replace("vars.host }}/$", "vars.hst }}/$"))
    with pytest.raises(RunbookErrors) as caught:
        store.load_folder([tmp_path], registry)
    (finding,) = caught.value.findings
    assert str(finding).startswith(f'{tmp_path}/b.yaml:15:29: error: unknown name "vars.hst"')


def test_a_version_is_of_all_that_stands_in_it_and_holds_it(registry: Registry) -> None:
    steps = "steps: [{id: d, use: drain-pod, with: {pod: a}}]\n"
    runbook = compiled(registry, steps)
    other = compiled(registry, steps, "", FRAGMENT.replace("default: 80", "default: 81"))
    assert other.version != runbook.version
    assert other.substance != runbook.substance
    words = compiled(registry, steps, "", FRAGMENT.replace("A fragment.", "Other words."))
    assert words.version != runbook.version
    assert words.substance == runbook.substance

    again = compile_runbook(runbook.source, "kept.yaml", registry)
    assert again.version == runbook.version
    assert [step.id for step in again.steps] == [step.id for step in runbook.steps]


def test_a_source_holds_nothing_but_what_is_used(registry: Registry) -> None:
    documents = document.parse(FRAGMENT + "---\n" + FRAGMENT.replace("drain-pod", "more"), "b.yaml")
    source = HEAD + "steps: [{id: d, use: drain-pod, with: {pod: a}}]\n"
    runbook = compile_runbook(source, "a.yaml", registry, documents)
    assert "name: drain-pod" in runbook.source
    assert "name: more" not in runbook.source
    with pytest.raises(RunbookErrors, match="1 runbooks where one is expected"):
        compile_runbook(
            runbook.source + "---\n" + FRAGMENT.replace("drain-pod", "x"), "a.yaml", registry
        )


# ------------------------------------------------------------------------------ blocks

EACH = """\
parameters: {pods: {type: list, default: [a, b]}}
steps:
  - id: all
    for_each: ${{ params.pods }}
    most: 3
    parallel: 2
    if: each.value != "x"
    use: drain-pod
    with: {pod: "${{ each.value }}", port: "${{ 8080 + each.index }}"}
  - id: after
    if: steps.all.ok
    action: http.check
    with: {url: "http://x/${{ steps.all.result.map(one, one.where).join('-') }}"}
outputs: {first: "${{ steps.all.result[0].status }}", none: "${{ labels.nope }}"}
"""


def test_each_item_of_a_list_is_a_lane(registry: Registry) -> None:
    runbook = compiled(registry, EACH)
    assert [(step.id, step.lane) for step in runbook.steps] == [
        ("all[0].look", 0),
        ("all[0].again", 0),
        ("all[1].look", 1),
        ("all[1].again", 1),
        ("all[2].look", 2),
        ("all[2].again", 2),
        ("after", 0),
    ]
    (block,) = runbook.blocks
    assert (block.id, block.most, block.parallel) == ("all", 3, 2)
    assert {step.block for step in runbook.steps[:6]} == {block}
    assert runbook.steps[6].block is None
    assert block.values(scope(runbook, block)) == ["a", "b"]
    assert [url(runbook, n, {"all[1].look": done()}) for n in (0, 2, 3)] == [
        "http://a:8080/",
        "http://b:8081/",
        "http://b:8081/200",
    ]


def test_vacant_lanes_count_for_nothing(registry: Registry) -> None:
    runbook = compiled(registry, EACH)
    known = {f"all[{n}].{name}": done(200 + n) for n in (0, 1) for name in ("look", "again")}
    after = runbook.steps[6]
    assert after.wanted(scope(runbook, after, known))
    assert url(runbook, 6, known) == "http://x/a:8080-b:8081"
    found, failed = runbook.results(scope(runbook, None, known))
    assert found == {"first": 200}
    assert list(failed) == ["none"]
    assert "nope" in failed["none"]
    known["all[1].again"] = done(ok=False)
    assert not after.wanted(scope(runbook, after, known))


def test_a_condition_with_each_is_for_one_item(registry: Registry) -> None:
    runbook = compiled(registry, EACH)
    given = {"parameters": {"pods": ["x", "y"]}}
    wanted = [
        step.wanted(scope(runbook, step, {"all[1].look": done()}, **given))
        for step in runbook.steps[:4]
    ]
    assert wanted == [False, False, True, True]


@pytest.mark.parametrize(
    ("pods", "kind", "message"),
    [
        (["a"] * 4, TooMany, r"a\.yaml:7:15: the list has 4 items, and most is 3"),
        ("a", ExpressionFailed, r"a\.yaml:7:15: pods: 'a' is not a list of texts"),
    ],
)
def test_a_list_that_does_not_do_ends_the_run(
    registry: Registry, pods: object, kind: type[ExpressionFailed], message: str
) -> None:
    runbook = compiled(registry, EACH)
    (block,) = runbook.blocks
    with pytest.raises(kind, match=message):
        block.values(scope(runbook, block, parameters={"pods": pods}))


def test_a_written_list_has_as_many_lanes_as_items(registry: Registry) -> None:
    runbook = compiled(
        registry,
        """\
        steps:
          - id: all
            for_each: [a, "${{ labels.pod }}"]
            action: http.check
            with: {url: "http://${{ each.value }}"}
        """,
    )
    assert [url(runbook, n) for n in range(len(runbook.steps))] == ["http://a", "http://p-1"]


def test_the_list_of_an_earlier_result_is_needed_by_every_lane(registry: Registry) -> None:
    runbook = compiled(
        registry,
        f"""\
        steps:
          - {{id: look, {LOOK}}}
          - id: all
            for_each: "${{{{ steps.look.result.body_head.split(',') }}}}"
            most: 2
            action: http.check
            with: {{url: "http://${{{{ each.value }}}}"}}
        """,
    )
    (block,) = runbook.blocks
    assert block.needs == {"look"}
    assert [step.needs for step in runbook.steps[1:]] == [{"look"}, {"look"}]


GROUP = f"""\
steps:
  - id: both
    if: labels.pod == "p-1"
    steps:
      - {{id: one, {LOOK}}}
      - {{id: two, use: drain-pod, with: {{pod: b}}}}
  - id: after
    if: steps.one.ok && steps.both.ok && steps.two.result.where != ""
    action: http.check
    with: {{url: "http://${{{{ steps.both.result[1].where }}}}"}}
"""


def test_a_group_has_a_lane_for_each_member(registry: Registry) -> None:
    runbook = compiled(registry, GROUP)
    assert [(step.id, step.lane) for step in runbook.steps] == [
        ("one", 0),
        ("two.look", 1),
        ("two.again", 1),
        ("after", 0),
    ]
    (block,) = runbook.blocks
    assert (block.id, block.most, block.parallel, block.items) == ("both", 2, 2, None)
    assert len(block.values(scope(runbook, block))) == 2
    known = {step.id: done() for step in runbook.steps[:3]}
    assert all(step.wanted(scope(runbook, step, known)) for step in runbook.steps)
    assert url(runbook, 3, known) == "http://b:80"


# ------------------------------------------------------------------------------ faults

UNKNOWN_ARGUMENTS = (
    HEAD
    + """\
steps:
  - id: a
    use: drain-pd
  - id: b
    use: drain-pod
    with: {pd: x, port: 0}
  - id: c
    use: drain-pod
    with: {pod: "A B", port: "${{ labels.port }}"}
  - id: d
    if: steps.b.result.statu == 1
    use: drain-pod
    with: {pod: x, port: "1"}
"""
)


def test_what_a_use_gives_is_held_against_what_is_declared(registry: Registry) -> None:
    assert errors(registry, UNKNOWN_ARGUMENTS, FRAGMENT) == [
        'a.yaml:6:10: error: nothing that is loaded is called "drain-pd"; '
        'did you mean "drain-pod"? [unknown-use]',
        'a.yaml:9:11: error: "drain-pod" needs the parameter "pod" [missing-parameter]',
        'a.yaml:9:12: error: "drain-pod" has no parameter "pd"; '
        'did you mean "pod"? [unknown-parameter]',
        "a.yaml:9:25: error: port: 0 is less than 1 [invalid-parameter]",
        "a.yaml:12:18: error: pod: 'A B' does not match [a-z0-9-]+ [invalid-parameter]",
        "a.yaml:12:31: error: port needs a whole number; the expression is text; "
        "convert it, as in int(labels.count) [expression-type]",
        'a.yaml:14:24: error: the result of "b" has no "statu"; '
        'did you mean "status"? [expression]',
        "a.yaml:16:27: error: port: '1' is not a whole number [invalid-parameter]",
    ]


def test_a_circle_is_named_where_it_is_written(registry: Registry) -> None:
    def fragment(name: str, uses: str) -> str:
        return f"name: {name}\ndescription: x\nsteps: [{{id: a, use: {uses}}}]\n"

    source = [fragment("one", "two"), fragment("two", "three"), fragment("three", "two")]
    assert errors(registry, HEAD + "steps: [{id: a, use: one}]\n", *source) == [
        "a.yaml:12:22: error: it would stand in itself: two → three → two [cyclic-use]",
        "a.yaml:16:22: error: it would stand in itself: three → two → three [cyclic-use]",
    ]
    own = errors(registry, HEAD + "steps: [{id: a, use: top}]\n")
    assert own == ["a.yaml:4:22: error: it would stand in itself: top → top [cyclic-use]"]


def test_uses_have_a_depth_and_a_runbook_a_size(registry: Registry) -> None:
    def fragment(number: int, times: int) -> str:
        steps = "".join(f"  - {{id: s{n}, use: f{number + 1}}}\n" for n in range(times))
        return f"name: f{number}\ndescription: x\nsteps:\n{steps}"

    last = f"name: f6\ndescription: x\nsteps: [{{id: look, {LOOK}}}]\n"
    deep = [fragment(number, 1) for number in range(6)]
    top = HEAD + "steps: [{id: a, use: f0}]\n"
    found = errors(registry, top, *deep, last)
    assert found == [
        "a.yaml:29:19: error: documents may use each other 5 deep, and not more [deep-use]",
        "a.yaml:34:19: error: documents may use each other 5 deep, and not more [deep-use]",
    ]
    wide = [fragment(number, 15) for number in range(3, 6)]
    assert (
        "it comes to more than 200 steps"
        in errors(registry, top.replace("f0", "f3"), *wide, last)[0]
    )


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            f"steps: [{{id: g, steps: [{{id: a, {LOOK}}}, {{id: h, steps: []}}]}}]",
            "4:79: error: steps.0.steps.1: blocks do not nest: "
            "steps can't stand inside a group [invalid]",
        ),
        (
            f"steps: [{{id: g, for_each: [a], steps: [{{id: a, {LOOK}}}]}}]",
            "4:9: error: steps.0: blocks do not nest: for_each can't stand beside steps [invalid]",
        ),
        (
            "steps: [{id: e, for_each: [a], use: grouped}]",
            '4:9: error: blocks do not nest: "grouped" has one of its own, "g" [nested-block]',
        ),
        (
            "steps: [{id: e, for_each: [a], use: outer}]",
            '4:9: error: blocks do not nest: "grouped" has one of its own, "g" [nested-block]',
        ),
        (
            f"steps: [{{id: g, steps: [{{id: a, if: alert.firing, {LOOK}}}]}}]",
            "4:37: error: a rung (its if reads alert.firing or alert.status) can't stand in a "
            "block, where nobody waits to see what helped [rung-in-block]",
        ),
        (
            f"steps: [{{id: g, if: alert.firing, steps: [{{id: a, {LOOK}}}]}}]",
            "rung-in-block",
        ),
        (
            "steps: [{id: e, for_each: [a], use: rungs}]",
            '"rungs" has one, or is given one by a parameter [rung-in-block]',
        ),
        (
            "steps: [{id: u, if: alert.firing, use: grouped}]",
            "4:21: error: a rung can't begin with a block; let a step stand before it "
            "[rung-in-block]",
        ),
        (
            f"steps: [{{id: e, for_each: '${{{{ [string(now)] }}}}', {LOOK}}}]",
            "4:28: error: the list reads now, which is not the same when it is read again "
            "[changing-list]",
        ),
        (
            f"steps: [{{id: e, for_each: '${{{{ labels.x }}}}', {LOOK}}}]",
            "4:28: error: for_each needs a list; this is text; "
            "write [a, b], or an expression that gives one [for-each]",
        ),
        (f"steps: [{{id: e, for_each: [], {LOOK}}}]", "4:27: error: the list is empty"),
        (
            f"steps: [{{id: e, for_each: [a, b], most: 1, {LOOK}}}]",
            "4:27: error: the list has 2 items, and most is 1 [for-each]",
        ),
        (f"steps: [{{id: e, for_each: [a], most: 51, {LOOK}}}]", "steps.0.most: it should be less"),
        (f"steps: [{{id: e, parallel: 2, {LOOK}}}]", "parallel is for a step with for_each, or"),
        (f"steps: [{{id: e, most: 2, {LOOK}}}]", "most is for a step with for_each"),
        ("steps: [{id: e}]", "a step has an action, a use or steps; one of the three [invalid]"),
        (
            f"steps: [{{id: e, use: rungs, {LOOK}}}]",
            "one of the three; this has action and use [invalid]",
        ),
        (
            "steps: [{id: e, use: rungs, timeout: 1m}]",
            "timeout is for an action; the steps of rungs have their own",
        ),
        (
            f"steps: [{{id: g, with: {{}}, steps: [{{id: a, {LOOK}}}]}}]",
            "with is for an action; each step of a group has its own",
        ),
        (
            f"steps: [{{id: g, steps: [{{id: a, {LOOK}}}, {{id: b, if: steps.a.ok, {LOOK}}}]}}]",
            'error: "b" and "a" stand in one group, so neither can read what the other gives',
        ),
        (
            f"steps: [{{id: g, steps: [{{id: a, {LOOK}}}]}}, {{id: a, {LOOK}}}]",
            'two steps are called "a" [duplicate-step]',
        ),
        (
            f"steps: [{{id: a, {LOOK}}}, {{id: b, if: each.index == 1, {LOOK}}}]",
            'unknown name "each.index"',
        ),
        (
            f"parameters: {{n: {{type: integer}}}}\nsteps: [{{id: a, {LOOK}}}]",
            '4:17: error: no alert can start it: the parameter "n" has no default; '
            "give it one; or leave match out, and let others use it [no-default]",
        ),
        (
            f"steps: [{{id: a, {LOOK}}}]\noutputs: {{x: '${{{{ steps.b.result.y }}}}'}}",
            'unknown name "steps.b.result.y"; did you mean "steps.a.result"? [expression]',
        ),
        (
            f"steps: [{{id: a, {LOOK}}}]\nrepeat: {{mode: queued, key: '${{{{ string(now) }}}}'}}",
            "now tells no runs of one thing from those of another [expression]",
        ),
        (
            f"steps: [{{id: a, {LOOK}}}]\nrepeat: {{mode: single, most: 2}}",
            "most is for queued and parallel; single is one at a time",
        ),
        (
            f"parameters: {{n: {{type: integer, default: 1}}}}\n"
            f"steps: [{{id: a, if: params.n == 'x', {LOOK}}}]",
            "found no matching overload",
        ),
        (
            f"parameters: {{max: {{type: integer, default: 1}}}}\n"
            f"steps: [{{id: a, if: params.mx == 1, {LOOK}}}]",
            'unknown name "params.mx"; did you mean "params.max"? [expression]',
        ),
    ],
)
def test_faults(registry: Registry, steps: str, message: str) -> None:
    grouped = f"name: grouped\ndescription: x\nsteps: [{{id: g, steps: [{{id: a, {LOOK}}}]}}]\n"
    outer = "name: outer\ndescription: x\nsteps: [{id: i, use: grouped}]\n"
    rungs = f"name: rungs\ndescription: x\nsteps: [{{id: r, if: alert.firing, {LOOK}}}]\n"
    (found,) = errors(registry, HEAD + steps + "\n", grouped, outer, rungs)
    assert message in found


def test_a_document_without_match_is_a_fragment_and_nothing_of_a_run(registry: Registry) -> None:
    source = f"name: f\ndescription: x\nsteps: [{{id: a, {LOOK}}}]\n"
    found = compile_documents(document.parse(source, "a.yaml"), registry)
    assert not found.runbooks
    assert [step.id for step in found.fragments[0].steps] == ["a"]
    assert errors(registry, source + "mode: auto\n") == [
        'a.yaml:1:1: error: the key "match" is missing [missing-key]'
    ]


def test_a_fault_of_a_fragment_is_told_once_however_many_use_it(registry: Registry) -> None:
    uses = "steps: [{id: a, use: drain-pod, with: {pod: x}}]\n"
    broken = FRAGMENT.replace("steps.look.ok", "steps.lok.ok")
    found = errors(registry, HEAD + uses, HEAD.replace("top", "other") + uses, broken)
    assert len(found) == 1
    assert 'unknown name "steps.lok.ok"; did you mean "steps.look.ok"?' in found[0]


def test_the_condition_on_the_alert_may_read_parameters(registry: Registry) -> None:
    runbook = compiled(
        registry,
        "parameters: {pods: {type: list, default: [p-1]}, wait: {type: duration, default: 1h}}\n"
        "if: labels.pod in params.pods && params.wait > duration('30m')\n"
        f"steps: [{{id: a, {LOOK}}}]\n",
    )
    made = scope(runbook, None)
    assert made.values["params.wait"] == timedelta(hours=1)
    context = {
        "alert": {
            "labels": {"pod": "p-1"},
            "annotations": {},
            "status": "firing",
            "starts_at": "2026-01-05T10:00:00.000000Z",
            "generator_url": "",
            "fingerprint": "",
        },
        "group": {},
    }
    now = datetime(2026, 1, 5, tzinfo=UTC)
    assert runbook.applies({"alertname": "X"}, {}, context, now)
    context["alert"]["labels"] = {"pod": "p-2"}
    assert not runbook.applies({"alertname": "X"}, {}, context, now)


def test_the_key_of_repeated_runs(registry: Registry) -> None:
    runbook = compiled(
        registry,
        "vars: {what: '${{ labels.pod }}'}\nrepeat: {mode: queued, key: '${{ vars.what }}'}\n"
        f"steps: [{{id: a, {LOOK}}}]\n",
    )
    context = {"alert": {**_ALERT, "labels": {"pod": "p"}}, "group": {}}
    assert runbook.repeat_key(context) == "p"
    assert (runbook.repeat.mode, runbook.repeat.most_waiting) == ("queued", 10)
    with pytest.raises(ExpressionFailed, match="pod"):
        runbook.repeat_key({"alert": {**_ALERT, "labels": {}}, "group": {}})


_ALERT: dict[str, Any] = {
    "labels": {},
    "annotations": {},
    "status": "firing",
    "starts_at": "2026-01-05T10:00:00.000000Z",
    "generator_url": "",
    "fingerprint": "",
}


def test_what_no_alert_decides_is_known_beforehand(registry: Registry) -> None:
    runbook = compiled(
        registry,
        """\
        parameters: {path: {default: healthz}}
        steps:
          - id: one
            use: drain-pod
            with: {pod: shop, port: "${{ 8000 + 80 }}"}
          - id: all
            for_each: [a, b]
            use: drain-pod
            with: {pod: "${{ each.value }}"}
          - id: other
            use: drain-pod
            with: {pod: "${{ labels.pod }}"}
          - id: by-hand
            action: http.check
            with: {url: "http://x/${{ params.path }}"}
        """,
    )
    known = {step.id: runbook.fixed(step)["url"] for step in runbook.steps}
    assert known["one.look"] == "http://shop:8080/"
    assert (known["all[0].look"], known["all[1].look"]) == ("http://a:80/", "http://b:80/")
    for step_id in ("one.again", "other.look", "by-hand"):
        assert isinstance(known[step_id], Template)
